import type { Workspace } from '../../api/workspace';
import { RESOURCES } from '../../kubernetes/resources';
import { labelsSelector } from '../../kubernetes/client';
import { condition, inference, useStage } from './support';
import { kaitoClaim, kaitoJob, kaitoServices, kaitoStatefulSet, kaitoStatus, KAITO } from './kaito-objects';
import { tuning } from './tuning-support';

/** A cluster that KAITO ran: its controller is gone, its objects are there. docs/upgrade.md says what becomes of them. */
const stage = useStage('kaito', {}, []);

type Ref = { readonly namespace: string; readonly name: string };

/** What KAITO leaves of a Workspace, as its controller wrote it. */
async function leave(manifest: { readonly metadata: object; readonly [field: string]: unknown }): Promise<Workspace> {
  const { client } = stage();
  return await client.create(RESOURCES.workspaces, {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    ...manifest,
    metadata: {
      ...manifest.metadata,
      finalizers: ['workspace.finalizer.kaito.sh'],
      annotations: { 'workspace.kaito.io/hash': 'b'.repeat(64), 'workspace.kaito.io/revision': '1' },
    },
  });
}

async function hasNode(namespace: string): Promise<void> {
  await stage().until('its node is there', () =>
    stage()
      .view.nodes()
      .some(({ metadata }) => metadata.name === stage().onlyClaim(namespace).status?.nodeName),
  );
}

async function served(): Promise<Ref> {
  const namespace = await stage().namespace();
  const workspace = await leave(inference(namespace, 'phi') as never);
  const claim = await stage().client.create(RESOURCES.nodeClaims, kaitoClaim(workspace));
  await stage().until('its machine is there', () =>
    stage()
      .view.nodeClaims(namespace)
      .some(({ status }) => status?.nodeName !== undefined),
  );
  for (const service of kaitoServices(workspace)) {
    await stage().client.apply(RESOURCES.services, service, { fieldManager: KAITO });
  }
  await stage().client.apply(RESOURCES.statefulSets, kaitoStatefulSet(workspace), { fieldManager: KAITO });
  await stage().until('its pod runs', () => stage().view.pod(namespace, 'phi-0')?.status?.phase === 'Running');
  const node = stage().view.pod(namespace, 'phi-0')?.spec.nodeName ?? '';
  await stage().client.patchStatus(RESOURCES.workspaces, workspace.metadata, { status: kaitoStatus(workspace, node) });
  expect(claim.metadata.labels).not.toHaveProperty('kaito.sh/workspace-uid');
  return { namespace, name: 'phi' };
}

it('takes over what KAITO serves: its machine is kept, its StatefulSet and Services become ours', async () => {
  const ref = await served();
  const claim = stage().onlyClaim(ref.namespace);
  const before = stage().view.statefulSet(ref.namespace, 'phi');

  const product = await stage().start();
  const { metadata, status } = await stage().ready(ref);

  expect(stage().onlyClaim(ref.namespace).metadata.uid).toBe(claim.metadata.uid);
  expect(stage().onlyClaim(ref.namespace).metadata.labels?.['kaito.sh/workspace-uid']).toBe(metadata.uid);
  expect(status.machines).toMatchObject([{ name: claim.metadata.name, phase: 'Ready' }]);
  const set = await stage().client.get(RESOURCES.statefulSets, ref);
  expect(set?.metadata.uid).toBe(before?.metadata.uid);
  const [container, ...others] = set?.spec.template.spec.containers as unknown as readonly {
    readonly startupProbe?: { readonly exec?: unknown };
    readonly ports?: readonly { readonly name: string }[];
  }[];
  expect(others).toEqual([]);
  expect(container?.startupProbe).not.toHaveProperty('exec');
  expect(container?.ports?.map(({ name }) => name)).not.toContain('kv-events');
  const service = stage().view.service(ref.namespace, 'phi');
  expect(service?.spec?.ports?.map(({ port }) => port).sort()).toEqual([29500, 80]);
  expect(service?.spec?.selector).toEqual({ 'kaito.sh/workspace': 'phi' });
  const labelSelector = labelsSelector({ 'workspace.kaito.io/name': 'phi' });
  const { items } = await stage().client.list(RESOURCES.controllerRevisions, {
    namespace: ref.namespace,
    labelSelector,
  });
  expect(items.map(({ revision }) => revision)).toContain(
    Number(metadata.annotations?.['workspace.kaito.io/revision']),
  );
  expect(condition({ metadata, status } as Workspace, 'BenchmarkCompleted')?.status).toBe('True');
  const reasons = stage()
    .view.events(ref.namespace)
    .map(({ reason }) => reason);
  expect(reasons).toContain('NodeClaimAdopted');
  expect(reasons).not.toContain('NodeClaimCreated');

  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until('nothing is left', () => stage().view.workspace(ref.namespace, 'phi') === undefined);
  await stage().until('no machine is left', () => stage().view.nodeClaims(ref.namespace).length === 0);
  await stage().stop(product);
});

