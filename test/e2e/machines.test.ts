import type { NodeClaim } from '../../kubernetes/objects';
import { defineResource, RESOURCES } from '../../kubernetes/resources';
import { anyText, inference, isReady, NODE_CLASSES, textWith, useStage } from './support';

/** Machines that can't be had, that never come up, and that go away. */
const stage = useStage('machines', {
  KAITO_NODE_CLASS_NAMES_ALLOWED: 'sold-out',
  KAITO_DEADLINE_LAUNCHED: '4s',
});

/** The simulated cloud has none of these. */
const SOLD_OUT = 'Standard_NC48ads_A100_v4';
/** The simulated cloud never answers when asked for one of these. */
const NEVER_UP = 'Standard_NC96ads_A100_v4';
const GOOD = 'Standard_NC24ads_A100_v4';

const POLICIES = defineResource({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'mutatingadmissionpolicies',
  kind: 'MutatingAdmissionPolicy',
  namespaced: false,
});
const BINDINGS = defineResource({
  ...POLICIES,
  plural: 'mutatingadmissionpolicybindings',
  kind: 'MutatingAdmissionPolicyBinding',
});

type NodeClassRef = NodeClaim['spec']['nodeClassRef'];

/**
 * Karpenter deletes a NodeClaim whose node class does not exist, as it does when a cloud has no capacity, and never launches one whose node
 * class is of a kind that it doesn't serve. The API server gives NodeClaims of a size such a class, and Karpenter does the rest.
 */
async function simulateCloud(instanceType: string, field: 'name' | 'kind', value: string): Promise<void> {
  const policy = `machines-${field}-${value.toLowerCase()}`;
  const isSize = `r.key == 'node.kubernetes.io/instance-type' && '${instanceType}' in r.values`;
  await stage().create(POLICIES, {
    metadata: { name: policy },
    spec: {
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      matchConstraints: {
        resourceRules: [
          { apiGroups: ['karpenter.sh'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['nodeclaims'] },
        ],
      },
      matchConditions: [{ name: 'size', expression: `object.spec.requirements.exists(r, ${isSize})` }],
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression: `[JSONPatch{op: "replace", path: "/spec/nodeClassRef/${field}", value: "${value}"}]`,
          },
        },
      ],
    },
  });
  await stage().create(BINDINGS, { metadata: { name: policy }, spec: { policyName: policy } });
  stage().defer(() => stage().client.delete(BINDINGS, { name: policy }));
  stage().defer(() => stage().client.delete(POLICIES, { name: policy }));

  // The API server loads policies in the background and says nowhere that it has.
  await stage().poll(`policy ${policy} is in force`, async () => (await dryRunClass(instanceType))[field] === value);
}

async function dryRunClass(instanceType: string): Promise<NodeClassRef> {
  const claim = {
    apiVersion: 'karpenter.sh/v1',
    kind: 'NodeClaim',
    metadata: { name: 'machines-dry-run' },
    spec: {
      nodeClassRef: { group: NODE_CLASSES.group, kind: NODE_CLASSES.kind, name: 'default' },
      requirements: [{ key: 'node.kubernetes.io/instance-type', operator: 'In', values: [instanceType] }],
    },
  };
  const args = ['create', '--dry-run=server', '-o', 'json', '-f', '-'];
  const made = JSON.parse(await stage().kubectl('default', args, JSON.stringify(claim))) as NodeClaim;
  return made.spec.nodeClassRef;
}

/** Keeps an object from going until it is taken away. */
const FOREIGN = 'example.com/keep';

const livingClaims = (namespace: string): readonly NodeClaim[] =>
  stage()
    .view.nodeClaims(namespace)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined);

const sizeOf = ({ spec }: NodeClaim): string | undefined =>
  spec.requirements.find(({ key }) => key === 'node.kubernetes.io/instance-type')?.values?.[0];

beforeAll(async () => {
  await simulateCloud(SOLD_OUT, 'name', 'absent');
  await simulateCloud(NEVER_UP, 'kind', 'UnservedNodeClass');
});

