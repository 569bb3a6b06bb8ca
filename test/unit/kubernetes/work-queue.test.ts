import { WorkQueue, type WorkContext } from '../../../kubernetes/work-queue';
import { deferred, type Deferred } from '../../../kubernetes/deferred';
import { eventually, RecordingLogger } from '../../fakes/apiserver/harness';

describe('work queue', () => {
  let queue: WorkQueue;
  let logger: RecordingLogger;
  /** What was handled, with the attempt. */
  let handled: string[];
  let running: number;
  let most: number;
  let gates: Map<string, Deferred<void>>;

  function make(concurrency: number, handle?: (key: string, context: WorkContext) => Promise<void>): void {
    logger = new RecordingLogger();
    handled = [];
    running = 0;
    most = 0;
    gates = new Map();
    queue = new WorkQueue({
      name: 'test',
      concurrency,
      logger,
      backoff: { initialMs: 20, maxMs: 40 },
      fieldsOf: (key) => ({ uid: `uid-of-${key}` }),
      async handle(key, context) {
        most = Math.max(most, ++running);
        handled.push(`${key} ${context.attempt}`);
        try {
          await gates.get(key)?.promise;
          await handle?.(key, context);
        } finally {
          running--;
        }
      },
    });
  }
  afterEach(() => queue.stop());

  test('handles a key once, however often it was added, in order of arrival', async () => {
    make(1);
    gates.set('a', deferred());
    for (const key of ['a', 'b', 'c', 'b', 'c', 'b']) queue.add(key);
    expect(queue.metrics).toEqual({ ready: 2, active: 1, delayed: 0, handled: 0, failed: 0 });
    gates.get('a')?.resolve();
    await queue.idle();
    expect(handled).toEqual(['a 1', 'b 1', 'c 1']);
  });

  test('never handles a key twice at once, and overlooks nothing that came meanwhile', async () => {
    make(5);
    gates.set('a', deferred());
    queue.add('a');
    queue.add('a');
    queue.add('a');
    await eventually('it runs', () => running === 1);
    gates.get('a')?.resolve();
    await queue.idle();
    expect(handled).toEqual(['a 1', 'a 1']);
    expect(most).toBe(1);
  });

  test('keeps to its concurrency', async () => {
    make(3, () => new Promise((resolve) => setTimeout(resolve, 2)));
    for (let i = 0; i < 30; i++) queue.add(`k${i}`);
    await queue.idle();
    expect(handled).toHaveLength(30);
    expect(most).toBe(3);
  });

  test('brings failures back with a back-off, counting attempts until one succeeds', async () => {
    make(2, async (key, { attempt }) => {
      if (key === 'bad' && attempt < 4) throw new Error(`no ${attempt}`);
    });
    const startedAt = Date.now();
    queue.add('bad');
    queue.add('good');
    await eventually('it succeeded', () => handled.includes('bad 4') && queue.metrics.active === 0);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(10 + 20 + 20 - 3);
    expect(queue.metrics).toEqual({ ready: 0, active: 0, delayed: 0, handled: 2, failed: 3 });
    expect(logger.messages('warn')).toHaveLength(3);
    expect(logger.lines.map(({ fields }) => fields)).toEqual(
      [1, 2, 3].map((attempt) => ({
        queue: 'test',
        key: 'bad',
        uid: 'uid-of-bad',
        attempt,
        error: expect.any(Error) as Error,
      })),
    );
    queue.add('bad');
    await queue.idle();
    expect(handled.filter((line) => line.startsWith('bad'))).toEqual(['bad 1', 'bad 2', 'bad 3', 'bad 4', 'bad 1']);
  });

  test('of several delays the soonest counts, and an add overrides them', async () => {
    make(1);
    queue.addAfter('a', 60_000);
    queue.addAfter('a', 10);
    queue.addAfter('a', 60_000);
    await eventually('it came', () => handled.length === 1);
    queue.addAfter('a', 60_000);
    queue.add('a');
    await queue.idle();
    expect(handled).toEqual(['a 1', 'a 1']);
    expect(queue.metrics.delayed).toBe(0);
  });

  test('stop finishes what is ready, drops what is delayed, takes nothing more', async () => {
    make(1, () => new Promise((resolve) => setTimeout(resolve, 5)));
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 1);
    const stopped = queue.stop();
    queue.add('d');
    queue.addAfter('e', 1);
    await stopped;
    expect(handled).toEqual(['a 1', 'b 1']);
    expect(queue.metrics).toMatchObject({ ready: 0, active: 0, delayed: 0 });
  });

  test('stop loses patience by signal', async () => {
    make(
      1,
      (_key, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('told')))),
    );
    queue.add('a');
    queue.add('b');
    await queue.stop({ patienceMs: 20 });
    expect(handled).toEqual(['a 1']);
    expect(queue.metrics).toMatchObject({ ready: 0, active: 0, delayed: 0, failed: 1 });
  });
});
