import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labelsSelector, connect, type RequestSample } from '../../../kubernetes/client';
import { isAlreadyExists, isConflict, KubernetesError } from '../../../kubernetes/errors';
import { defineResource, keyOf, pathOf, RESOURCES } from '../../../kubernetes/resources';
import { eventually, startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';

const { configMaps, nodes, workspaces } = RESOURCES;
const AT = { namespace: 'default', name: 'a' };

function configMap(name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default', labels }, data };
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('client', () => {
  let cluster: FakeCluster;
  let samples: RequestSample[];

  beforeEach(async () => {
    samples = [];
    cluster = await startFakeCluster({ onRequest: (sample) => samples.push(sample) });
  });
  afterEach(() => cluster.stop());

  test('creates, reads, patches, applies and deletes', async () => {
    const { client } = cluster;
    expect(await client.get(configMaps, AT)).toBeUndefined();
    const made = await client.create(configMaps, configMap('a', { x: '1' }));
    expect((await client.get(configMaps, AT))?.metadata.uid).toBe(made.metadata.uid);
    expect((await client.patch(configMaps, AT, { data: { y: '2' } })).data).toEqual({ x: '1', y: '2' });
    expect((await client.patch(configMaps, AT, { data: { x: null } })).data).toEqual({ y: '2' });
    expect((await client.apply(configMaps, configMap('a', { z: '3' }))).data).toEqual({ y: '2', z: '3' });
    const stale = { ...configMap('a'), metadata: { ...AT, resourceVersion: made.metadata.resourceVersion } };
    expect(isConflict(await failureOf(client.replace(configMaps, stale)))).toBe(true);
    expect(isAlreadyExists(await failureOf(client.create(configMaps, configMap('a'))))).toBe(true);
    expect(await client.delete(configMaps, AT)).toBe('deleted');
    expect(await client.delete(configMaps, AT)).toBe('absent');
  });

  test('sends what server-side apply needs, and the status to its subresource', async () => {
    const { client, server } = cluster;
    const manifest = { apiVersion: 'kaito.sh/v1beta1', kind: 'Workspace', metadata: AT };
    await client.apply(workspaces, manifest, { fieldManager: 'me', force: false });
    await client.applyStatus(workspaces, { ...manifest, status: { state: 'Ready' } } as typeof manifest);
    await client.patchStatus(workspaces, AT, { status: { step: 'plan' } });
    const sent = server.requestsOf('patch').map(({ path, query, headers }) => ({
      path,
      query: query.toString(),
      type: headers['content-type'],
    }));
    expect(sent).toEqual([
      {
        path: '/apis/kaito.sh/v1beta1/namespaces/default/workspaces/a',
        query: 'fieldManager=me&force=false',
        type: 'application/apply-patch+yaml',
      },
      {
        path: '/apis/kaito.sh/v1beta1/namespaces/default/workspaces/a/status',
        query: 'fieldManager=kaito-temporal&force=true',
        type: 'application/apply-patch+yaml',
      },
      {
        path: '/apis/kaito.sh/v1beta1/namespaces/default/workspaces/a/status',
        query: 'fieldManager=kaito-temporal',
        type: 'application/merge-patch+json',
      },
    ]);
    const stored = await client.get(defineResource(workspaces), AT);
    expect(stored).toMatchObject({ status: { state: 'Ready', step: 'plan' }, metadata: { generation: 1 } });
  });

  test('deletes only the object with that uid', async () => {
    const { client } = cluster;
    const first = await client.create(configMaps, configMap('a'));
    await client.delete(configMaps, AT);
    const second = await client.create(configMaps, configMap('a'));
    expect(await client.delete(configMaps, AT, { uid: first.metadata.uid })).toBe('absent');
    expect((await client.get(configMaps, AT))?.metadata.uid).toBe(second.metadata.uid);
    expect(await client.delete(configMaps, AT, { uid: second.metadata.uid })).toBe('deleted');
  });

  test('says that finalizers keep an object', async () => {
    const { client } = cluster;
    await client.create(configMaps, { ...configMap('a'), metadata: { ...AT, finalizers: ['test/keep'] } });
    expect(await client.delete(configMaps, AT)).toBe('deleting');
    await client.patch(configMaps, AT, { metadata: { finalizers: null } });
    expect(await client.get(configMaps, AT)).toBeUndefined();
  });

  test('reads all pages, with selectors, kinds filled in', async () => {
    const { client, server } = cluster;
    for (let i = 0; i < 7; i++) await client.create(configMaps, configMap(`c${i}`, {}, { odd: String(i % 2) }));
    const all = await client.list(configMaps, {}, { pageSize: 3 });
    expect(all.items.map(({ metadata }) => metadata.name)).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6']);
    expect(all.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(server.requestsOf('list')).toHaveLength(3);
    const odd = await client.list(configMaps, { namespace: 'default', labelSelector: labelsSelector({ odd: '1' }) });
    expect(odd.items.map(({ metadata }) => metadata.name)).toEqual(['c1', 'c3', 'c5']);
    const named = await client.list(configMaps, { fieldSelector: 'metadata.name=c2' }, { metadataOnly: true });
    expect(named.items).toEqual([
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: expect.objectContaining({ name: 'c2' }) as unknown },
    ]);
    expect((await client.list(nodes)).items).toEqual([]);
  });

  test('uses few connections, again and again', async () => {
    const { client, server } = cluster;
    await Promise.all(Array.from({ length: 200 }, (_, i) => client.create(configMaps, configMap(`c${i}`))));
    expect(server.connections).toBeLessThanOrEqual(32);
    const before = server.connections;
    for (let i = 0; i < 50; i++) await client.get(configMaps, { namespace: 'default', name: `c${i}` });
    expect(server.connections).toBe(before);
  });

  test.each([
    { fault: { status: 503 }, name: '503' },
    { fault: 'cut' as const, name: 'a lost connection' },
    { fault: 'cut after it is done' as const, name: 'a lost answer' },
  ])('repeats what may be repeated after $name, and nothing else', async ({ fault }) => {
    const { client, server } = cluster;
    await client.create(configMaps, configMap('a'));
    server.addFault({ verb: 'get', does: fault });
    expect(await client.get(configMaps, AT)).toBeDefined();
    server.addFault({ verb: 'patch', does: fault });
    expect((await client.apply(configMaps, configMap('a', { k: 'v' }))).data).toEqual({ k: 'v' });
    server.addFault({ verb: 'create', does: fault });
    await expect(client.create(configMaps, configMap('b'))).rejects.toThrow(KubernetesError);
    expect(server.requestsOf('create')).toHaveLength(2);
    server.addFault({ verb: 'patch', does: fault });
    const { resourceVersion } = (await client.get(configMaps, AT))?.metadata ?? {};
    await expect(client.patch(configMaps, AT, { metadata: { resourceVersion } })).rejects.toThrow(KubernetesError);
  });

  test('waits as long as the server says, even before a create', async () => {
    const { client, server } = cluster;
    server.addFault({ verb: 'create', does: { status: 429, headers: { 'retry-after': '1' } } });
    const startedAt = Date.now();
    await client.create(configMaps, configMap('a'));
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1000);
    expect(samples.map(({ verb, resource, code }) => `${verb} ${resource} ${code}`)).toEqual([
      'create configmaps 429',
      'create configmaps 201',
    ]);
    expect(client.requestCounts).toEqual(new Map([['create configmaps', 2]]));
  });

  test('gives up when the server asks for more patience than there is', async () => {
    const { client, server } = cluster;
    server.addFault({ does: { status: 429, headers: { 'retry-after': '60' } } });
    const startedAt = Date.now();
    await expect(client.get(configMaps, AT, { timeoutMs: 10_000 })).rejects.toMatchObject({
      code: 429,
      retryAfterMs: 60_000,
    });
    expect(Date.now() - startedAt).toBeLessThan(5_000);
  });

  test('gives up a request without an answer after the time-out, and at once when cancelled', async () => {
    const { client, server } = cluster;
    server.addFault({ does: 'hang', times: 2 });
    await expect(client.get(configMaps, AT, { timeoutMs: 100 })).rejects.toMatchObject({
      reason: 'Timeout',
      request: 'get configmaps "a" in namespace "default"',
    });
    const cancel = new AbortController();
    const reason = new Error('cancelled');
    const pending = client.get(configMaps, AT, { signal: cancel.signal });
    cancel.abort(reason);
    await expect(pending).rejects.toBe(reason);
  });

  test('in a burst the time-out is the server’s, and does not count the time that requests wait for each other', async () => {
    const { client, server } = cluster;
    server.addFault({ does: { delayMs: 400 }, times: 100 });
    const burst = Array.from({ length: 100 }, () => client.get(configMaps, AT, { timeoutMs: 2_000 }));
    await expect(Promise.all(burst)).resolves.toHaveLength(100);
  });

  test('what the server does not answer for one kind does not hold up another', async () => {
    const { client, server } = cluster;
    server.addFault({ does: 'hang', times: 100 });
    const cancel = new AbortController();
    const burst = Array.from({ length: 100 }, () => client.get(configMaps, AT, { signal: cancel.signal }));
    const ended = Promise.allSettled(burst);
    await eventually('half of the connections wait', () => server.requestsOf('get').length === 16);
    server.clearFaults();
    expect((await client.list(nodes)).items).toEqual([]);
    expect(server.requestsOf('get')).toHaveLength(16);
    cancel.abort();
    await ended;
  });

  test('stops repeating after five attempts', async () => {
    const { client, server } = cluster;
    server.addFault({ does: { status: 500 }, times: 100 });
    await expect(client.get(configMaps, AT)).rejects.toMatchObject({ code: 500 });
    expect(server.requests).toHaveLength(5);
  });

  test('survives answers that are not from an API server', async () => {
    const { client, server } = cluster;
    server.addFault({ does: { status: 200, body: '<html>login</html>' } });
    await expect(client.get(configMaps, AT)).rejects.toMatchObject({ reason: 'Unreadable' });
    server.addFault({ does: { status: 418, body: 'proxy says no' } });
    await expect(client.get(configMaps, AT)).rejects.toMatchObject({ code: 418, message: 'proxy says no' });
  });

  test('close ends what is in flight and every connection', async () => {
    const { client, server } = cluster;
    server.addFault({ does: 'hang' });
    const pending = client.get(configMaps, AT).catch((error: unknown) => error);
    await eventually('the request arrived', () => server.requests.length === 1);
    await client.close();
    expect(await pending).toMatchObject({ name: 'KubernetesError', reason: 'Closed' });
    await eventually('no connection is open', () => server.openConnections === 0);
  });
});

describe('authentication', () => {
  test('a rotated token is picked up without a failure', async () => {
    const cluster = await startFakeCluster();
    const { server } = cluster;
    const directory = mkdtempSync(join(tmpdir(), 'exec-plugin-'));
    try {
      const token = join(directory, 'token');
      const credential = (value: string) =>
        JSON.stringify({
          kind: 'ExecCredential',
          apiVersion: 'client.authentication.k8s.io/v1',
          status: { token: value, expirationTimestamp: new Date(0).toISOString() },
        });
      writeFileSync(token, credential('one'));
      server.token = 'one';
      const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'cat', args: [token] };
      const client = connect({ kubeconfig: server.kubeconfig({ exec }) });
      expect(await client.get(configMaps, AT)).toBeUndefined();
      writeFileSync(token, credential('two'));
      server.token = 'two';
      await client.create(configMaps, configMap('a'));
      server.token = 'three';
      await expect(client.get(configMaps, AT)).rejects.toMatchObject({ code: 401, reason: 'Unauthorized' });
      await client.close();
    } finally {
      rmSync(directory, { recursive: true });
      await cluster.stop();
    }
  });

  test('a failing exec plugin is named', async () => {
    const cluster = await startFakeCluster();
    try {
      const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/nonexistent/plugin' };
      const client = connect({ kubeconfig: cluster.server.kubeconfig({ exec }) });
      await expect(client.get(configMaps, AT)).rejects.toMatchObject({
        reason: 'Credentials',
        message: expect.stringContaining('/nonexistent/plugin') as unknown,
      });
    } finally {
      await cluster.stop();
    }
  });
});

