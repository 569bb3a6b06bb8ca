import type { Workspace } from '../../../api/workspace';
import { ensureRevision } from '../../../activities/workload/revisions';
import { RESOURCES } from '../../../kubernetes/resources';
import { controllerRevision } from '../../../manifests/controller-revision';
import { startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';
import { workspace } from './objects';

const COLLECTION = 'apps/v1/controllerrevisions';
const { signal } = new AbortController();

let cluster: FakeCluster;
let living: Workspace;
beforeEach(async () => {
  cluster = await startFakeCluster();
  const { metadata } = cluster.server.store.create('kaito.sh/v1beta1/workspaces', 'default', workspace() as never);
  living = workspace({}, { uid: metadata.uid });
});
afterEach(() => cluster.stop());

const revisions = () => cluster.client.list(RESOURCES.controllerRevisions, { namespace: 'default' });

test('what a Workspace of the same name and specification left does not stand in the way of the next', async () => {
  const former = workspace({}, { uid: 'uid-former' });
  cluster.server.store.create(COLLECTION, 'default', controllerRevision(former, 3) as never);
  await expect(ensureRevision(cluster, living, signal)).resolves.toBe(1);
  const { items } = await revisions();
  expect(items.map(({ metadata, revision }) => [metadata.ownerReferences?.[0]?.uid, revision])).toEqual([
    [living.metadata.uid, 1],
  ]);
});

test('a revision that belongs to something else is left alone, and stands in the way', async () => {
  const { metadata, ...rest } = controllerRevision(workspace(), 1);
  const ownerReferences = [
    { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'w', uid: 'uid-other', controller: true },
  ];
  cluster.server.store.create(COLLECTION, 'default', { ...rest, metadata: { ...metadata, ownerReferences } } as never);
  await expect(ensureRevision(cluster, living, signal)).rejects.toMatchObject({ code: 409 });
  const { items } = await revisions();
  expect(items.map((one) => one.metadata.ownerReferences?.[0]?.uid)).toEqual(['uid-other']);
});

test('a worker that is behind leaves what the next life has made', async () => {
  const former = workspace({}, { uid: 'uid-former' });
  cluster.server.store.create(COLLECTION, 'default', controllerRevision(living, 1) as never);
  await expect(ensureRevision(cluster, former, signal)).rejects.toMatchObject({ code: 409 });
  const { items } = await revisions();
  expect(items.map((one) => one.metadata.ownerReferences?.[0]?.uid)).toEqual([living.metadata.uid]);
});
