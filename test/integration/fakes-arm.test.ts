import { ContainerServiceClient } from '@azure/arm-containerservice';

import { connect, type KubernetesClient } from '../../kubernetes/client';
import type { Node } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { useEnvironment } from '../environment';
import { startFakeArm } from '../fakes/arm/fake-arm';
import { kwokNodes } from '../fakes/arm/kwok-nodes';
import type { FakeArm } from '../fakes/arm/types';

/** Pools of the fake Azure as nodes of a real API server. */
const QUICK = { updateIntervalInMs: 20 };
const WAIT_MS = 20_000;
const POLL_MS = 50;

let client: KubernetesClient;
let arm: FakeArm;

beforeAll(async () => {
  client = connect({ kubeconfig: useEnvironment().kubeconfig });
  arm = await startFakeArm({ nodes: kwokNodes(client), retryAfterSeconds: 'none', timings: { gpusMs: 500 } });
});

afterAll(async () => {
  await arm.stop();
  await client.close();
});

async function nodesOf(pool: string): Promise<readonly Node[]> {
  const { items } = await client.list<Node>(RESOURCES.nodes, {
    labelSelector: `kubernetes.azure.com/agentpool=${pool}`,
  });
  return items;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${WAIT_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function gpusOf(node: Node): string | undefined {
  return node.status?.allocatable?.['nvidia.com/gpu'];
}

function isReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

it('registers the nodes of a pool, then their GPUs, and takes them away with it', async () => {
  const { agentPools } = new ContainerServiceClient(arm.credential, arm.subscriptionId, {
    endpoint: arm.url,
    tlsOptions: { ca: arm.ca },
    retryOptions: { maxRetries: 0 },
  });
  const at = [arm.cluster.resourceGroup, arm.cluster.name, 'gpu1'] as const;
  const pool = {
    vmSize: 'Standard_NC48ads_A100_v4',
    count: 2,
    nodeTaints: ['sku=gpu:NoSchedule'],
    nodeLabels: { a: 'b' },
  };
  await agentPools.createOrUpdate(...at, pool, QUICK);

  await until('two nodes are ready', async () => {
    const nodes = await nodesOf('gpu1');
    return nodes.length === 2 && nodes.every(isReady);
  });
  await until('their GPUs are allocatable', async () => (await nodesOf('gpu1')).every((node) => gpusOf(node) === '2'));

  const [node] = await nodesOf('gpu1');
  expect(node?.metadata.labels).toMatchObject({
    a: 'b',
    accelerator: 'nvidia',
    agentpool: 'gpu1',
    'node.kubernetes.io/instance-type': 'Standard_NC48ads_A100_v4',
    'topology.kubernetes.io/zone': '0',
  });
  expect(node?.spec?.taints).toContainEqual({ key: 'sku', value: 'gpu', effect: 'NoSchedule' });
  expect(node?.spec?.providerID).toMatch(
    /^azure:\/\/\/subscriptions\/.*\/virtualMachineScaleSets\/aks-gpu1-\d{8}-vmss\/virtualMachines\/\d$/,
  );

  const since = new Date('2026-01-01T00:00:00Z');
  await arm.setReady('gpu1', false, { nodes: [node?.metadata.name ?? ''], since });
  const ill = (await nodesOf('gpu1')).find(({ metadata }) => metadata.name === node?.metadata.name);
  expect(ill?.status?.conditions).toContainEqual(
    expect.objectContaining({ type: 'Ready', status: 'Unknown', lastTransitionTime: '2026-01-01T00:00:00Z' }),
  );
  await arm.setReady('gpu1', true);
  await until('all are ready again', async () => (await nodesOf('gpu1')).every(isReady));
  expect((await nodesOf('gpu1')).map(gpusOf)).toEqual(['2', '2']);

  await agentPools.delete(...at, QUICK);
  await until('the nodes are gone', async () => (await nodesOf('gpu1')).length === 0);
  arm.assertInvariants({ nothingLeft: true });
});
