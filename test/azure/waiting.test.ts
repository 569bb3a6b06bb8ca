import { setTimeout as delay } from 'node:timers/promises';
import { findCondition } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import * as answers from '../fakes/arm/errors';
import * as failures from '../fakes/arm/failures';
import { A100, DEADLINES, failureOf, FAMILY, useScenarios, WITHOUT_TIME, type Scenario } from './support';

const start = useScenarios();
const never = { signal: new AbortController().signal, recheckMs: 50 };

function isNotReady({ world, claim }: Scenario, name = ''): true | undefined {
  const node = world.owned(claim().workspace.metadata).nodeNamed(name);
  return (node !== undefined && findCondition(node, 'Ready')?.status === 'False') || undefined;
}

/** Milliseconds between requests, in order. */
function gaps(requests: readonly { readonly atMs: number }[]): readonly number[] {
  return requests.slice(1).map(({ atMs }, index) => atMs - (requests[index]?.atMs ?? 0));
}

describe('what has to be waited for', () => {
  test.each([
    ['seconds', () => answers.throttled({ seconds: 2 })],
    ['a date', () => answers.throttled({ dateMsFromNow: 1_500 })],
  ])('scenario 18: Retry-After of a PUT, as %s, is waited once and counts for nothing', async (_, refusal) => {
    const { arm, worker, claim } = await start({
      configuration: {
        deadlines: { acceptedMs: 100, poolMs: 20_000, registeredMs: 9_000, gpusMs: 9_000, drainMs: 9_000 },
      },
    });
    arm.script.on('PUT', /agentPools/, 1).answer(refusal());
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    const puts = arm.requestsOf('PUT');
    expect(puts.map(({ status }) => status)).toEqual([429, 201]);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 18: a PUT that is throttled without Retry-After holds all back for a minute', async () => {
    const { arm, worker, claim, coordinator } = await start();
    arm.script.on('PUT', /agentPools/, 1).answer(answers.throttled('absent'));
    const one = worker();
    const waiting = one.ensure(claim()).catch((error: unknown) => error);
    await arm.until('the PUT was refused', () => arm.requestsOf('PUT').some(({ status }) => status === 429));
    await delay(300);
    const { time, throttledUntil } = coordinator.report();
    const leftMs = Date.parse(throttledUntil ?? '') - Date.parse(time);
    expect(leftMs).toBeGreaterThan(55_000);
    expect(leftMs).toBeLessThanOrEqual(60_000);
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    one.kill();
    await waiting;
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 18: a read that is throttled is repeated when it may be', async () => {
    const { arm, worker, claim } = await start();
    arm.script.on('GET', /\/operations\//, 1).answer(answers.throttled({ seconds: 1 }));
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    expect(gaps(arm.requestsOf('GET', /\/operations\//))[0]).toBeGreaterThanOrEqual(990);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 19: while the cluster is updated the pool waits, and says why', async () => {
    const { arm, worker, claim } = await start();
    const end = arm.beginClusterOperation('Updating');
    const one = worker();
    const done = one.ensure(claim());
    await arm.until('it was refused thrice', () => arm.requestsOf('PUT').length >= 3);
    end();
    expect(await done).toMatchObject({ kind: 'acquired' });
    expect(one.progress.some((line) => line.includes('Another operation (Updating) is in progress'))).toBe(true);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 20: ten Workspaces at once, in a cluster that does one thing at a time', async () => {
    const { arm, worker, claim } = await start({
      arm: { locks: 'cluster', timings: { createMs: 60, nodesMs: 10, gpusMs: 10 } },
      configuration: { creatingAtOnce: 1 },
    });
    const one = worker();
    const claims = Array.from({ length: 10 }, (_, index) => claim({}, {}, `w${index}`));
    const ends = await Promise.all(claims.map((each) => one.ensure(each)));
    expect(ends.every(({ kind }) => kind === 'acquired')).toBe(true);
    expect(arm.requestsOf('PUT')).toHaveLength(10);
    await Promise.all(claims.map((each) => one.release(each)));
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 21: the bucket is respected, so that the service never has to refuse', async () => {
    const { arm, worker, claim } = await start({
      // A request takes its time on a busy machine: the server has more, but not for five at once.
      arm: { buckets: { burst: 2, perMinute: 300 }, timings: { createMs: 20, nodesMs: 10, gpusMs: 10 } },
      configuration: { buckets: { burst: 2, perMinute: 100 }, creatingAtOnce: 10 },
    });
    const one = worker();
    const claims = Array.from({ length: 5 }, (_, index) => claim({}, {}, `w${index}`));
    await Promise.all(claims.map((each) => one.ensure(each)));
    expect(arm.requestsOf('PUT').map(({ status }) => status)).toEqual(Array(5).fill(201));
    await Promise.all(claims.map((each) => one.release(each)));
    arm.assertInvariants({ nothingLeft: true });
  });

  test.each(['accepted', 'refused'] as const)(
    'scenario 44: a creation that takes too long is ended, and no late success is left (deletion %s)',
    async (deleteWhileCreating) => {
      const { arm, worker, claim } = await start({
        arm: { deleteWhileCreating, timings: { createMs: 2_500 } },
        configuration: { deadlines: { ...DEADLINES, poolMs: 500 } },
      });
      const failure = failureOf(await worker().ensure(claim()));
      expect(failure.cause).toBe('NotReadyInTime');
      expect(failure.message).toMatch(/^agent pool k\w+ was not created within 1 s \(operation \S+\)$/);
      await delay(2_500);
      arm.assertInvariants({ nothingLeft: true });
    },
  );

  test('scenario 30: nodes that never register end in time, with what was seen', async () => {
    const { arm, worker, claim } = await start({
      configuration: {
        deadlines: { acceptedMs: 5_000, poolMs: 9_000, registeredMs: 3_000, gpusMs: 9_000, drainMs: 9_000 },
      },
    });
    arm.operations.on('create', /./).succeeds({ nodes: 1 });
    const failure = failureOf(await worker().ensure(claim({ nodeCount: 2 })));
    expect(failure.cause).toBe('NotReadyInTime');
    expect(failure.message).toMatch(/^1 of 2 nodes of agent pool k\w+ have registered within 3 s/);
    arm.assertInvariants({ nothingLeft: true, ...WITHOUT_TIME });
  });

  test('scenario 31: too few GPUs are told with the device plugin, and compared with the size', async () => {
    const { arm, worker, claim } = await start({
      configuration: {
        deadlines: { acceptedMs: 5_000, poolMs: 9_000, registeredMs: 9_000, gpusMs: 3_000, drainMs: 9_000 },
      },
    });
    arm.operations.on('create', /./).succeeds({ gpus: 4 });
    const eight = { count: 8, memoryBytes: 2 ** 36, resourceName: 'nvidia.com/gpu' };
    const wanted = claim({ instanceType: 'Standard_ND96isr_H100_v5', gpus: eight });
    const one = worker();
    const failure = failureOf(await one.ensure(wanted));
    expect(failure.message).toMatch(/4 of 8 nvidia\.com\/gpu allocatable on \S+ within 3 s: the NVIDIA device plugin/);
    expect(one.progress.some((line) => line.startsWith('0 of 1 machines usable'))).toBe(true);
    expect(arm.requestsOf('PUT')).toHaveLength(2);
    arm.assertInvariants({ nothingLeft: true, ...WITHOUT_TIME });
  });

  test('scenario 33: machines that were evicted are bought anew', async () => {
    const { arm, worker, claim } = await start();
    const one = worker();
    const spot = claim({}, { capacityType: 'spot' });
    await one.ensure(spot);
    const [pool] = arm.pools().filter(({ origin }) => origin === 'client');
    await arm.evict(pool?.name ?? '');
    expect(await one.ensure(spot)).toMatchObject({ kind: 'acquired' });
    expect(arm.pool(pool?.name ?? '')?.properties.count).toBe(1);
    await one.release(spot);
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 33: … as on-demand machines, where spot ones can not be had again', async () => {
    const { arm, worker, claim } = await start();
    const one = worker();
    const either = claim({}, { capacityType: 'spot-then-on-demand' });
    await one.ensure(either);
    const [pool] = arm.pools().filter(({ origin }) => origin === 'client');
    expect(pool?.properties.scaleSetPriority).toBe('Spot');
    const isSpot = ({ properties }: { properties: { scaleSetPriority?: string } }) =>
      properties.scaleSetPriority === 'Spot';
    arm.operations.on('update', isSpot).fails(failures.skuNotAvailable(A100, 'eastus'));
    arm.operations.on('create', isSpot).fails(failures.skuNotAvailable(A100, 'eastus'));
    await arm.evict(pool?.name ?? '');

    expect(await one.ensure(either)).toMatchObject({ kind: 'acquired' });
    const left = arm.pools().filter(({ origin }) => origin === 'client');
    expect(left).toHaveLength(1);
    expect(left[0]?.properties.scaleSetPriority ?? 'Regular').toBe('Regular');
    expect(one.failed).toMatchObject([
      { variant: expect.stringContaining('spot') as unknown, failure: { cause: 'Capacity' } },
    ]);
    await one.release(either);
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 33: … but not where only spot machines are allowed: then the size is given up', async () => {
    const { arm, worker, claim } = await start();
    const one = worker();
    const spot = claim({}, { capacityType: 'spot' });
    await one.ensure(spot);
    const [pool] = arm.pools().filter(({ origin }) => origin === 'client');
    arm.operations.on('update', /./).fails(failures.skuNotAvailable(A100, 'eastus'));
    arm.operations.on('create', /./).fails(failures.skuNotAvailable(A100, 'eastus'));
    await arm.evict(pool?.name ?? '');
    expect(failureOf(await one.ensure(spot))).toMatchObject({ cause: 'Capacity' });
    arm.assertInvariants({ nothingLeft: true });
  });
});

describe('a machine that breaks', () => {
  /** What a kubelet says, or what is said when it says nothing. */
  async function setReady({ client }: Scenario, names: readonly string[], status: 'True' | 'False'): Promise<void> {
    for (const name of names) {
      // KWOK would set it right at once.
      await client.patch(RESOURCES.nodes, { name }, { metadata: { annotations: { 'kwok.x-k8s.io/node': null } } });
      const condition = { type: 'Ready', status, reason: 'Test', message: `says the test: ${status}` };
      const times = { lastTransitionTime: new Date().toISOString(), lastHeartbeatTime: new Date().toISOString() };
      await client.patchStatus(RESOURCES.nodes, { name }, { status: { conditions: [{ ...condition, ...times }] } });
    }
  }
  const quick = { acceptedMs: 5_000, poolMs: 9_000, registeredMs: 9_000, gpusMs: 2_500, drainMs: 9_000 };

  test('is replaced by itself: the others of its pool stay', async () => {
    const scenario = await start({ configuration: { deadlines: quick } });
    const { arm, worker, claim } = scenario;
    const one = worker();
    await one.ensure(claim({ nodeCount: 6 }));
    const before = [...(arm.pools().find(({ origin }) => origin === 'client')?.nodes ?? [])];
    await setReady(scenario, before.slice(0, 1), 'False');
    await scenario.world.until(claim().workspace.metadata, () => isNotReady(scenario, before[0]), never);
    expect(await one.ensure(claim({ nodeCount: 6 }))).toMatchObject({ kind: 'acquired' });
    const after = arm.pools().find(({ origin }) => origin === 'client')?.nodes ?? [];
    expect(after).toHaveLength(6);
    expect(before.filter((name) => !after.includes(name))).toEqual(before.slice(0, 1));
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 32: when many nodes are NotReady at once, nothing is replaced', async () => {
    const scenario = await start({ configuration: { deadlines: quick } });
    const { arm, worker, claim } = scenario;
    const one = worker();
    await one.ensure(claim({ nodeCount: 4 }));
    const before = [...(arm.pools().find(({ origin }) => origin === 'client')?.nodes ?? [])];
    await setReady(scenario, before, 'False');
    await scenario.world.until(
      claim().workspace.metadata,
      () => before.every((name) => isNotReady(scenario, name)) || undefined,
      never,
    );
    const ending = one.ensure(claim({ nodeCount: 4 }));
    await delay(1_500);
    expect(one.progress.at(-1)).toContain('so are many others');
    await setReady(scenario, before, 'True');
    expect(await ending).toMatchObject({ kind: 'acquired' });
    expect(arm.pools().find(({ origin }) => origin === 'client')?.nodes).toEqual(before);
    expect(arm.requests.filter(({ method }) => method === 'DELETE' || method === 'POST')).toEqual([]);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });
});

describe('the release', () => {
  test.each(['accepted', 'refused'] as const)(
    'scenario 26: a pool that is being created goes, too (deletion %s)',
    async (deleteWhileCreating) => {
      const { arm, worker, claim } = await start({ arm: { deleteWhileCreating } });
      arm.operations.on('create', /./).neverEnds();
      const dead = worker();
      const dying = dead.ensure(claim());
      await arm.until('the PUT is answered', () => arm.requestsOf('PUT').some(({ status }) => status === 201));
      dead.kill();
      await expect(dying).rejects.toThrow('the worker was killed');
      await worker().release(claim());
      arm.assertInvariants({ nothingLeft: true });
    },
  );

  test.each([
    [600, 600],
    [0, 0],
  ])('scenario 27: budgets that block a drain are respected for %d ms, and no longer', async (drainMs, leastMs) => {
    const { arm, worker, claim } = await start({
      configuration: { deadlines: { acceptedMs: 5_000, poolMs: 9_000, registeredMs: 9_000, gpusMs: 9_000, drainMs } },
    });
    const one = worker();
    await one.ensure(claim());
    arm.operations.on('delete', /./).fails(failures.podDrainFailure());
    const startedMs = Date.now();
    await one.release(claim());
    const deletes = arm.requestsOf('DELETE');
    const forced = deletes.find(({ query }) => query.get('ignore-pod-disruption-budget') === 'true');
    expect((forced?.atMs ?? 0) - startedMs).toBeGreaterThanOrEqual(leastMs);
    expect(deletes.filter(({ query }) => query.has('ignore-pod-disruption-budget'))).toEqual([forced]);
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 28: what is gone already is released, however often', async () => {
    const { arm, worker, claim } = await start();
    const one = worker();
    await one.ensure(claim());
    await Promise.all([one.release(claim()), worker().release(claim())]);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('a Workspace without pools is released at once, and another life of its name keeps its pools', async () => {
    const { arm, worker, claim } = await start();
    const one = worker();
    await one.ensure(claim());
    const earlier = claim();
    const { metadata } = earlier.workspace;
    await one.release({ ...earlier, workspace: { ...earlier.workspace, metadata: { ...metadata, uid: 'earlier' } } });
    expect(arm.requestsOf('DELETE')).toEqual([]);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  const steps: readonly [string, string, RegExp][] = [
    ['pools are listed', 'GET', /agentPools$/],
    ['sizes are listed', 'GET', /skus$/],
    ['the cluster is read', 'GET', /managedClusters\/aks$/],
    ['quotas are listed', 'GET', /usages$/],
    ['the name is looked at', 'GET', /agentPools\/k\w+$/],
    ['the PUT is answered', 'PUT', /agentPools/],
    ['the operation is read', 'GET', /operations/],
    ['a failed pool is deleted', 'DELETE', /agentPools/],
  ];
  test.each(steps)('scenario 29: cancelled when %s, nothing is left', async (_, method, path) => {
    const { arm, worker, claim } = await start({ arm: { timings: { createMs: 150 } } });
    if (method === 'DELETE') arm.operations.on('create', /./).fails(failures.allocationFailed());
    const one = worker();
    const ending = one.ensure(claim()).catch((error: unknown) => error);
    await arm.until('it is there', () => arm.requestsOf(method, path).some(({ status }) => status !== 0));
    one.kill();
    expect(await ending).toMatchObject({ message: 'the worker was killed' });
    await worker().release(claim());
    arm.assertInvariants({ nothingLeft: true, ...WITHOUT_TIME });
  });

  test('a pool of another size, left by an earlier candidate, is gone before the next is bought', async () => {
    const { arm, worker, claim } = await start();
    const one = worker();
    await one.ensure(claim());
    arm.quota.set(FAMILY, { limit: 48 });
    const larger = claim({
      instanceType: 'Standard_NC48ads_A100_v4',
      gpus: { count: 2, memoryBytes: 2 ** 36, resourceName: 'nvidia.com/gpu' },
    });
    expect(await one.ensure(larger)).toMatchObject({ kind: 'acquired' });
    const sizes = arm
      .pools()
      .filter(({ origin }) => origin === 'client')
      .map(({ properties }) => properties.vmSize);
    expect(sizes).toEqual(['Standard_NC48ads_A100_v4']);
    expect(
      arm.requestsOf('PUT').map(({ body }) => (body as { properties: { vmSize: string } }).properties.vmSize),
    ).toEqual([A100, 'Standard_NC48ads_A100_v4']);
    await one.release(larger);
    arm.assertInvariants({ nothingLeft: true });
  });
});
