import type { Node } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { inference, useStage } from './support';

/** Workspaces on nodes that the user brings: simulated by KWOK, with the labels that NVIDIA's GPU feature discovery sets. */
const stage = useStage('own-nodes');

const GPU_LABELS = {
  'nvidia.com/gpu.product': 'NVIDIA-A100-80GB-PCIe',
  'nvidia.com/gpu.count': '1',
  'nvidia.com/gpu.memory': '81920',
};

async function createNode(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
  const amounts = { cpu: '32', memory: '256Gi', pods: '110', 'nvidia.com/gpu': '1' };
  stage().defer(() => stage().client.delete(RESOURCES.nodes, { name }));
  await stage().create(RESOURCES.nodes, {
    metadata: {
      name,
      annotations: { 'kwok.x-k8s.io/node': 'fake' },
      labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...labels },
    },
    status: { capacity: amounts, allocatable: amounts },
  });
  // Until the node controller has looked at it, a new node bears a taint that keeps pods away.
  await stage().until(`node ${name} takes pods`, () => {
    const node = stage().view.node(name);
    return isNodeReady(node) && (node?.spec?.taints ?? []).length === 0;
  });
}

function isNodeReady(node: Node | undefined): boolean {
  return node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/** A Workspace without an instance type. */
function onOwnNodes(namespace: string, name: string, resource: object) {
  return inference(namespace, name, { resource: { instanceType: undefined, ...resource } });
}

it('uses the nodes that matchLabels names, and buys nothing', async () => {
  const namespace = await stage().namespace();
  await createNode(`${namespace}-a`, { ...GPU_LABELS, owner: namespace });

  await stage().client.create(
    RESOURCES.workspaces,
    onOwnNodes(namespace, 'own', { labelSelector: { matchLabels: { owner: namespace } } }),
  );
  const { status } = await stage().ready({ namespace, name: 'own' });

  expect(status.workerNodes).toEqual([`${namespace}-a`]);
  expect(status.machines).toEqual([
    { name: `${namespace}-a`, provider: 'own-nodes', nodeName: `${namespace}-a`, phase: 'Ready' },
  ]);
  expect(status.conditions?.map(({ type, status: holds }) => [type, holds])).toEqual([
    ['Planned', 'True'],
    ['NodesReady', 'True'],
    ['ResourceReady', 'True'],
    ['InferenceReady', 'True'],
    ['WorkspaceSucceeded', 'True'],
  ]);
  expect(stage().view.pod(namespace, 'own-0')?.spec.nodeName).toBe(`${namespace}-a`);
  expect(stage().view.nodeClaims(namespace)).toEqual([]);
});

it('uses the nodes that matchExpressions describes, preferred ones first', async () => {
  const namespace = await stage().namespace();
  await createNode(`${namespace}-a`, { ...GPU_LABELS, owner: namespace, tier: 'fast' });
  await createNode(`${namespace}-b`, { ...GPU_LABELS, owner: namespace, tier: 'faster' });
  await createNode(`${namespace}-c`, { ...GPU_LABELS, owner: namespace, tier: 'slow' });

  await stage().client.create(
    RESOURCES.workspaces,
    onOwnNodes(namespace, 'own', {
      labelSelector: {
        matchLabels: { owner: namespace },
        matchExpressions: [
          { key: 'tier', operator: 'In', values: ['fast', 'faster'] },
          { key: 'broken', operator: 'DoesNotExist' },
        ],
      },
      preferredNodes: [`${namespace}-b`],
    }),
  );
  const { status } = await stage().ready({ namespace, name: 'own' });

  expect(status.machines?.map(({ name }) => name)).toEqual([`${namespace}-b`, `${namespace}-a`]);
  expect(stage().view.pod(namespace, 'own-0')?.spec.nodeName).toBe(`${namespace}-b`);
});

it('says that no node matches, and goes on by itself when one appears', async () => {
  const namespace = await stage().namespace();

  await stage().client.create(
    RESOURCES.workspaces,
    onOwnNodes(namespace, 'own', { labelSelector: { matchLabels: { owner: namespace } } }),
  );
  const waiting = await stage().failing({ namespace, name: 'own' }, 'NoMatchingNodes');

  expect(waiting.status.conditions).toContainEqual(
    expect.objectContaining({ type: 'Planned', status: 'False', reason: 'NoMatchingNodes' }),
  );
  expect(waiting.status.step?.message).toContain(`{"matchLabels":{"owner":"${namespace}"}}`);
  await createNode(`${namespace}-a`, { ...GPU_LABELS, owner: namespace });
  await stage().ready({ namespace, name: 'own' });
});

it('names the node and the label that is missing, and goes on when it is set', async () => {
  const namespace = await stage().namespace();
  const { 'nvidia.com/gpu.memory': memory, ...incomplete } = GPU_LABELS;
  await createNode(`${namespace}-a`, { ...incomplete, owner: namespace });

  await stage().client.create(
    RESOURCES.workspaces,
    onOwnNodes(namespace, 'own', { labelSelector: { matchLabels: { owner: namespace } } }),
  );
  const { status } = await stage().failing({ namespace, name: 'own' }, 'NoMatchingNodes');

  expect(status.step?.message).toContain(`node '${namespace}-a': labels nvidia.com/gpu.memory are missing`);
  const labels = { 'nvidia.com/gpu.memory': memory };
  await stage().client.patch(RESOURCES.nodes, { name: `${namespace}-a` }, { metadata: { labels } });
  await stage().ready({ namespace, name: 'own' });
});

it('works side by side with machines that are bought', async () => {
  const namespace = await stage().namespace();
  await createNode(`${namespace}-a`, { ...GPU_LABELS, owner: namespace });

  await stage().client.create(
    RESOURCES.workspaces,
    onOwnNodes(namespace, 'own', { labelSelector: { matchLabels: { owner: namespace } } }),
  );
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'bought'));
  const own = await stage().ready({ namespace, name: 'own' });
  const bought = await stage().ready({ namespace, name: 'bought' });

  expect(own.status.workerNodes).toEqual([`${namespace}-a`]);
  const claim = stage().onlyClaim(namespace);
  expect(bought.status.workerNodes).toEqual([claim.status?.nodeName]);
  expect(claim.metadata.labels?.['kaito.sh/workspace']).toBe('bought');
});

it('leaves the user’s nodes as they were when the Workspace goes', async () => {
  const namespace = await stage().namespace();
  await createNode(`${namespace}-a`, { ...GPU_LABELS, owner: namespace });
  const { uid, labels } = (await stage().client.get(RESOURCES.nodes, { name: `${namespace}-a` }))?.metadata ?? {};
  await stage().client.create(
    RESOURCES.workspaces,
    onOwnNodes(namespace, 'own', { labelSelector: { matchLabels: { owner: namespace } } }),
  );
  await stage().ready({ namespace, name: 'own' });

  await stage().client.delete(RESOURCES.workspaces, { namespace, name: 'own' });
  await stage().until(
    'all is gone',
    () => stage().view.workspace(namespace, 'own') === undefined && stage().view.remains(namespace).length === 0,
  );

  expect(stage().view.node(`${namespace}-a`)?.metadata).toMatchObject({ uid, labels });
  expect(stage().view.node(`${namespace}-a`)?.metadata.deletionTimestamp).toBeUndefined();
});
