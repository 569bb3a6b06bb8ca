import { createStatusWriter, forgetGone } from '../../../activities/status/status-writer';
import type { World } from '../../../activities/observe/world';
import type { Workspace } from '../../../api/workspace';
import { Cache } from '../../../kubernetes/cache';
import type { KubernetesObject } from '../../../kubernetes/objects';
import { SILENT_LOGGER } from '../../../kubernetes/logger';
import { RESOURCES } from '../../../kubernetes/resources';
import { startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';
import { workspace } from './objects';

const KIND = 'kaito.sh/v1beta1/workspaces';
const REF = { namespace: 'default', name: 'a' };

let cluster: FakeCluster;
let workspaces: World['workspaces'];
beforeEach(async () => {
  cluster = await startFakeCluster();
  workspaces = new Cache<Workspace & KubernetesObject>(cluster.client, {
    resource: RESOURCES.workspaces,
    logger: SILENT_LOGGER,
  }).start();
  await workspaces.synced;
});
afterEach(async () => {
  await workspaces.stop();
  await cluster.stop();
});

it('is ahead of what was read, until the Workspace is gone, whoever released it', async () => {
  const writer = createStatusWriter(cluster.client);
  const end = forgetGone(writer, workspaces);
  const { metadata: _, status: __, ...rest } = workspace();
  cluster.server.store.create(KIND, REF.namespace, { ...rest, metadata: { name: REF.name } as never });
  const known = await cluster.client.get<Workspace & KubernetesObject>(RESOURCES.workspaces, REF);
  if (known === undefined) throw new Error('the Workspace is gone');

  await writer.write(known, { state: 'Pending' });
  expect(writer.latest(known).status).toEqual({ state: 'Pending' });

  const seen = (wanted: 'added' | 'deleted') =>
    new Promise<void>((resolve) => {
      workspaces.subscribe(({ type }) => {
        if (type === wanted) resolve();
      });
    });
  await seen('added');
  const gone = seen('deleted');
  cluster.server.store.delete(KIND, REF.namespace, REF.name);
  await gone;
  expect(writer.latest(known).status).toBeUndefined();
  end();
});
