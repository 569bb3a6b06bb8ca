import { checkRolePermissions } from '../../../cli/doctor/permissions';
import type { ClusterAccess } from '../../../cli/cluster';
import { startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';

const WORKER = {
  role: 'worker',
  namespace: 'kaito-system',
  name: 'kt-worker',
  serviceAccount: 'kt-worker',
  replicas: 1,
  readyReplicas: 1,
  variables: {},
} as const;
const USER = 'system:serviceaccount:kaito-system:kt-worker';

interface Asked {
  readonly user: string;
  readonly resourceAttributes: { readonly resource: string; readonly verb: string; readonly namespace?: string };
}

describe('permissions of the worker', () => {
  let fake: FakeCluster;
  beforeEach(async () => {
    fake = await startFakeCluster();
  });
  afterEach(() => fake.stop());

  /** A cluster whose answers to access reviews are these. */
  function answering(allows: (asked: Asked['resourceAttributes']) => boolean): ClusterAccess {
    return {
      client: fake.client,
      config: undefined as never,
      context: 'fake',
      namespace: 'default',
      json: <T>({ body }: { readonly body?: object }) => {
        const { user, resourceAttributes } = (body as { readonly spec: Asked }).spec;
        return Promise.resolve({ status: { allowed: user === USER && allows(resourceAttributes) } } as T);
      },
      stream: () => Promise.reject(new Error('nothing is streamed here')),
      close: () => Promise.resolve(),
    };
  }

  /** Secrets are allowed in these namespaces only, and everything else everywhere. */
  const secretsIn = (...namespaces: readonly string[]) =>
    answering(
      ({ resource, namespace }) =>
        resource !== 'secrets' || (namespace !== undefined && namespaces.includes(namespace)),
    );

  function create(namespace: string, parts: object): void {
    const object = { apiVersion: 'kaito.sh/v1beta1', kind: 'Workspace', metadata: { name: 'w' } as never, ...parts };
    fake.server.store.create('kaito.sh/v1beta1/workspaces', namespace, object);
  }

  const preset = { name: 'org/model', presetOptions: { modelAccessSecret: 'hub' } };
  const check = (cluster: ClusterAccess) => checkRolePermissions(cluster, WORKER, new AbortController().signal);

  it('are well where all is allowed', async () => {
    expect(await check(answering(() => true))).toMatchObject({ result: 'ok' });
  });

  it('lack Secrets of namespaces whose Workspaces name some: told with the value of the chart', async () => {
    create('team-a', { inference: { preset } });
    create('team-b', { tuning: { preset: { name: 'phi' }, output: { image: 'r/i:1', imagePushSecret: 'push' } } });
    create('team-c', { tuning: { preset, output: { image: 'r/i:1', imagePushSecret: 'push' } } });
    create('team-d', { inference: { preset: { name: 'phi' } } });

    expect(await check(secretsIn('team-a'))).toEqual({
      check: 'permissions of the worker',
      result: 'fail',
      message: `${USER} may not get secrets in team-b, team-c, where Workspaces name some`,
      remedy: 'Add these namespaces to rbac.secretNamespaces of the chart.',
    });
    expect(await check(secretsIn('team-a', 'team-b', 'team-c'))).toMatchObject({
      result: 'ok',
      message: `${USER} has all; Secrets only in some namespaces, which is enough`,
    });
  });

  it('may be as intended, where no Workspace names a Secret yet', async () => {
    create('team-d', { inference: { preset: { name: 'phi' } } });

    expect(await check(secretsIn())).toMatchObject({
      result: 'warn',
      message: `${USER} may not get secrets in all namespaces; no Workspace names one`,
    });
  });

  it('need to make NetworkPolicies only where the worker is told to', async () => {
    const without = answering(({ resource }) => resource !== 'networkpolicies');
    const check = (variables: Readonly<Record<string, string>>) =>
      checkRolePermissions(without, { ...WORKER, variables }, new AbortController().signal);

    expect(await check({})).toMatchObject({ result: 'ok' });
    expect(await check({ KAITO_NETWORK_POLICIES: 'false' })).toMatchObject({ result: 'ok' });
    expect(await check({ KAITO_NETWORK_POLICIES: 'true' })).toMatchObject({
      result: 'fail',
      message: expect.stringMatching(/ may not get networkpolicies\.networking\.k8s\.io, /) as string,
    });
  });

  it('that lack something else are told as such', async () => {
    expect(await check(answering(({ resource }) => resource !== 'jobs'))).toMatchObject({
      result: 'fail',
      message: expect.stringMatching(/may not list jobs\.batch, watch jobs\.batch, .* and 1 more$/) as string,
    });
  });
});
