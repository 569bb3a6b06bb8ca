import { EventRecorder, type EventRecorderOptions } from '../../../kubernetes/events';
import { referenceTo, type Event } from '../../../kubernetes/objects';
import { RESOURCES } from '../../../kubernetes/resources';
import { eventually, RecordingLogger, startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';

const REGARDING = { apiVersion: 'kaito.sh/v1beta1', kind: 'Workspace', namespace: 'ns', name: 'w', uid: 'u-1' };
const PLANNED = { type: 'Normal', reason: 'Planned', message: 'two nodes of size X' } as const;

describe('event recorder', () => {
  let cluster: FakeCluster;
  let recorders: EventRecorder[];
  let logger: RecordingLogger;

  beforeEach(async () => {
    cluster = await startFakeCluster();
    recorders = [];
    logger = new RecordingLogger();
  });
  afterEach(async () => {
    await Promise.all(recorders.map((recorder) => recorder.stop()));
    await cluster.stop();
  });

  function make(options: Partial<EventRecorderOptions> = {}): EventRecorder {
    const recorder = new EventRecorder(cluster.client, { logger, instance: 'pod-1', ...options });
    recorders.push(recorder);
    return recorder;
  }

  async function stored(): Promise<readonly Event[]> {
    return (await cluster.client.list(RESOURCES.events)).items;
  }

  test('writes what kubectl describe shows', async () => {
    const recorder = make();
    recorder.record(REGARDING, { ...PLANNED, action: 'Plan' });
    await recorder.flush();
    const [event] = await stored();
    expect(event).toMatchObject({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: expect.stringMatching(/^w\.[0-9a-f]{16}$/) as unknown, namespace: 'ns' },
      involvedObject: REGARDING,
      type: 'Normal',
      reason: 'Planned',
      message: 'two nodes of size X',
      action: 'Plan',
      count: 1,
      source: { component: 'kaito-temporal' },
      reportingComponent: 'kaito-temporal',
      reportingInstance: 'pod-1',
    });
    expect(event?.firstTimestamp).toBe(event?.lastTimestamp);
    expect(event && referenceTo(event).name).toBe(event?.metadata.name);
  });

  test('counts repetitions in few requests', async () => {
    const recorder = make({ burst: 1000 });
    for (let i = 0; i < 100; i++) recorder.record(REGARDING, PLANNED);
    recorder.record(REGARDING, { ...PLANNED, message: 'another' });
    await recorder.flush();
    for (let i = 0; i < 100; i++) recorder.record(REGARDING, PLANNED);
    await recorder.flush();
    expect((await stored()).map(({ message, count }) => [message, count]).sort()).toEqual([
      ['another', 1],
      ['two nodes of size X', 200],
    ]);
    expect(cluster.server.requests.filter(({ verb }) => verb !== 'list').length).toBeLessThanOrEqual(4);
  });

  test('repetitions wait for their interval, without being asked for', async () => {
    const recorder = make({ repeatIntervalMs: 100 });
    recorder.record(REGARDING, PLANNED);
    await recorder.flush();
    recorder.record(REGARDING, PLANNED);
    recorder.record(REGARDING, PLANNED);
    expect(cluster.server.requestsOf('patch')).toHaveLength(0);
    await eventually('it was written', () => cluster.server.requestsOf('patch').length === 1);
    await recorder.flush();
    expect((await stored()).map(({ count }) => count)).toEqual([3]);
  });

  test('another process goes on counting, and so does this one after the Event expired', async () => {
    const first = make();
    first.record(REGARDING, PLANNED);
    await first.flush();
    const second = make();
    second.record(REGARDING, PLANNED);
    second.record(REGARDING, PLANNED);
    await second.flush();
    expect((await stored()).map(({ count }) => count)).toEqual([3]);
    const [event] = await stored();
    await cluster.client.delete(RESOURCES.events, { namespace: 'ns', name: event?.metadata.name ?? '' });
    second.record(REGARDING, PLANNED);
    await second.flush();
    expect((await stored()).map(({ count }) => count)).toEqual([1]);
    expect(logger.lines).toEqual([]);
  });

  test('throttles one object, not others', async () => {
    const recorder = make({ burst: 3, refillMs: 500 });
    for (let i = 0; i < 10; i++) recorder.record(REGARDING, { ...PLANNED, message: `m${i}` });
    recorder.record({ ...REGARDING, uid: 'u-2', name: 'v' }, PLANNED);
    await recorder.flush();
    expect((await stored()).map(({ involvedObject: { name }, message }) => `${name} ${message}`).sort()).toEqual([
      'v two nodes of size X',
      'w m0',
      'w m1',
      'w m2',
    ]);
    expect(recorder.metrics).toEqual({ recorded: 4, dropped: 7, failed: 0 });
    await new Promise((resolve) => setTimeout(resolve, 600));
    recorder.record(REGARDING, PLANNED);
    expect(recorder.metrics.recorded).toBe(5);
  });

  test('cuts long messages between characters, and puts cluster-scoped objects into default', async () => {
    const recorder = make();
    const node = { apiVersion: 'v1', kind: 'Node', name: `${'n'.repeat(235)}.example`, uid: 'u-3' };
    recorder.record(node, { ...PLANNED, message: 'ü'.repeat(2000) });
    await recorder.flush();
    const [event] = await stored();
    expect(event?.metadata.namespace).toBe('default');
    expect(event?.metadata.name.length).toBeLessThanOrEqual(253);
    expect(event?.message).toMatch(/^ü+…$/);
    expect(Buffer.byteLength(event?.message ?? '')).toBeLessThanOrEqual(1024);
    expect(Buffer.byteLength(event?.message ?? '')).toBeGreaterThan(1020);
  });

  test('a refusal is given up at once, logged and counted; an outage is tried again', async () => {
    const recorder = make();
    cluster.server.addFault({ verb: 'create', does: { status: 403 } });
    recorder.record(REGARDING, PLANNED);
    await recorder.flush();
    expect(await stored()).toEqual([]);
    expect(recorder.metrics).toEqual({ recorded: 1, dropped: 0, failed: 1 });
    expect(logger.messages('warn')).toEqual(['events: given up']);
    cluster.server.addFault({ verb: 'create', does: { status: 500 } });
    recorder.record(REGARDING, { ...PLANNED, message: 'again' });
    await eventually('it was written', () => cluster.server.requestsOf('create').length === 3);
    await recorder.flush();
    expect((await stored()).map(({ message }) => message)).toEqual(['again']);
  });

  test('stop writes what is pending and ends even if the server is away', async () => {
    const recorder = make();
    recorder.record(REGARDING, PLANNED);
    await recorder.stop();
    expect(await stored()).toHaveLength(1);
    const other = make();
    cluster.server.addFault({ verb: 'create', does: 'hang', times: 10 });
    other.record(REGARDING, { ...PLANNED, message: 'never' });
    await other.stop({ patienceMs: 50 });
    expect(other.metrics.failed).toBe(1);
  });
});
