import type { Workspace } from '../../api/workspace';
import type { KubernetesObject, NodeClaim } from '../../kubernetes/objects';
import { RESOURCES, type Resource } from '../../kubernetes/resources';
import { condition, inference, NODE_CLASSES, textWith, useStage } from './support';

/** Deleting a Workspace in every phase of its life: it goes, with all that it had, and with nothing else. */
const stage = useStage('delete', { KAITO_NODE_CLASS_NAMES_ALLOWED: 'never-registers,sold-out' });

type Parts = Parameters<typeof inference>[2];

/** A way to each phase, and how to see that it is reached. */
const PHASES: readonly (readonly [phase: string, parts: Parts, isReached: (workspace: Workspace) => boolean])[] = [
  ['is planned', { inference: { config: 'missing' } }, ({ status }) => status?.step?.cause === 'MissingReference'],
  [
    'gets machines',
    { annotations: { 'kaito.sh/node-class-name': 'never-registers' } },
    ({ status }) => status?.machines?.[0]?.phase === 'Launched',
  ],
  [
    'waits before the sizes are tried again',
    { annotations: { 'kaito.sh/node-class-name': 'sold-out' } },
    ({ status }) => status?.message?.startsWith('all of') === true,
  ],
  [
    'waits for its model',
    {
      inference: {
        preset: undefined,
        template: { spec: { nodeSelector: { no: 'such-node' }, containers: [{ name: 'server', image: 'x' }] } },
      },
    },
    ({ status }) => status?.step?.name === 'Serving',
  ],
  ['has failed', { inference: { config: 'unreadable' } }, ({ status }) => status?.state === 'Failed'],
  ['is Ready', {}, ({ status }) => status?.step?.name === 'Ready'],
];

async function apply(parts: Parts): Promise<{ readonly namespace: string; readonly name: string }> {
  const namespace = await stage().namespace();
  const data = { 'inference_config.yaml': 'vllm: [' };
  await stage().create(RESOURCES.configMaps, { metadata: { namespace, name: 'unreadable' }, data });
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi', parts));
  return { namespace, name: 'phi' };
}

async function gone({ namespace, name }: { readonly namespace: string; readonly name: string }): Promise<void> {
  await stage().until(
    'nothing is left',
    () => stage().view.workspace(namespace, name) === undefined && stage().view.remains(namespace).length === 0,
  );
}

beforeAll(async () => {
  const spec = { nodeRegistrationDelay: '1h' };
  await stage().create(NODE_CLASSES, { metadata: { name: 'never-registers' }, spec });
  stage().defer(() => stage().client.delete(NODE_CLASSES, { name: 'never-registers' }));
});

it.each(PHASES)('leaves nothing of a Workspace that %s', async (phase, parts, isReached) => {
  const ref = await apply(parts);
  await stage().workspaceWhen(ref, phase, isReached);

  await stage().client.delete(RESOURCES.workspaces, ref);
  await gone(ref);

  // Its workflow ends well, and does not come back.
  await stage().workflow(ref).result();
});

it('leaves nothing of a Workspace that is deleted the moment it is created', async () => {
  const ref = await apply({});

  await stage().client.delete(RESOURCES.workspaces, ref);
  await gone(ref);
});

it('gives a Workspace that is re-created under the same name at once a life of its own', async () => {
  const ref = await apply({});
  const first = await stage().ready(ref);
  const claim = stage().onlyClaim(ref.namespace);

  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until('the name is free', () => stage().view.workspace(ref.namespace, ref.name) === undefined);
  await stage().client.create(RESOURCES.workspaces, inference(ref.namespace, ref.name));
  const second = await stage().ready(ref);

  expect(second.metadata.uid).not.toBe(first.metadata.uid);
  expect(second.status.workload?.revision).toBe('1');
  expect(stage().onlyClaim(ref.namespace).metadata.name).not.toBe(claim.metadata.name);
});

