import type { Workspace } from '../../../api/workspace';
import { openWorld, type World } from '../../../activities/observe/world';
import { ensureJob, type JobManifest } from '../../../activities/tuning/ensure-job';
import { SILENT_LOGGER } from '../../../kubernetes/logger';
import { RESOURCES } from '../../../kubernetes/resources';
import { ANNOTATION_RENDERED_HASH } from '../../../manifests/owned-stateful-set';
import { ownedMeta } from '../../../manifests/objects';
import { startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';
import { workspace } from './objects';

const COLLECTION = 'batch/v1/jobs';

let cluster: FakeCluster;
let world: World;
let living: Workspace;
beforeEach(async () => {
  cluster = await startFakeCluster();
  const { metadata } = cluster.server.store.create('kaito.sh/v1beta1/workspaces', 'default', workspace() as never);
  living = workspace({}, { uid: metadata.uid });
  world = await openWorld(cluster.client, SILENT_LOGGER, { nodeClaims: false });
});
afterEach(async () => {
  await world.stop();
  await cluster.stop();
});

const former = () => workspace({}, { uid: 'uid-former' });

/** The same for every life, but for whose it is. */
function job(of: Workspace): JobManifest {
  const annotations = { [ANNOTATION_RENDERED_HASH]: 'same' };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { ...ownedMeta(of, 'w'), annotations }, spec: {} } as never;
}

async function ensure(of: Workspace): Promise<readonly string[]> {
  const events: string[] = [];
  const event = (_: Workspace, __: string, ___: string, message: string) => void events.push(message);
  const { signal } = new AbortController();
  await ensureJob({ client: cluster.client, world, workload: {} as never }, of, job(of), 'none', {
    signal,
    event,
    progress: () => undefined,
  });
  return events;
}

const existing = () => cluster.client.get(RESOURCES.jobs, { namespace: 'default', name: 'w' });

test('a Job that is as rendered is left to run', async () => {
  expect(await ensure(living)).toEqual(['Job w created']);
  const made = await existing();
  expect(await ensure(living)).toEqual([]);
  expect((await existing())?.metadata.uid).toBe(made?.metadata.uid);
});

test('a Job that a former Workspace of this name left is replaced, though it is as rendered', async () => {
  const left = cluster.server.store.create(COLLECTION, 'default', job(former()) as never);
  expect(await ensure(living)).toEqual(['Job w made anew']);
  const made = await existing();
  expect(made?.metadata.uid).not.toBe(left.metadata.uid);
  expect(made?.metadata.ownerReferences).toMatchObject([{ uid: living.metadata.uid }]);
});

test('a worker that is behind leaves the next life’s Job alone', async () => {
  const next = cluster.server.store.create(COLLECTION, 'default', job(living) as never);
  await expect(ensure(former())).rejects.toMatchObject({
    failure: {
      cause: 'Conflict',
      remedy: 'Rename the Workspace, or remove the object if nobody needs it: kubectl delete jobs w -n default.',
    },
  });
  expect((await existing())?.metadata.uid).toBe(next.metadata.uid);
});