it('does not train again what KAITO has tuned, and lets its machine go', async () => {
  const namespace = await stage().namespace();
  const workspace = await leave(tuning(namespace, 'tune'));
  await stage().client.create(RESOURCES.nodeClaims, kaitoClaim(workspace));
  await hasNode(namespace);
  await stage().client.create(RESOURCES.jobs, kaitoJob(workspace));
  const job = await stage().until('its Job', () => stage().view.job(namespace, 'tune') ?? true);
  await stage().client.patchStatus(RESOURCES.workspaces, workspace.metadata, { status: kaitoStatus(workspace, 'n') });

  const product = await stage().start();
  const ref = { namespace, name: 'tune' };
  const isDone = ({ status }: Workspace): boolean =>
    status?.step?.name === 'Succeeded' && /^KAITO finished this tuning/.test(status.message ?? '');
  const { status } = await stage().workspaceWhen(ref, 'is Succeeded', isDone);
  expect(status.state).toBe('Succeeded');
  expect(stage().view.nodeClaims(namespace)).toEqual([]);
  await stage().workflow(ref).terminate('another start');
  const runID = status.workflow?.runID;
  await stage().workspaceWhen(ref, 'is healed', (one) => isDone(one) && one.status?.workflow?.runID !== runID);
  expect(job).toBeDefined();
  expect(stage().view.nodeClaims(namespace)).toEqual([]);
  const reasons = stage()
    .view.events(namespace)
    .map(({ reason }) => reason);
  expect(reasons).not.toContain('JobApplied');
  expect(reasons).not.toContain('NodeClaimCreated');
  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until('it is gone', () => stage().view.workspace(namespace, 'tune') === undefined);
  await stage().stop(product);
});

it('lets go what KAITO bought when the Workspace is deleted before it was planned, and leaves foreign objects alone', async () => {
  const namespace = await stage().namespace();
  const workspace = await leave(inference(namespace, 'phi') as never);
  const claim = await stage().client.create(RESOURCES.nodeClaims, kaitoClaim(workspace));
  const foreign = await stage().client.create(RESOURCES.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name: 'phi' },
    spec: { ports: [{ port: 1 }] },
  } as never);
  await hasNode(namespace);
  await stage().client.delete(RESOURCES.workspaces, workspace.metadata);

  const product = await stage().start();
  await stage().until('it is gone', () => stage().view.workspace(namespace, 'phi') === undefined);
  await stage().until('its machine is gone', () =>
    stage()
      .view.nodeClaims(namespace)
      .every(({ metadata }) => metadata.uid !== claim.metadata.uid),
  );
  expect(stage().view.service(namespace, 'phi')?.metadata.uid).toBe(foreign.metadata.uid);

  const another = await leave(inference(namespace, 'phi') as never);
  const failing = await stage().failing({ namespace, name: 'phi' }, 'Conflict');
  expect(failing.status.step?.message).toBe(`Service 'phi' in namespace '${namespace}' exists and belongs to nobody`);
  await stage().client.delete(RESOURCES.services, { namespace, name: 'phi' });
  await stage().ready({ namespace, name: 'phi' });
  await stage().client.delete(RESOURCES.workspaces, another.metadata);
  await stage().until('it is gone, too', () => stage().view.workspace(namespace, 'phi') === undefined);
  await stage().stop(product);
});

it('tells of machines in a pool of KAITO’s, which cannot be taken over', async () => {
  const namespace = await stage().namespace();
  const name = `pool-of-${namespace}`;
  stage().defer(() => stage().client.delete(RESOURCES.nodes, { name }));
  await stage().create(RESOURCES.nodes, {
    metadata: {
      name,
      labels: {
        'karpenter.sh/nodepool': 'kaito-phi',
        'karpenter.kaito.sh/workspace-name': 'phi',
        'karpenter.kaito.sh/workspace-namespace': namespace,
      },
    },
  });
  const product = await stage().start();
  const workspace = await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  await stage().ready({ namespace, name: 'phi' });
  const told = stage()
    .view.events(namespace)
    .filter(({ reason }) => reason === 'KaitoNodePool');
  expect(told.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^KAITO's NodePool kaito-phi still runs 1 machines for this Workspace; /),
  ]);
  await stage().client.delete(RESOURCES.workspaces, workspace.metadata);
  await stage().until('it is gone', () => stage().view.workspace(namespace, 'phi') === undefined);
  await stage().stop(product);
});
