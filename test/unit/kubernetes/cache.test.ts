import { Cache, type CacheEvent, type CacheOptions } from '../../../kubernetes/cache';
import type { ConfigMap } from '../../../kubernetes/objects';
import { RESOURCES } from '../../../kubernetes/resources';
import { eventually, RecordingLogger, startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';

const COLLECTION = 'v1/configmaps';
const FAST = { backoff: { initialMs: 20, maxMs: 100 }, healthyAfterMs: 50 };

describe('cache', () => {
  let cluster: FakeCluster;
  let logger: RecordingLogger;
  let caches: Cache<ConfigMap>[];

  beforeEach(async () => {
    cluster = await startFakeCluster();
    logger = new RecordingLogger();
    caches = [];
  });
  afterEach(async () => {
    await Promise.all(caches.map((cache) => cache.stop()));
    // Nothing of a stopped cache may stay open, in any of these tests.
    await eventually('no watch is open', () => cluster.server.openWatches === 0);
    await cluster.stop();
  });

  function start(options: Partial<CacheOptions<ConfigMap>> = {}): Cache<ConfigMap> {
    const cache = new Cache(cluster.client, { resource: RESOURCES.configMaps, logger, ...FAST, ...options }).start();
    caches.push(cache);
    return cache;
  }

  function create(name: string, owner?: string): void {
    const labels = owner === undefined ? {} : { owner };
    const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
    cluster.server.store.create(COLLECTION, 'ns', { ...kind, metadata: { name, labels } as never, data: { n: '0' } });
  }

  function change(name: string, n: string): void {
    cluster.server.store.update(COLLECTION, 'ns', name, (now) => ({ ...now, data: { n } }));
  }

  function remove(name: string): void {
    cluster.server.store.delete(COLLECTION, 'ns', name);
  }

  /** What the cache has, compared with what the server has. */
  function expectSame(cache: Cache<ConfigMap>): Promise<void> {
    const have = () => [...cache.values()].map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).sort();
    const want = () => {
      const objects = cluster.server.store.list(COLLECTION, undefined);
      return objects.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).sort();
    };
    return eventually(
      'the cache has what the server has',
      () => JSON.stringify(have()) === JSON.stringify(want()),
      () => ({ have: have(), want: want(), metrics: cache.metrics }),
    );
  }

  function record(cache: Cache<ConfigMap>): string[] {
    const seen: string[] = [];
    cache.subscribe((event: CacheEvent<ConfigMap>) => {
      const from = event.type === 'modified' ? `${event.previous.data?.n}→` : '';
      seen.push(`${event.type} ${event.object.metadata.name} ${from}${event.object.data?.n}`);
    });
    return seen;
  }

  async function watching(cache: Cache<ConfigMap>): Promise<void> {
    await eventually(
      'it watches',
      () => cache.metrics.state === 'watching',
      () => cache.metrics,
    );
  }

  test('lists in pages, then follows every change in order', async () => {
    for (let i = 0; i < 5; i++) create(`old-${i}`);
    const cache = start({ pageSize: 2 });
    await cache.synced;
    expect(cache.size).toBe(5);
    await watching(cache);
    const seen = record(cache);
    seen.length = 0;
    create('new');
    change('new', '1');
    change('old-3', '1');
    remove('new');
    await eventually(
      'all four came',
      () => seen.length === 4,
      () => seen,
    );
    expect(seen).toEqual(['added new 0', 'modified new 0→1', 'modified old-3 0→1', 'deleted new 1']);
    expect(cache.get({ namespace: 'ns', name: 'old-3' })).toMatchObject({ kind: 'ConfigMap', data: { n: '1' } });
    const [watch] = cluster.server.requestsOf('watch');
    expect(Number(watch?.query.get('timeoutSeconds'))).toBeGreaterThanOrEqual(240);
    expect(cache.metrics).toMatchObject({ relists: 0, reconnects: 0, errors: 0, gone: 0, size: 5, events: 4 });
  });

  test.each(['close', 'cut'] as const)('loses nothing when watches end (%s), and does not list again', async (how) => {
    create('a');
    const cache = start();
    const seen = record(cache);
    for (let i = 1; i <= 20; i++) {
      await eventually('it watches again', () => cluster.server.openWatches === 1);
      change('a', String(i));
      cluster.server.endWatches(how);
      create(`b-${i}`);
    }
    await expectSame(cache);
    const changes = Array.from({ length: 20 }, (_, i) => `modified a ${i}→${i + 1}`);
    expect(seen.filter((line) => line.startsWith('modified'))).toEqual(changes);
    expect(cluster.server.requestsOf('list')).toHaveLength(1);
    expect(cache.metrics.reconnects).toBeGreaterThanOrEqual(19);
  });

  test('resumes from bookmarks, so that a quiet resource does not fall behind', async () => {
    create('a');
    const cache = start();
    await watching(cache);
    for (let i = 0; i < 3; i++)
      cluster.server.store.create('v1/secrets', 'ns', { metadata: { name: `s-${i}` } as never });
    cluster.server.sendBookmarks();
    const { version } = cluster.server.store;
    await eventually('the bookmark came', () => (cache.metrics.lastEventAt ?? 0) > 0 && cache.metrics.events === 0);
    cluster.server.endWatches('close');
    await eventually('it came back', () => cluster.server.requestsOf('watch').length === 2);
    expect(cluster.server.requestsOf('watch')[1]?.query.get('resourceVersion')).toBe(String(version));
  });

  test('lists again after 410 as a status', async () => {
    create('a');
    create('b');
    const cache = start();
    const seen = record(cache);
    await watching(cache);
    cluster.server.silenceWatches();
    remove('b');
    create('c');
    cluster.server.store.compact();
    cluster.server.endWatches('close');
    await expectSame(cache);
    expect(seen.slice(2)).toEqual(['added c 0', 'deleted b 0']);
    expect(cache.metrics).toMatchObject({ gone: 1, relists: 1, errors: 0 });
  });

  test('lists again after 410 as an event', async () => {
    create('a');
    const cache = start();
    await watching(cache);
    cluster.server.unseen(() => change('a', '9'));
    const gone = { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message: 'too old' };
    cluster.server.writeToWatches(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`);
    await expectSame(cache);
    expect(cache.metrics).toMatchObject({ gone: 1, relists: 1, errors: 0 });
  });

  test('does not spin when every watch gets 410 or is closed at once', async () => {
    for (const does of [{ status: 410 }, 'close at once'] as const) {
      cluster.server.requests.length = 0;
      cluster.server.addFault({ verb: 'watch', does, times: 10_000 });
      const cache = start({ backoff: { initialMs: 200, maxMs: 400 } });
      await cache.synced;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      // At 0, then after 100 to 200 and 200 to 400 ms: never more than eight in a second.
      expect(cluster.server.requests.length).toBeLessThanOrEqual(2 * 8);
      cluster.server.clearFaults();
      create(`after-${cluster.server.store.version}`);
      await expectSame(cache);
      await cache.stop();
    }
  });

  test('an event of another error is tried again with back-off, from where it was', async () => {
    create('a');
    const cache = start();
    await watching(cache);
    const status = { kind: 'Status', status: 'Failure', code: 500, reason: 'InternalError', message: 'etcd' };
    cluster.server.unseen(() => change('a', '1'));
    cluster.server.writeToWatches(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
    await expectSame(cache);
    expect(cache.metrics).toMatchObject({ relists: 0, errors: 1, reconnects: 1 });
    expect(logger.messages('warn')).toEqual(['watch: interrupted, trying again']);
  });

  test('honours Retry-After on list and watch', async () => {
    const tooMany = { status: 429, headers: { 'retry-after': '1' } };
    cluster.server.addFault({ verb: 'list', does: tooMany });
    cluster.server.addFault({ verb: 'watch', does: tooMany });
    const startedAt = Date.now();
    const cache = start();
    await cache.synced;
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1000);
    await watching(cache);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(2000);
    expect(cluster.server.requests.map(({ verb }) => verb)).toEqual(['list', 'list', 'watch', 'watch']);
  });

  test('opens a silent watch anew', async () => {
    create('a');
    const cache = start({ inactivityTimeoutMs: 300 });
    await watching(cache);
    cluster.server.silenceWatches();
    change('a', '1');
    await expectSame(cache);
    expect(cache.metrics).toMatchObject({ relists: 0, gone: 0 });
  });

  test('opens a watch anew that is not answered', async () => {
    create('a');
    cluster.server.addFault({ verb: 'watch', does: 'hang' });
    const cache = start({ answerTimeoutMs: 1_500 });
    await watching(cache);
    change('a', '1');
    await expectSame(cache);
    expect(cache.metrics).toMatchObject({ errors: 1, relists: 0 });
  });

  test('a relist repairs what a watch that seemed well has missed', async () => {
    create('a');
    create('b');
    const cache = start({ relistIntervalMs: 400 });
    const seen = record(cache);
    await watching(cache);
    cluster.server.unseen(() => {
      change('a', '1');
      remove('b');
    });
    // Moves the watch past what it has not told.
    cluster.server.sendBookmarks();
    await expectSame(cache);
    expect(seen.slice(2)).toEqual(['modified a 0→1', 'deleted b 0']);
    expect(cache.metrics).toMatchObject({ errors: 0, gone: 0 });
    expect(cache.metrics.relists).toBeGreaterThanOrEqual(1);
  });

  test('an object made again under its name while nobody watched is deleted and added', async () => {
    create('a');
    const cache = start();
    const seen = record(cache);
    await watching(cache);
    cluster.server.silenceWatches();
    remove('a');
    create('a');
    cluster.server.store.compact();
    cluster.server.endWatches('cut');
    await expectSame(cache);
    expect(seen).toEqual(['added a 0', 'deleted a 0', 'added a 0']);
  });

  test('an unreadable line loses nothing', async () => {
    create('a');
    const cache = start();
    await watching(cache);
    cluster.server.unseen(() => change('a', '1'));
    cluster.server.writeToWatches('{"type":"MODIFIED","object":{"metadata":{"na\n');
    await expectSame(cache);
    expect(cache.metrics).toMatchObject({ errors: 1, relists: 0 });
  });

  test('lists again when the same line is unreadable twice', async () => {
    create('a');
    const cache = start();
    for (let i = 0; i < 2; i++) {
      await watching(cache);
      cluster.server.writeToWatches('"nonsense"\n');
      await eventually('it was noticed', () => cache.metrics.errors === i + 1);
    }
    await eventually('it listed again', () => cache.metrics.relists === 1);
    await expectSame(cache);
  });

  test('a line cut in the middle, by chunks or by the end of the connection, loses nothing', async () => {
    create('a');
    const cache = start();
    await watching(cache);
    const changed = { ...cluster.server.store.get(COLLECTION, 'ns', 'a'), data: { n: 'grüße' } };
    changed.metadata = { ...changed.metadata, resourceVersion: '100000' };
    const line = Buffer.from(`${JSON.stringify({ type: 'MODIFIED', object: changed })}\n`);
    const middle = line.indexOf('ü') + 1;
    cluster.server.writeToWatches(line.subarray(0, middle));
    await new Promise((resolve) => setTimeout(resolve, 30));
    cluster.server.writeToWatches(line.subarray(middle));
    await eventually('it came whole', () => cache.get({ namespace: 'ns', name: 'a' })?.data?.n === 'grüße');

    const second = start();
    await watching(second);
    cluster.server.unseen(() => change('a', '2'));
    cluster.server.writeToWatches('{"type":"MODIFIED","obj');
    cluster.server.endWatches('close');
    await expectSame(second);
  });

  test('a list whose pages outlive the snapshot is read whole', async () => {
    for (let i = 0; i < 4; i++) create(`a-${i}`);
    cluster.server.addFault({ verb: 'list', does: { delayMs: 1 } });
    cluster.server.addFault({ verb: 'list', does: { status: 410 } });
    const cache = start({ pageSize: 2 });
    await cache.synced;
    expect(cache.size).toBe(4);
    expect(cluster.server.requestsOf('list').map(({ query }) => query.get('limit'))).toEqual(['2', '2', '0']);
  });

  test('slow pages and failing lists only delay', async () => {
    for (let i = 0; i < 4; i++) create(`a-${i}`);
    cluster.server.addFault({ verb: 'list', does: { status: 403 }, times: 2 });
    cluster.server.addFault({ verb: 'list', does: { delayMs: 200 }, times: 2 });
    const cache = start({ pageSize: 2 });
    await eventually('the failure shows', () => cache.metrics.lastError !== undefined);
    await cache.synced;
    expect(cache.size).toBe(4);
    expect(cache.metrics.errors).toBe(2);
    expect(cache.metrics.lastError).toBeUndefined();
  });

  test('a stop is complete at any moment', async () => {
    create('a');
    for (const does of ['hang', { delayMs: 50 }] as const) {
      for (const verb of ['list', 'watch'] as const) {
        cluster.server.requests.length = 0;
        cluster.server.addFault({ verb, does });
        const cache = start();
        await eventually('it asked', () => cluster.server.requestsOf(verb).length === 1);
        await cache.stop();
        expect(cache.metrics.state).toBe('stopped');
        await cache.synced.catch((error: unknown) => expect(String(error)).toContain('stopped before its first list'));
      }
    }
    const neverStarted = new Cache(cluster.client, { resource: RESOURCES.configMaps, logger });
    await neverStarted.stop();
    expect(() => neverStarted.start()).toThrow('make a new one');
  });

  test('a handler, index or trim that throws is logged and harms nothing', async () => {
    const cache = start({
      index: (object) => {
        if (object.metadata.name === 'bad') throw new Error('index');
        return ['all'];
      },
      trim: (object) => {
        if (object.metadata.name === 'bad') throw new Error('trim');
        return object;
      },
    });
    cache.subscribe(() => {
      throw new Error('handler');
    });
    const seen = record(cache);
    await watching(cache);
    create('bad');
    create('good');
    await eventually('both came', () => seen.length === 2);
    expect(cache.byIndex('all').map(({ metadata }) => metadata.name)).toEqual(['good']);
    expect(new Set(logger.messages('error'))).toEqual(
      new Set(['cache: trim failed', 'cache: index failed', 'cache: a handler failed']),
    );
    expect(cache.metrics.errors).toBe(0);
  });

  test('selects, trims, and can keep metadata only', async () => {
    create('a', 'me');
    create('b', 'you');
    cluster.server.store.update(COLLECTION, 'ns', 'a', (now) => ({
      ...now,
      metadata: { ...now.metadata, managedFields: [{ manager: 'x' }] },
    }));
    const whole = start({ labelSelector: 'owner=me' });
    const meta = start({ metadataOnly: true, namespace: 'ns', fieldSelector: 'metadata.name=b' });
    await Promise.all([watching(whole), watching(meta)]);
    change('b', '1');
    await eventually('the change came', () => meta.metrics.events === 1);
    const [b] = [...meta.values()];
    expect(b).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: expect.objectContaining({ name: 'b' }) as unknown,
    });
    const [a] = [...whole.values()];
    expect(a).toMatchObject({ data: { n: '0' }, metadata: { name: 'a' } });
    expect(a?.metadata).not.toHaveProperty('managedFields');
    // Selected no longer: as good as deleted.
    cluster.server.store.update(COLLECTION, 'ns', 'a', (now) => ({
      ...now,
      metadata: { ...now.metadata, labels: {} },
    }));
    await eventually('it left', () => whole.size === 0);
  });

  test('finds by index, also after a change of the keys', async () => {
    const cache = start({ index: ({ metadata: { labels } }) => (labels?.owner === undefined ? [] : [labels.owner]) });
    await watching(cache);
    create('a', 'me');
    create('b', 'me');
    await eventually('both came', () => cache.byIndex('me').length === 2);
    cluster.server.store.update(COLLECTION, 'ns', 'a', (now) => ({
      ...now,
      metadata: { ...now.metadata, labels: { owner: 'you' } },
    }));
    remove('b');
    await eventually('both left', () => cache.byIndex('me').length === 0);
    expect(cache.byIndex('you').map(({ metadata }) => metadata.name)).toEqual(['a']);
  });

  describe('waitFor', () => {
    const index = ({ metadata }: ConfigMap): readonly string[] => [metadata.labels?.owner ?? ''];

    test('looks at once, then only when something under its key changed, once per burst', async () => {
      create('a', 'me');
      const cache = start({ index });
      let looks = 0;
      const waiting = cache.waitFor('me', (objects) => {
        looks++;
        return objects.find(({ data }) => data?.n === '50');
      });
      await watching(cache);
      expect(looks).toBe(1);
      create('b', 'you');
      await eventually('the other came', () => cache.size === 2);
      expect(looks).toBe(1);
      for (let i = 1; i <= 50; i++) change('a', String(i));
      expect((await waiting).metadata.name).toBe('a');
      expect(looks).toBeLessThan(50);
      expect(await cache.waitFor('me', (objects) => objects.length)).toBe(1);
    });

    test('does not take a cache that is not filled yet for an empty one', async () => {
      create('a', 'me');
      cluster.server.addFault({ verb: 'list', does: { delayMs: 100 } });
      const cache = start({ index });
      expect(await cache.waitFor('me', (objects) => `${objects.length} found`)).toBe('1 found');
    });

    test('ends by the signal, by what the predicate throws, and with the cache', async () => {
      const cache = start({ index });
      await watching(cache);
      const reason = new Error('cancelled');
      expect(() => AbortSignal.abort(reason).throwIfAborted()).toThrow(reason);
      await expect(cache.waitFor('me', () => undefined, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      const cancel = new AbortController();
      const cancelled = cache.waitFor('me', () => undefined, { signal: cancel.signal });
      const broken = cache.waitFor('me', (objects) => {
        if (objects.length > 0) throw new Error('not what was hoped for');
      });
      const left = cache.waitFor('me', () => undefined);
      const outcomes = Promise.allSettled([cancelled, broken, left]);
      await new Promise((resolve) => setImmediate(resolve));
      cancel.abort(reason);
      create('a', 'me');
      await eventually('the object came', () => cache.size === 1);
      await cache.stop();
      expect((await outcomes).map((outcome) => (outcome.status === 'rejected' ? String(outcome.reason) : ''))).toEqual([
        'Error: cancelled',
        'Error: not what was hoped for',
        'Error: the cache of configmaps was stopped',
      ]);
    });

    test('5,000 waiters on 5,000 keys cost little', async () => {
      const cache = start({ index });
      await watching(cache);
      const count = 5_000;
      let looks = 0;
      const all = Promise.all(
        Array.from({ length: count }, (_, i) =>
          cache.waitFor(`owner-${i}`, (objects) => {
            looks++;
            return objects[0];
          }),
        ),
      );
      for (let i = 0; i < count; i++) create(`c-${i}`, `owner-${i}`);
      expect(await all).toHaveLength(count);
      expect(looks).toBe(2 * count);
    });
  });
});