describe('a machine that does not go', () => {
  const KEEP = 'example.com/keep';

  async function stuck(): Promise<{ readonly ref: { namespace: string; name: string }; readonly claim: NodeClaim }> {
    const ref = await apply({});
    await stage().ready(ref);
    const claim = stage().onlyClaim(ref.namespace);
    const finalizers = [...(claim.metadata.finalizers ?? []), KEEP];
    await stage().client.patch(RESOURCES.nodeClaims, claim.metadata, { metadata: { finalizers } });
    await stage().client.delete(RESOURCES.workspaces, ref);
    const waiting = await stage().workspaceWhen(
      ref,
      'names it',
      ({ status }) => status.message?.includes(claim.metadata.name) === true,
    );
    expect(waiting.status).toMatchObject({ state: 'Deleting', step: { name: 'Release' } });
    expect(condition(waiting, 'WorkspaceDeleting')).toMatchObject({
      status: 'True',
      message: textWith(claim.metadata.name),
    });
    await stage().until('only the claim is left', () =>
      stage()
        .view.remains(ref.namespace)
        .every((name) => !/^(Pod|StatefulSet|Node) /.test(name)),
    );
    return { ref, claim };
  }

  const release = (claim: NodeClaim) => stage().removeFinalizer(claim, KEEP);

  it('is named, and keeps the Workspace until it is gone', async () => {
    const { ref, claim } = await stuck();

    expect(stage().view.workspace(ref.namespace, ref.name)?.metadata.finalizers).toHaveLength(1);
    await release(claim);
    await gone(ref);
  });

  it('lets the Workspace go when that is forced', async () => {
    const { ref, claim } = await stuck();

    await stage().kubectl(ref.namespace, ['annotate', 'workspace', 'phi', 'kaito.sh/force-delete=true']);
    await stage().until('the Workspace is gone', () => stage().view.workspace(ref.namespace, ref.name) === undefined);

    expect(stage().onlyClaim(ref.namespace).metadata.uid).toBe(claim.metadata.uid);
    await stage().until('an Event tells what was left', () =>
      stage()
        .view.events(ref.namespace)
        .some(({ reason, message }) => reason === 'ForcedDelete' && message?.includes(claim.metadata.name)),
    );
    await release(claim);
    await gone(ref);
  });
});

it.each(['StatefulSet', 'Service'] as const)(
  'does not touch another’s %s of the same name, and goes on when that is gone',
  async (kind) => {
    const namespace = await stage().namespace();
    const ref = { namespace, name: 'phi' };
    const labels = { app: 'other' };
    const resource: Resource<KubernetesObject & { spec?: unknown }> =
      kind === 'Service' ? RESOURCES.services : RESOURCES.statefulSets;
    const spec =
      kind === 'Service'
        ? { selector: labels, ports: [{ port: 81 }] }
        : {
            replicas: 0,
            serviceName: 'other',
            selector: { matchLabels: labels },
            template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'x' }] } },
          };
    const foreign = await stage().create(resource, { metadata: ref, spec });

    await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
    const { status } = await stage().failing(ref, 'Conflict');

    expect(status.step?.message).toContain(`${kind} 'phi' in namespace '${namespace}' exists and belongs to nobody`);
    const current = await stage().client.get(resource, ref);
    expect(current).toMatchObject({ metadata: { uid: foreign.metadata.uid }, spec: foreign.spec });
    expect(current?.metadata.labels).toBeUndefined();
    expect(current?.metadata.ownerReferences).toBeUndefined();
    await stage().client.delete(resource, ref);
    await stage().ready(ref);
  },
);

it('leaves another’s StatefulSet of the same name where it is when the Workspace goes', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'phi' };
  const labels = { app: 'other' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'x' }] } };
  const spec = { replicas: 0, serviceName: 'other', selector: { matchLabels: labels }, template };
  const { metadata } = await stage().create(RESOURCES.statefulSets, { metadata: ref, spec });
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  await stage().failing(ref, 'Conflict');

  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until('the Workspace is gone', () => stage().view.workspace(namespace, 'phi') === undefined);

  expect(await stage().client.get(RESOURCES.statefulSets, ref)).toMatchObject({ metadata: { uid: metadata.uid } });
  await stage().client.delete(RESOURCES.statefulSets, ref);
});
