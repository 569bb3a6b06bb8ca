import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { Cache } from '../../kubernetes/cache';
import { connect, type KubernetesClient } from '../../kubernetes/client';
import { isAlreadyExists, isConflict, toCauseError } from '../../kubernetes/errors';
import { EventRecorder } from '../../kubernetes/events';
import { SILENT_LOGGER as logger } from '../../kubernetes/logger';
import { referenceTo } from '../../kubernetes/objects';
import { defineResource, RESOURCES } from '../../kubernetes/resources';
import { useEnvironment } from '../environment';
import { eventually } from '../fakes/apiserver/harness';

const { configMaps, events, namespaces, statefulSets, workspaces } = RESOURCES;
const namespace = `kubernetes-client-${process.pid}`;

interface Kubeconfig {
  readonly clusters: { readonly cluster: { server: string } }[];
  readonly users: { readonly user: { as?: string } }[];
}

describe('client and cache against the real API server', () => {
  let client: KubernetesClient;
  let directory: string;

  beforeAll(async () => {
    client = connect({ kubeconfig: useEnvironment().kubeconfig });
    directory = mkdtempSync(join(tmpdir(), 'kubernetes-test-'));
    await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  });
  afterAll(async () => {
    await client.delete(namespaces, { name: namespace });
    await client.close();
    rmSync(directory, { recursive: true });
  });

  function configMap(name: string, data: Record<string, string> = {}) {
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: { app: 'x' } }, data };
  }

  /** The environment's kubeconfig, changed. */
  function kubeconfig(name: string, change: (config: Kubeconfig) => void): string {
    const config = parse(readFileSync(useEnvironment().kubeconfig, 'utf8')) as Kubeconfig;
    change(config);
    const path = join(directory, name);
    writeFileSync(path, stringify(config));
    return path;
  }

  async function failureOf(promise: Promise<unknown>): Promise<unknown> {
    return await promise.then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  test('creates, applies, patches, replaces, deletes', async () => {
    const at = { namespace, name: 'one' };
    const made = await client.create(configMaps, configMap('one', { a: '1' }));
    expect(isAlreadyExists(await failureOf(client.create(configMaps, configMap('one'))))).toBe(true);
    expect((await client.apply(configMaps, configMap('one', { a: '2', b: '2' }))).data).toEqual({ a: '2', b: '2' });
    // Server-side apply takes back what this manager no longer says.
    expect((await client.apply(configMaps, configMap('one', { a: '2' }))).data).toEqual({ a: '2' });
    const foreign = client.apply(configMaps, configMap('one', { a: '3' }), { fieldManager: 'other', force: false });
    const conflict = await failureOf(foreign);
    expect(isConflict(conflict)).toBe(true);
    expect(toCauseError(conflict).failure.cause).toBe('Conflict');
    const { resourceVersion } = await client.patch(configMaps, at, { data: { c: '4' } }).then((now) => now.metadata);
    const stale = { ...configMap('one'), metadata: { ...at, resourceVersion: made.metadata.resourceVersion } };
    expect(isConflict(await failureOf(client.replace(configMaps, stale)))).toBe(true);
    const fresh = { ...configMap('one', { d: '5' }), metadata: { ...at, resourceVersion } };
    expect((await client.replace(configMaps, fresh)).data).toEqual({ d: '5' });
    expect(await client.delete(configMaps, at, { uid: '00000000-0000-0000-0000-000000000000' })).toBe('absent');
    expect(await client.get(configMaps, at)).toBeDefined();
    expect(await client.delete(configMaps, at, { uid: made.metadata.uid })).toBe('deleted');
    expect(await client.delete(configMaps, at)).toBe('absent');
  });

  test('writes the status of a Workspace and nothing else', async () => {
    const metadata = { namespace, name: 'w' };
    const manifest = {
      apiVersion: 'kaito.sh/v1beta1',
      kind: 'Workspace',
      metadata,
      resource: { instanceType: 'Standard_NC24ads_A100_v4', labelSelector: { matchLabels: { apps: 'x' } } },
      inference: { preset: { name: 'phi-4-mini-instruct' } },
    };
    const made = await client.apply(workspaces, manifest);
    const { apiVersion, kind } = manifest;
    const condition = {
      type: 'ResourceReady',
      status: 'True',
      reason: 'Test',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const status = { conditions: [condition] };
    await client.applyStatus(workspaces, { apiVersion, kind, metadata, status } as typeof manifest & {
      status: object;
    });
    const stored = await client.get(defineResource(workspaces), metadata);
    expect(stored).toMatchObject({ ...manifest, status, metadata: { uid: made.metadata.uid, generation: 1 } });
    await client.delete(workspaces, metadata);
  });

  test('names what was refused, and why', async () => {
    const invalid = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { namespace, name: 'bad' }, spec: {} };
    expect(toCauseError(await failureOf(client.create(statefulSets, invalid))).failure).toMatchObject({
      cause: 'InvalidInput',
      message: expect.stringContaining('create statefulsets "bad"') as unknown,
    });
    const unknown = defineResource({ group: 'x.example', version: 'v1', plural: 'xs', kind: 'X', namespaced: false });
    expect(toCauseError(await failureOf(client.list(unknown))).failure).toMatchObject({
      cause: 'KubernetesApi',
      remedy: expect.stringContaining('CustomResourceDefinition') as unknown,
    });
    const lost = { ...configMap('lost'), metadata: { name: 'lost', namespace: 'no-such-namespace' } };
    expect(toCauseError(await failureOf(client.create(configMaps, lost))).failure.cause).toBe('MissingReference');
    const path = kubeconfig('nobody', ({ users }) => users.forEach(({ user }) => (user.as = 'nobody')));
    const nobody = connect({ kubeconfig: path });
    expect(toCauseError(await failureOf(nobody.list(configMaps, { namespace }))).failure).toMatchObject({
      cause: 'Auth',
      remedy: `Allow the worker's service account to list configmaps in namespace "${namespace}".`,
    });
    await nobody.close();
  });

  test('counts the same Event of two recorders together, where kubectl describe finds it', async () => {
    const regarding = referenceTo(await client.create(configMaps, configMap('subject')));
    for (let i = 0; i < 2; i++) {
      const recorder = new EventRecorder(client, { logger });
      recorder.record(regarding, { type: 'Warning', reason: 'Tested', message: 'it was', action: 'Test' });
      await recorder.stop();
      expect(recorder.metrics).toEqual({ recorded: 1, dropped: 0, failed: 0 });
    }
    const fieldSelector = `involvedObject.uid=${regarding.uid}`;
    const { items } = await client.list(events, { namespace, fieldSelector });
    expect(items).toMatchObject([{ type: 'Warning', reason: 'Tested', message: 'it was', count: 2 }]);
  });

  test('metadata only, by label', async () => {
    await client.create(configMaps, configMap('meta', { big: 'x'.repeat(10_000) }));
    const cache = new Cache(client, {
      resource: configMaps,
      namespace,
      labelSelector: 'app=x',
      metadataOnly: true,
      logger,
    }).start();
    await cache.synced;
    await client.patch(configMaps, { namespace, name: 'meta' }, { metadata: { annotations: { seen: 'yes' } } });
    const at = { namespace, name: 'meta' };
    await eventually('the change came', () => cache.get(at)?.metadata.annotations?.['seen'] === 'yes');
    expect(Object.keys(cache.get(at) ?? {}).sort()).toEqual(['apiVersion', 'kind', 'metadata']);
    expect(cache.get(at)).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    await cache.stop();
  });

  test('a cache behind a line that is cut again and again ends with the truth, and saw every object', async () => {
    const proxy = await CuttingProxy.start(new URL(client.server));
    const path = kubeconfig('proxied', ({ clusters }) =>
      clusters.forEach(({ cluster }) => (cluster.server = `https://127.0.0.1:${proxy.port}`)),
    );
    const proxied = connect({ kubeconfig: path });
    const cache = new Cache(proxied, {
      resource: configMaps,
      namespace,
      labelSelector: 'app=x',
      backoff: { initialMs: 20, maxMs: 200 },
      logger,
    }).start();
    const added = new Set<string>();
    cache.subscribe((event) => {
      if (event.type === 'added') added.add(event.object.metadata.name);
    });
    await cache.synced;
    for (let i = 0; i < 60; i++) {
      if (i % 10 === 5) proxy.cut();
      await client.create(configMaps, configMap(`churn-${i}`));
      if (i % 3 === 0) await client.patch(configMaps, { namespace, name: `churn-${i}` }, { data: { now: '1' } });
      if (i % 4 === 0) await client.delete(configMaps, { namespace, name: `churn-${i}` });
    }
    const truth = await client.list(configMaps, { namespace, labelSelector: 'app=x' });
    const versions = (objects: Iterable<{ readonly metadata: { readonly resourceVersion: string } }>) =>
      [...objects].map(({ metadata }) => metadata.resourceVersion).sort();
    await eventually(
      'the cache has what the server has',
      () => JSON.stringify(versions(cache.values())) === JSON.stringify(versions(truth.items)),
      () => cache.metrics,
    );
    for (let i = 0; i < 60; i++) expect(added).toContain(`churn-${i}`);
    // Every cut was mended by resuming, not by listing again.
    expect(cache.metrics.relists).toBe(0);
    expect(cache.metrics.reconnects).toBeGreaterThanOrEqual(1);
    await cache.stop();
    await proxied.close();
    await proxy.stop();
  });
});

/** A TCP line to the API server that can be cut. */
class CuttingProxy {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(target: URL) {
    this.#server = createServer((near) => {
      const far = connectTcp(Number(target.port), target.hostname);
      near.pipe(far).pipe(near);
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(socket);
        // A cut is what this is for; both ends go.
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
    });
  }

  static async start(target: URL): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
