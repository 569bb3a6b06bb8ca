import type { Workspace } from '../../../api/workspace';
import { ensureClaim } from '../../../activities/tuning/results-claim';
import { RESOURCES } from '../../../kubernetes/resources';
import { outputClaim } from '../../../manifests/tuning/output-claim';
import { startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';
import { workspace } from './objects';

const COLLECTION = 'v1/persistentvolumeclaims';
const CLAIM = { name: 'w-results', storageClassName: 'kept', sizeGiB: 10 };

let cluster: FakeCluster;
let living: Workspace;
let events: string[];
beforeEach(async () => {
  cluster = await startFakeCluster();
  const { metadata } = cluster.server.store.create('kaito.sh/v1beta1/workspaces', 'default', workspace() as never);
  living = workspace({}, { uid: metadata.uid });
  events = [];
});
afterEach(() => cluster.stop());

/** A claim of the Workspace, changed as a test wants it. */
function given(of: Workspace, change: (metadata: object) => object = (metadata) => metadata) {
  const { metadata, ...rest } = outputClaim({ workspace: of, claim: { ...CLAIM, sizeGiB: 5 } });
  return cluster.server.store.create(COLLECTION, 'default', { ...rest, metadata: change(metadata) } as never);
}

const former = () => workspace({}, { uid: 'uid-former' });

const ensure = (of: Workspace = living) =>
  ensureClaim(cluster, of, CLAIM, {
    signal: new AbortController().signal,
    event: (_, type, reason, message) => void events.push(`${type} ${reason} ${message}`),
  });

const claim = () => cluster.client.get(RESOURCES.persistentVolumeClaims, { namespace: 'default', name: 'w-results' });
const deletions = () => cluster.server.requestsOf('delete').map(({ body }) => body);

test('a claim is made where there is none, and is then the Workspace’s own: it stays', async () => {
  await expect(ensure()).resolves.toBe(true);
  const made = await claim();
  await expect(ensure()).resolves.toBe(false);
  expect((await claim())?.metadata.uid).toBe(made?.metadata.uid);
  expect(deletions()).toEqual([]);
});

test('what a Workspace of the same name left is removed, exactly that object, and the next life begins with an empty one', async () => {
  const left = given(former());
  await expect(ensure()).resolves.toBe(true);
  expect(await claim()).toMatchObject({
    metadata: { ownerReferences: [{ uid: living.metadata.uid }] },
    spec: { resources: { requests: { storage: '10Gi' } } },
  });
  expect(deletions()).toEqual([
    expect.objectContaining({
      preconditions: { uid: left.metadata.uid, resourceVersion: left.metadata.resourceVersion },
    }),
  ]);
  expect(events).toEqual([
    'Normal LeftoverRemoved PersistentVolumeClaim w-results of a deleted Workspace of the same name was left, and is removed',
  ]);
});

test('one that a pod still uses is waited for by trying again', async () => {
  given(former(), (metadata) => ({ ...metadata, finalizers: ['kubernetes.io/pvc-protection'] }));
  const leaving = { failure: { cause: 'Conflict', message: 'PersistentVolumeClaim w-results is being deleted' } };
  await expect(ensure()).rejects.toMatchObject(leaving);
  await expect(ensure()).rejects.toMatchObject(leaving);
  expect(deletions()).toHaveLength(1);
  expect(events).toHaveLength(1);
});

describe('a claim is left alone, and its place is told,', () => {
  const refused = {
    failure: {
      cause: 'Conflict',
      message: expect.stringContaining("PersistentVolumeClaim 'w-results' in namespace 'default' exists") as string,
      remedy: expect.stringContaining('kubectl delete persistentvolumeclaims w-results -n default') as string,
    },
  };
  afterEach(async () => {
    expect(deletions()).toEqual([]);
    expect((await claim())?.spec.resources?.requests?.storage).toBe('5Gi');
  });

  test('when this worker is behind, and the claim is the next life’s', async () => {
    given(living);
    await expect(ensure(former())).rejects.toMatchObject(refused);
  });

  test('when the Workspace is gone meanwhile', async () => {
    given(former());
    cluster.server.store.delete('kaito.sh/v1beta1/workspaces', 'default', 'w');
    await expect(ensure()).rejects.toMatchObject(refused);
  });

  test('when it belongs to something else', async () => {
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'w', uid: 'uid-other' }];
    given(former(), (metadata) => ({ ...metadata, ownerReferences }));
    await expect(ensure()).rejects.toMatchObject(refused);
  });

  test('when one of its owners is something else', async () => {
    const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'keeper', uid: 'uid-other' };
    given(former(), (metadata) => ({
      ...metadata,
      ownerReferences: [...(metadata as { ownerReferences: object[] }).ownerReferences, other],
    }));
    await expect(ensure()).rejects.toMatchObject(refused);
  });

  test('when its labels are not those that we gave it', async () => {
    given(former(), (metadata) => ({ ...metadata, labels: { 'kaito.sh/workspace': 'w' } }));
    await expect(ensure()).rejects.toMatchObject(refused);
  });
});

test('a claim that belongs to nobody, as a backup brings it back, is taken with what it holds', async () => {
  const { metadata } = given(former(), (all) => ({ ...all, ownerReferences: undefined }));
  await expect(ensure()).resolves.toBe(false);
  expect(await claim()).toMatchObject({
    metadata: { uid: metadata.uid, ownerReferences: [{ uid: living.metadata.uid }] },
  });
  expect(deletions()).toEqual([]);
});