it('falls back to the next size when the cloud has none of the first', async () => {
  const namespace = await stage().namespace();

  await stage().client.create(
    RESOURCES.workspaces,
    inference(namespace, 'phi', { resource: { instanceType: SOLD_OUT, instanceTypes: [GOOD] } }),
  );
  const { status } = await stage().ready({ namespace, name: 'phi' });

  expect(status.instanceType).toBe(GOOD);
  expect(status.attempts).toEqual([
    expect.objectContaining({
      step: 'Machines',
      cause: 'Capacity',
      instanceType: SOLD_OUT,
      attempt: 1,
      remedy: anyText,
    }),
  ]);
  expect(sizeOf(stage().onlyClaim(namespace))).toBe(GOOD);
});

it('falls back when a machine does not come up in time, after one more try', async () => {
  const namespace = await stage().namespace();

  await stage().client.create(
    RESOURCES.workspaces,
    inference(namespace, 'phi', { resource: { instanceType: NEVER_UP, instanceTypes: [GOOD] } }),
  );
  const { status } = await stage().ready({ namespace, name: 'phi' });

  expect(status.instanceType).toBe(GOOD);
  expect(status.attempts).toEqual([
    expect.objectContaining({
      cause: 'NotReadyInTime',
      instanceType: NEVER_UP,
      message: textWith('was not launched within 4 s'),
    }),
  ]);
  expect(sizeOf(stage().onlyClaim(namespace))).toBe(GOOD);
  await stage().until('two were bought of the first size', () => {
    const bought = stage()
      .view.events(namespace)
      .filter(({ reason, message }) => reason === 'NodeClaimCreated' && message?.endsWith(NEVER_UP));
    return bought.reduce((sum, { count = 1 }) => sum + count, 0) === 2;
  });
});

it('says when it tries again after every size was refused, and tries at once when told to', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'phi' };

  await stage().client.create(
    RESOURCES.workspaces,
    inference(namespace, 'phi', {
      annotations: { 'kaito.sh/node-class-name': 'sold-out' },
      resource: { instanceType: GOOD, instanceTypes: ['Standard_Unknown', SOLD_OUT] },
    }),
  );
  const paused = await stage().workspaceWhen(
    ref,
    'paused',
    ({ status }) => status.message?.startsWith('all of') === true,
  );

  expect(paused.status.attempts?.map(({ instanceType, cause }) => [instanceType, cause])).toEqual([
    [GOOD, 'Capacity'],
    [SOLD_OUT, 'Capacity'],
  ]);
  expect(Date.parse(paused.status.step?.nextTryTime ?? '')).toBeGreaterThan(Date.now());
  expect(paused.status.conditions).toContainEqual(
    expect.objectContaining({ type: 'Planned', message: textWith('Standard_Unknown ruled out') }),
  );
  expect(stage().view.nodeClaims(namespace)).toEqual([]);

  await stage().create(NODE_CLASSES, { metadata: { name: 'sold-out' } });
  stage().defer(() => stage().client.delete(NODE_CLASSES, { name: 'sold-out' }));
  await stage().annotate(paused, { 'kaito.sh/retry': 'now' });
  const { status } = await stage().ready(ref);

  expect(status.instanceType).toBe(GOOD);
  expect(status.observedRetry).toBe('now');
  expect(status.step?.nextTryTime).toBeUndefined();
});

it('replaces a machine that is deleted after Ready, even while it lingers, and never has two living ones for a slot', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'phi' };
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  await stage().ready(ref);
  const first = stage().onlyClaim(namespace);
  const { finalizers = [] } = first.metadata;
  await stage().client.patch(RESOURCES.nodeClaims, first.metadata, {
    metadata: { finalizers: [...finalizers, FOREIGN] },
  });
  let most = 0;
  const watching = stage().view.until(() => {
    most = Math.max(most, livingClaims(namespace).length);
    return stage().view.workspace(namespace, 'phi') === undefined;
  }, 60_000);

  await stage().client.delete(RESOURCES.nodeClaims, first.metadata);
  const second = await stage().until('another machine is bought', () =>
    livingClaims(namespace).find(({ metadata }) => metadata.uid !== first.metadata.uid),
  );
  await stage().until('the workload moved there', () => {
    const { nodeName } =
      stage()
        .view.nodeClaims(namespace)
        .find(({ metadata }) => metadata.uid === second.metadata.uid)?.status ?? {};
    return nodeName !== undefined && stage().view.pod(namespace, 'phi-0')?.spec.nodeName === nodeName;
  });
  const { status } = await stage().ready(ref);

  expect(stage().view.nodeClaims(namespace)).toHaveLength(2);
  expect(status.machines).toContainEqual(expect.objectContaining({ name: second.metadata.name, phase: 'Ready' }));
  const { historyLength } = await stage().workflow(ref).describe();
  expect(historyLength).toBeLessThan(100);
  await stage().removeFinalizer(first, FOREIGN);
  await stage().until('it is gone', () => stage().view.nodeClaims(namespace).length === 1);
  await stage().workspaceWhen(ref, 'shows one machine', (one) => isReady(one) && one.status.machines?.length === 1);
  await stage().client.delete(RESOURCES.workspaces, ref);
  await watching;
  expect(most).toBe(1);
});

