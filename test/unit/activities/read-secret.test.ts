import { checkPushSecret } from '../../../activities/tuning/push-secret';
import { startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';

const { signal } = new AbortController();
const AT = { namespace: 'team-b', name: 'push' };

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await startFakeCluster();
});
afterEach(() => cluster.stop());

/** As a real API server says it. */
function refuse(message: string, causes: readonly object[] = []): void {
  const body = { kind: 'Status', status: 'Failure', reason: 'Forbidden', code: 403, message, details: { causes } };
  cluster.server.addFault({ verb: 'get', does: { status: 403, body: JSON.stringify(body) } });
}

test('a Secret that the worker may not read is named, with its namespace and what to do', async () => {
  const refusal =
    'secrets "push" is forbidden: User "system:serviceaccount:kaito-system:kt-worker" cannot get resource "secrets" in API group "" in the namespace "team-b"';
  refuse(refusal);

  await expect(checkPushSecret(cluster, AT, signal)).rejects.toMatchObject({
    failure: {
      cause: 'Auth',
      message: `tuning.output.imagePushSecret: the worker may not read Secret 'push' in namespace 'team-b': ${refusal}`,
      remedy: "Ask an administrator to add 'team-b' to rbac.secretNamespaces of the chart; it is tried again.",
    },
  });
});

test('a refusal that is not about permissions is told as what it is', async () => {
  refuse('secrets "push" is forbidden: no', [{ reason: 'NamespaceTerminating' }]);

  await expect(checkPushSecret(cluster, AT, signal)).rejects.toMatchObject({ code: 403, reason: 'Forbidden' });
});

test('a Secret that is not there is told as missing', async () => {
  await expect(checkPushSecret(cluster, AT, signal)).rejects.toMatchObject({
    failure: {
      cause: 'MissingReference',
      message: "tuning.output.imagePushSecret: Secret 'push' not found in namespace 'team-b'",
    },
  });
});