test('a server that is not there is asked five times, whatever the verb', async () => {
  const cluster = await startFakeCluster();
  await cluster.server.stop();
  await expect(cluster.client.create(configMaps, configMap('a'))).rejects.toMatchObject({
    code: 0,
    reason: 'Unreachable',
  });
  expect(cluster.client.requestCounts).toEqual(new Map([['create configmaps', 5]]));
  await cluster.client.close();
});

test('a configuration that can not work is refused at once', async () => {
  const cluster = await startFakeCluster();
  try {
    expect(() => connect({ kubeconfig: cluster.server.kubeconfig(), context: 'other' })).toThrow('no context "other"');
    expect(() => connect({ kubeconfig: '/nonexistent/kubeconfig' })).toThrow('ENOENT');
  } finally {
    await cluster.stop();
  }
});

test('paths and keys', () => {
  expect(pathOf(RESOURCES.nodeClaims, { name: 'x' })).toBe('/apis/karpenter.sh/v1/nodeclaims/x');
  expect(pathOf(RESOURCES.pods, { namespace: 'n' })).toBe('/api/v1/namespaces/n/pods');
  expect(pathOf(RESOURCES.pods)).toBe('/api/v1/pods');
  expect(pathOf(RESOURCES.pods, { namespace: '../x', name: 'a/b' })).toBe('/api/v1/namespaces/..%2Fx/pods/a%2Fb');
  expect(() => pathOf(RESOURCES.pods, { name: 'a' })).toThrow('needs a namespace');
  expect(() => pathOf(RESOURCES.nodes, { namespace: 'n' })).toThrow('no namespace');
  expect(keyOf({ namespace: 'n', name: 'a' })).toBe('n/a');
  expect(keyOf({ name: 'a' })).toBe('a');
});