it('leaves other owners’ NodeClaims alone, even one that bears the Workspace’s name', async () => {
  const namespace = await stage().namespace();
  const foreign = {
    apiVersion: 'karpenter.sh/v1',
    kind: 'NodeClaim',
    metadata: {
      name: `foreign-${namespace}`,
      labels: {
        'karpenter.sh/nodepool': 'kaito',
        'kaito.sh/workspace': 'phi',
        'kaito.sh/workspacenamespace': namespace,
      },
    },
    spec: {
      nodeClassRef: { group: NODE_CLASSES.group, kind: NODE_CLASSES.kind, name: 'default' },
      requirements: [{ key: 'node.kubernetes.io/instance-type', operator: 'In', values: [GOOD] }],
      resources: { requests: { 'nvidia.com/gpu': '1' } },
      expireAfter: 'Never',
    },
  };
  await stage().client.create(RESOURCES.nodeClaims, foreign);
  await stage().until('the foreign machine is up', () => stage().view.nodeClaims(namespace)[0]?.status?.nodeName);

  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  const { status } = await stage().ready({ namespace, name: 'phi' });
  expect(status.machines?.map(({ name }) => name)).not.toContain(foreign.metadata.name);
  expect(status.machines).toHaveLength(1);
  await stage().client.delete(RESOURCES.workspaces, { namespace, name: 'phi' });
  await stage().until('the Workspace is gone', () => stage().view.workspace(namespace, 'phi') === undefined);

  expect(stage().onlyClaim(namespace).metadata).toMatchObject({ name: foreign.metadata.name });
  expect(stage().onlyClaim(namespace).metadata.deletionTimestamp).toBeUndefined();
  await stage().client.delete(RESOURCES.nodeClaims, foreign.metadata);
});

it('spreads a model over nodes that one cannot hold, and replaces only the machine that is lost', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'llama' };

  await stage().client.create(
    RESOURCES.workspaces,
    inference(namespace, 'llama', { inference: { preset: { name: 'llama-3.3-70b-instruct' } } }),
  );
  const { status } = await stage().ready(ref);
  expect(status).toMatchObject({ targetNodeCount: 3, instanceType: GOOD });
  const before = stage().view.nodeClaims(namespace);
  expect(before).toHaveLength(3);
  expect(new Set(status.workerNodes).size).toBe(3);
  // Only the first of the group answers HTTP.
  expect(stage().view.service(namespace, 'llama')?.spec.selector).toEqual({
    'kaito.sh/workspace': 'llama',
    'statefulset.kubernetes.io/pod-name': 'llama-0',
  });

  const [lost, ...kept] = before;
  if (lost === undefined) throw new Error('there is no NodeClaim');
  await stage().client.delete(RESOURCES.nodeClaims, lost.metadata, { uid: lost.metadata.uid });
  const uids = (): string[] =>
    stage()
      .view.nodeClaims(namespace)
      .map(({ metadata }) => metadata.uid);
  await stage().workspaceWhen(ref, 'ready again on other machines', (workspace) => {
    const isOther = !uids().includes(lost.metadata.uid) && uids().length === 3;
    return isOther && isReady(workspace) && workspace.status?.machines?.length === 3;
  });
  expect(uids()).toEqual(expect.arrayContaining(kept.map(({ metadata }) => metadata.uid)));
});
