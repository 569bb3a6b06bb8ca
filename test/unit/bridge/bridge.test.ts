import { openWorld, type World } from '../../../activities/observe/world';
import type { Look } from '../../../api/workflow';
import type { Workspace } from '../../../api/workspace';
import { startBridge, type Bridge } from '../../../bridge/bridge';
import type { StuckWorkflow, Workflows } from '../../../bridge/workflows';
import { eventually, RecordingLogger, startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';
import { workspace } from '../activities/objects';

const WORKSPACES = 'kaito.sh/v1beta1/workspaces';
const FINALIZER = 'workspace.finalizer.kaito.sh';

/** Temporal's side, as the bridge sees it: remembers what it was told. */
class RecordedWorkflows implements Workflows {
  readonly looks: string[] = [];
  readonly toRunning: string[] = [];
  keys = new Set<string>();
  failures = 0;
  stuckOnes: readonly StuckWorkflow[] = [];
  /** How many resyncs began. */
  resyncs = 0;

  signalWithStart({ metadata }: Workspace, look: Look): Promise<void> {
    if (this.failures > 0) {
      this.failures -= 1;
      return Promise.reject(new Error('Temporal is away'));
    }
    this.looks.push(`${metadata.name} ${look.reason} ${look.generation}`);
    this.keys.add(`${metadata.namespace}/${metadata.name}`);
    return Promise.resolve();
  }

  signalIfRunning({ namespace, name }: { namespace: string; name: string }, look: Look): Promise<void> {
    this.toRunning.push(`${namespace}/${name} ${look.reason}`);
    return Promise.resolve();
  }

  running(): Promise<ReadonlySet<string>> {
    this.resyncs += 1;
    return Promise.resolve(new Set(this.keys));
  }

  stuck(): Promise<readonly StuckWorkflow[]> {
    return Promise.resolve(this.stuckOnes);
  }
}

describe('bridge', () => {
  let cluster: FakeCluster;
  let world: World;
  let bridge: Bridge;
  let workflows: RecordedWorkflows;

  beforeEach(async () => {
    cluster = await startFakeCluster();
    workflows = new RecordedWorkflows();
  });
  afterEach(async () => {
    await bridge.stop();
    await world.stop();
    await eventually('no watch is open', () => cluster.server.openWatches === 0);
    await cluster.stop();
  });

  async function start(resyncMs = 3_600_000, now = Date.now): Promise<void> {
    const logger = new RecordingLogger();
    world = await openWorld(cluster.client, logger, { nodeClaims: true });
    bridge = await startBridge({ client: cluster.client, world, workflows, logger, resyncMs, now });
  }

  function create(name: string, parts: Partial<Workspace> = {}): void {
    const { metadata: _, ...rest } = workspace(parts);
    cluster.server.store.create(WORKSPACES, 'default', { ...rest, metadata: { name, generation: 1 } as never });
  }

  function update(name: string, change: (now: Workspace) => object): void {
    cluster.server.store.update(WORKSPACES, 'default', name, (now) => ({ ...now, ...change(now as never) }));
  }

  const found = (name: string) => cluster.server.store.get(WORKSPACES, 'default', name) as unknown as Workspace;
  const looked = (...looks: string[]) =>
    eventually(
      `looks: ${looks.join(', ')}`,
      () => JSON.stringify([...workflows.looks].sort()) === JSON.stringify([...looks].sort()),
      () => workflows.looks,
    );

  test('adds the finalizer before it starts the workflow', async () => {
    await start();
    const atStart: unknown[] = [];
    const signal = workflows.signalWithStart.bind(workflows);
    workflows.signalWithStart = (known, look) => {
      atStart.push(found('a').metadata.finalizers);
      return signal(known, look);
    };
    create('a');
    await looked('a generation 1');
    expect(atStart).toEqual([[FINALIZER]]);
  });

  test('leaves a Workspace that another was quicker to change until the watch brings it', async () => {
    await start();
    cluster.server.addFault({ verb: 'patch', does: { status: 409 } });
    create('a');
    create('witness');
    await looked('witness generation 1');
    update('a', ({ metadata }) => ({ metadata: { ...metadata, labels: { x: '1' } } }));
    await looked('witness generation 1', 'a generation 1');
    expect(cluster.server.requestsOf('patch')).toHaveLength(3);
  });

  test('tells each generation once, however often the Workspace changes otherwise', async () => {
    await start();
    create('a');
    await looked('a generation 1');
    update('a', ({ metadata }) => ({ metadata: { ...metadata, labels: { x: '1' } } }));
    update('a', ({ resource }) => ({ resource: { ...resource, instanceTypes: ['another'] } }));
    await looked('a generation 1', 'a generation 2');
  });

  test('tries again when Temporal is away', async () => {
    workflows.failures = 2;
    await start();
    create('a');
    await looked('a generation 1');
  });

  test('tells objects that stay unlike the status again, ever more rarely', async () => {
    let later = 0;
    await start(undefined, () => Date.now() + later * 1_000);
    create('a');
    await looked('a generation 1');
    update('a', ({ metadata }) => ({ metadata, status: { observedGeneration: 1, step: { name: 'Ready' } } }));
    const looks = ['a generation 1', 'a objects 1'];
    await looked(...looks);
    for (const [at, isTold] of [
      [20, false],
      [31, true],
      [80, false],
      [95, true],
      [190, false],
      [220, true],
    ] as const) {
      later = at;
      update('a', ({ metadata }) => ({ metadata: { ...metadata, labels: { at: String(at) } } }));
      create(`witness-${at}`);
      looks.push(`witness-${at} generation 1`, ...(isTold ? ['a objects 1'] : []));
      await looked(...looks);
    }
  });

  test('has a hundred begin at once, and each of the others when one has begun', async () => {
    await start();
    const names = Array.from({ length: 103 }, (_, index) => `w-${index}`);
    for (const name of names) create(name);
    await eventually('a hundred were told', () => workflows.looks.length === 100);
    await eventually('all are seen', () => names.every((name) => found(name).metadata.finalizers !== undefined));
    const [first = '', second = ''] = workflows.looks.map((look) => look.split(' ')[0] ?? '');
    update(first, ({ metadata }) => ({ metadata, status: { observedGeneration: 1, step: { name: 'Machines' } } }));
    await eventually('one more was told', () => workflows.looks.length === 101);
    cluster.server.store.delete(WORKSPACES, 'default', second);
    await eventually('a deletion waits for nobody', () => workflows.looks.includes(`${second} deleted 1`));
    expect(workflows.looks).toHaveLength(102);
  });

  test('tells a spec and a deletion once, however long the workflow takes: a signal is not lost', async () => {
    let later = 0;
    await start(undefined, () => Date.now() + later * 1_000);
    create('a');
    await looked('a generation 1');
    later = 3_600;
    update('a', ({ metadata }) => ({ metadata: { ...metadata, labels: { x: '1' } } }));
    create('witness');
    await looked('a generation 1', 'witness generation 1');
    cluster.server.store.delete(WORKSPACES, 'default', 'a');
    await looked('a generation 1', 'witness generation 1', 'a deleted 1');
    later = 7_200;
    update('a', ({ metadata }) => ({ metadata: { ...metadata, labels: { x: '2' } } }));
    create('witness-2');
    await looked('a generation 1', 'witness generation 1', 'a deleted 1', 'witness-2 generation 1');
  });

  const disconnects: readonly [string, (server: FakeCluster['server'], change: () => void) => void][] = [
    ['watches that end', (server, change) => (server.endWatches('close'), change())],
    ['watches that are cut', (server, change) => (server.endWatches('cut'), change())],
    ['changes while no watch is open', (server, change) => (server.unseen(change), server.endWatches('cut'))],
    [
      'a history that is compacted meanwhile',
      (server, change) => {
        server.unseen(change);
        server.store.compact();
        server.endWatches('cut');
      },
    ],
  ];
  test.each(disconnects)('misses nothing: %s', async (_, disconnect) => {
    await start();
    create('a');
    await looked('a generation 1');
    disconnect(cluster.server, () => {
      update('a', ({ resource }) => ({ resource: { ...resource, instanceTypes: ['another'] } }));
      create('b');
    });
    await looked('a generation 1', 'a generation 2', 'b generation 1');
  });

  test('on start and periodically, every Workspace has a workflow and every workflow a Workspace', async () => {
    create('lost');
    update('lost', ({ metadata }) => ({
      metadata: { ...metadata, finalizers: [FINALIZER] },
      status: { observedGeneration: 1, step: { name: 'Serving' } },
    }));
    workflows.keys = new Set(['default/orphan']);
    await start();
    await looked('lost resync 1');
    await eventually('the orphan is told', () => workflows.toRunning.includes('default/orphan gone'));
  });

  test('leaves a cancelled Workspace alone until it changes', async () => {
    create('c');
    update('c', ({ metadata }) => ({
      metadata: { ...metadata, finalizers: [FINALIZER] },
      status: { observedGeneration: 1, step: { name: 'Cancelled' } },
    }));
    create('witness');
    await start(50);
    await looked('witness generation 1');
    update('c', ({ metadata }) => ({ metadata: { ...metadata, annotations: { 'kaito.sh/retry': '1' } } }));
    await looked('witness generation 1', 'c retry 1');
  });

  test('a resync does not undo a cancellation that the watch has yet to bring', async () => {
    create('c');
    update('c', ({ metadata }) => ({
      metadata: { ...metadata, finalizers: [FINALIZER] },
      status: { observedGeneration: 1, step: { name: 'Machines' } },
    }));
    workflows.keys = new Set(['default/c']);
    await start(20);
    const status = { observedGeneration: 1, step: { name: 'Cancelled' } };
    cluster.server.unseen(() =>
      cluster.server.store.update(WORKSPACES, 'default', 'c', (now) => ({ ...now, status }), 'status'),
    );
    workflows.keys = new Set();
    const since = workflows.resyncs;
    // A resync begins when the one before has ended.
    await eventually('two whole resyncs came after it', () => workflows.resyncs >= since + 3);
    expect(workflows.looks).toEqual([]);
  });

  test('tells of a workflow that is stuck, once, on its Workspace', async () => {
    create('s');
    workflows.stuckOnes = [{ ref: { namespace: 'default', name: 's' }, why: 'cause=NonDeterministicError' }];
    await start(20);
    const told = () =>
      cluster.server.store
        .list('v1/events', 'default')
        .map((event) => event as unknown as { reason: string; message: string; count: number });
    await eventually('an Event is there', () => told().length > 0);
    create('witness');
    await looked('s generation 1', 'witness generation 1');
    expect(told()).toEqual([
      expect.objectContaining({
        reason: 'WorkflowStuck',
        count: 1,
        message: expect.stringMatching(
          /^the workflow's tasks fail: cause=NonDet.*terminate -w workspace\/default\/s\. /,
        ) as string,
      }),
    ]);
  });

  test('tells a workflow when its Workspace was torn away without release', async () => {
    await start();
    create('a');
    await looked('a generation 1');
    update('a', ({ metadata }) => ({ metadata: { ...metadata, finalizers: [] } }));
    await eventually('the finalizer is back', () => found('a').metadata.finalizers?.includes(FINALIZER) === true);
    cluster.server.unseen(() => {
      update('a', ({ metadata }) => ({ metadata: { ...metadata, finalizers: [] } }));
      cluster.server.store.delete(WORKSPACES, 'default', 'a');
    });
    cluster.server.endWatches('cut');
    await eventually('it is told', () => workflows.toRunning.includes('default/a gone'));
  });
});
