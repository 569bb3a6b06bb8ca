import { allocationFailed } from '../../fakes/arm/failures';
import type { NodeMaker } from '../../fakes/arm/nodes';
import { at, clientOf, GPU_POOL, QUICK, useArm } from './arm-support';

/** Machines of pools: nodes, GPUs, health, and what becomes of them. */
const start = useArm();

/** Notes what it is told, in words. */
function notingNodes(told: string[]): NodeMaker {
  return {
    appear: async ({ name, labels, taints }) => {
      told.push(`${name} ${labels['topology.kubernetes.io/zone']} ${taints.join()}`);
    },
    setGpus: async (name, count) => void told.push(`${name} ${count}`),
    setReady: async (name, ready) => void told.push(`${name} ${ready}`),
    vanish: async (name) => void told.push(`${name} gone`),
  };
}

it('come and go by the clock, with what AKS puts on them', async () => {
  const told: string[] = [];
  const arm = await start({ clock: 'manual', nodes: notingNodes(told) });
  arm.operations.on('create', 'gpu1').succeeds({ gpus: 4 });
  const zones = ['1', '2'];
  await clientOf(arm)
    .agentPools.createOrUpdate(...at(arm, 'gpu1'), { ...GPU_POOL, availabilityZones: zones }, QUICK)
    .submitted();
  await arm.clock.advance(249);
  expect(told).toEqual([]);
  await arm.clock.advance(101);
  const [first = '', second = ''] = arm.pool('gpu1')?.nodes ?? [];
  expect(told.sort()).toEqual(
    [
      `${first} eastus-1 sku=gpu:NoSchedule`,
      `${second} eastus-2 sku=gpu:NoSchedule`,
      `${first} 4`,
      `${second} 4`,
    ].sort(),
  );
  expect(first).toMatch(/^aks-gpu1-\d{8}-vmss000000$/);

  told.length = 0;
  await arm.setGpus('gpu1', 0);
  await arm.setReady('gpu1', false, { nodes: [second] });
  expect(told).toEqual([`${first} 0`, `${second} 0`, `${second} false`]);

  told.length = 0;
  await arm.evict('gpu1');
  expect(told.sort()).toEqual([`${first} gone`, `${second} gone`]);
  expect(arm.pool('gpu1')?.properties.count).toBe(0);
});

it('are deleted one by one, which the list of machines and the count show', async () => {
  const told: string[] = [];
  const arm = await start({ retryAfterSeconds: 'none', nodes: notingNodes(told), timings: { nodesMs: 0 } });
  const client = clientOf(arm);
  await client.agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK);
  const names = async (): Promise<readonly (string | undefined)[]> => {
    const found: (string | undefined)[] = [];
    for await (const machine of client.machines.list(...at(arm, 'gpu1'))) found.push(machine.name);
    return found;
  };
  const [first = '', second = ''] = await names();

  await client.agentPools.deleteMachines(...at(arm, 'gpu1'), { machineNames: [first] }, QUICK);

  expect(await names()).toEqual([second]);
  expect((await client.agentPools.get(...at(arm, 'gpu1'))).count).toBe(1);
  expect(told.filter((one) => one.endsWith('gone'))).toEqual([`${first} gone`]);
});

it('may come in part where the rest has no room', async () => {
  const arm = await start({ retryAfterSeconds: 'none' });
  const { agentPools } = clientOf(arm);
  const { eTag: ifMatch = '' } = await agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK);
  arm.operations.on('update', 'gpu1').fails(allocationFailed(), { nodes: 3 });
  const grown = { ...GPU_POOL, count: 4 };

  const growth = Promise.resolve(agentPools.createOrUpdate(...at(arm, 'gpu1'), grown, { ...QUICK, ifMatch }));

  await expect(growth).rejects.toThrow('ReconcileVMSSAgentPoolFailed');
  expect(arm.pool('gpu1')).toMatchObject({ properties: { count: 4, provisioningState: 'Failed' } });
  expect(arm.pool('gpu1')?.nodes).toHaveLength(3);
  arm.assertInvariants();
});

it('of an earlier life are there, may be changed, and go with the fake', async () => {
  const told: string[] = [];
  const arm = await start({ clock: 'manual', nodes: notingNodes(told) });
  const pool = arm.addPool('old', { count: 1, tags: { owner: 'us' } }, { owned: true, withNodes: true });
  await arm.clock.advance(1_000);
  expect(() => arm.assertInvariants({ nothingLeft: true })).toThrow('pool old is left');
  arm.assertInvariants();

  told.length = 0;
  await arm.stop();
  expect(told).toEqual([`${pool.nodes[0]} gone`]);
});
