import { randomUUID } from 'node:crypto';

import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

import type { Admitted, Coordinator } from '../../activities/machines/azure/coordination/coordinator';
import { COORDINATOR_DEFAULTS, openCoordinator } from '../../activities/machines/azure/coordination/open-coordinator';
import { createTransport } from '../../activities/machines/azure/coordination/transport';
import {
  coordinatorIdOf,
  EXCHANGE_UPDATE,
  FORGET_SIGNAL,
  STATE_QUERY,
  type CoordinatorReport,
  type CoordinatorSettings,
  type Outcome,
  type PoolCandidate,
} from '../../api/coordination';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import { bundleWorkflows } from '../../workers/product';
import { useTemporal } from '../environment';
import { until } from './harness';

let connection: Connection;
let native: NativeConnection;
let workflowBundle: WorkflowBundleWithSourceMap;
const { address, namespace } = useTemporal();

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  connection = await Connection.connect({ address });
  native = await NativeConnection.connect({ address });
  workflowBundle = await bundleWorkflows();
}, 120_000);
afterAll(async () => {
  await connection.close();
  await native.close();
});

const never = new AbortController().signal;
const candidate: PoolCandidate = { family: 'A', instanceType: 'A100', priority: 'on-demand', vcpus: 24 };
const failure = { cause: 'Capacity', message: 'no capacity' } as const;
const quick: CoordinatorSettings = { burst: 2, perMinute: 600, creatingAtOnce: 2, leaseMs: 60_000, askAgainMs: 30 };

function failed(instanceType: string): Outcome {
  return { kind: 'failed', candidate: { ...candidate, instanceType }, lesson: 'allocation', failure };
}

interface Cluster {
  readonly handle: WorkflowHandle;
  /** A worker process's session. */
  readonly open: (settings?: Partial<CoordinatorSettings>) => Coordinator;
  /** As `temporal workflow query --name state` shows it. */
  readonly state: () => Promise<CoordinatorReport>;
  /** Stops the worker that runs the workflow, and starts another one. */
  readonly replaceWorker: () => Promise<void>;
  readonly events: (runId?: string) => Promise<number>;
}

/** Runs `test` with a worker and a coordinator of its own. */
async function onCluster(test: (cluster: Cluster) => Promise<void>): Promise<void> {
  const clusterId = `cluster-${randomUUID().slice(0, 8)}`;
  const taskQueue = `test-${clusterId}`;
  const client = new Client({ connection, namespace, identity: 'test' });
  const handle = client.workflow.getHandle(coordinatorIdOf(clusterId));
  const opened: Coordinator[] = [];

  async function startWorker() {
    const worker = await Worker.create({
      connection: native,
      namespace,
      taskQueue,
      workflowBundle,
      workflowThreadPoolSize: 1,
    });
    const running = worker.run();
    return async () => {
      worker.shutdown();
      await running;
    };
  }

  let stopWorker = await startWorker();
  try {
    await test({
      handle,
      open(settings = {}) {
        const coordinator = openCoordinator({
          transport: createTransport(client, clusterId, taskQueue),
          identity: 'test',
          settings: { ...quick, ...settings },
          logger: SILENT_LOGGER,
        });
        opened.push(coordinator);
        return coordinator;
      },
      state: () => handle.query<CoordinatorReport>(STATE_QUERY),
      async replaceWorker() {
        await stopWorker();
        stopWorker = await startWorker();
      },
      async events(runId) {
        const { events } = await client.workflow.getHandle(handle.workflowId, runId).fetchHistory();
        return events?.length ?? 0;
      },
    });
  } finally {
    await Promise.all(opened.map((coordinator) => coordinator.close()));
    await handle.terminate('end of test').catch(() => undefined); // one test ends it itself
    await stopWorker();
  }
}

async function admitted(coordinator: Coordinator, name: string): Promise<Admitted> {
  const request = { workspaceUid: name, workspace: `default/${name}`, candidate };
  const admission = await coordinator.admit(request, { signal: never });
  if (admission.kind !== 'admitted') throw new Error(`expected a place, found ${admission.failure.message}`);
  return admission;
}

it('the processes of a cluster share places and tokens, first come, first served', () =>
  onCluster(async ({ open, state }) => {
    const [one, other] = [open({ perMinute: 0.001 }), open({ perMinute: 0.001 })];
    expect(await one.inFlight()).toEqual([]); // nothing was ever created here
    const a = await admitted(one, 'a');
    const b = await admitted(other, 'b');
    const waiting = admitted(one, 'c');
    await until('c stands in line', async () => (await state()).waiting.length === 1);
    expect(await a.allowPut({ signal: never })).toEqual({ kind: 'allowed' });
    expect(await b.allowPut({ signal: never })).toEqual({ kind: 'allowed' });

    await until('both PUTs are sent', async () => (await state()).tokens === 0);
    expect(await state()).toMatchObject({
      creating: [{ workspace: 'default/a' }, { workspace: 'default/b' }],
      waiting: [{ workspace: 'default/c' }],
    });
    expect((await other.inFlight()).map(({ vcpus }) => vcpus)).toEqual([24, 24]);

    await b.release();
    const c = await waiting;
    expect((await state()).creating.map(({ workspace }) => workspace)).toEqual(['default/a', 'default/c']);
    await Promise.all([a.release(), c.release()]);
    expect(await other.inFlight()).toEqual([]);
  }));

it('a 429 that one process met holds the other back until then', () =>
  onCluster(async ({ open, state }) => {
    const [one, other] = [open(), open()];
    const place = await admitted(other, 'a');
    await one.throttled(3_000);
    const { throttledUntil = '' } = await state();
    await place.allowPut({ signal: never });
    // Temporal's clock and ours are the same machine's.
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(throttledUntil));
  }));

it('what failed for one is avoided by the others until a person says: forget', () =>
  onCluster(async ({ open, state, handle }) => {
    await open().report(failed('A100'));
    await until('the failure is known', async () => (await state()).avoided.length === 1);
    const other = open();
    const request = { workspaceUid: 'b', workspace: 'default/b', candidate };
    expect(await other.admit(request, { signal: never })).toMatchObject({
      kind: 'avoid',
      failure: { cause: 'Capacity' },
    });
    const { avoided } = await state();
    expect(avoided).toMatchObject([{ key: 'allocation/A100/*/on-demand', failure }]);
    await handle.signal(FORGET_SIGNAL, avoided[0]?.key);
    await (await admitted(other, 'b')).release();
    expect((await state()).avoided).toEqual([]);
  }));

it('a process that died loses its places after its lease, and one that lives keeps them', () =>
  onCluster(async ({ open, state }) => {
    const leaseMs = 4_000;
    const [dying, living, next] = [open({ leaseMs }), open({ leaseMs }), open({ leaseMs })];
    await admitted(dying, 'a');
    const kept = await admitted(living, 'b');
    await dying.close(); // gives nothing back: a successor may take over
    const began = Date.now();
    const place = await admitted(next, 'c');
    expect(Date.now() - began).toBeGreaterThan(leaseMs / 2);
    const { creating } = await state();
    expect(creating.map(({ workspace }) => workspace).sort()).toEqual(['default/b', 'default/c']);
    expect(await kept.allowPut({ signal: never })).toEqual({ kind: 'allowed' });
    await place.release();
  }));

it('the successor of a dead process takes its Workspace over at once', () =>
  onCluster(async ({ open, state }) => {
    const [dying, successor] = [open({ creatingAtOnce: 1 }), open({ creatingAtOnce: 1 })];
    await admitted(dying, 'a');
    await dying.close();
    await admitted(successor, 'a');
    expect((await state()).creating).toMatchObject([{ workspace: 'default/a' }]);
  }));

it('survives the restart of the worker that runs it', () =>
  onCluster(async ({ open, state, replaceWorker }) => {
    const coordinator = open({ creatingAtOnce: 1, perMinute: 0.001 });
    const place = await admitted(coordinator, 'a');
    await place.allowPut({ signal: never });
    await coordinator.report(failed('H100'));
    const waiting = admitted(coordinator, 'b');
    await until('b stands in line', async () => (await state()).waiting.length === 1);
    const before = await state();
    await replaceWorker();
    expect({ ...(await state()), time: '' }).toEqual({ ...before, time: '' });
    await place.release();
    await (await waiting).release();
  }));

it('one that was terminated begins anew, and is told who holds a place', () =>
  onCluster(async ({ open, state, handle }) => {
    const coordinator = open({ creatingAtOnce: 1 });
    const place = await admitted(coordinator, 'a');
    const waiting = admitted(coordinator, 'b');
    await until('b stands in line', async () => (await state()).waiting.length === 1);
    await handle.terminate('a person wanted it so');
    await until('it runs again', async () => (await handle.describe()).status.name === 'RUNNING');
    await until('it knows both', async () => (await state()).waiting.length === 1);
    expect((await state()).creating).toMatchObject([{ workspace: 'default/a' }]);
    await place.release();
    await (await waiting).release();
  }));

it('refuses what would spoil it, and goes on', () =>
  onCluster(async ({ open, state, handle }) => {
    const coordinator = open();
    const place = await admitted(coordinator, 'a');
    const said = { session: 's', number: 1 };
    for (const [malformed, message] of [
      [{}, 'session is undefined'],
      [{ ...said, joins: { ...quick, burst: 0 } }, 'joins.burst is 0'],
      [{ ...said, joins: { ...quick, perMinute: null } }, 'joins.perMinute is null'],
      [{ ...said, throttledMs: -1 }, 'throttledMs is -1'],
      [{ ...said, asks: [{ lease: 'x', workspaceUid: 'x', candidate: {} }] }, 'asks.0.candidate.family is undefined'],
      [{ ...said, wants: 'x' }, 'wants is "x"'],
      [{ ...said, outcomes: [{ ...failed('A100'), lesson: 'luck' }] }, 'outcomes.0.lesson is "luck"'],
    ] as const) {
      await expect(handle.executeUpdate(EXCHANGE_UPDATE, { args: [malformed] })).rejects.toMatchObject({
        cause: { message: expect.stringContaining(message) as string },
      });
    }
    expect(await handle.executeUpdate(EXCHANGE_UPDATE, { args: [said] })).toEqual({ kind: 'unknown' });
    expect((await state()).creating).toMatchObject([{ workspace: 'default/a' }]);
    await place.release();
  }));

it(
  'goes on from run to run, loses nothing that was said, and every run can be replayed',
  () =>
    onCluster(async ({ open, state, handle, events }) => {
      const sessions = [open({ perMinute: 0.001 }), open({ perMinute: 0.001 }), open({ perMinute: 0.001 })];
      const [holder = open()] = sessions;
      const place = await admitted(holder, 'a');
      await place.allowPut({ signal: never });
      const { runId: first } = await handle.describe();
      const runs = new Set([first]);
      const reported = new Set<string>();

      const talk = async (coordinator: Coordinator, name: string): Promise<void> => {
        for (let times = 0; runs.size < 2 && times < 1_000; times += 1) {
          const instanceType = `${name}-${times}`;
          const isKept = times % 10 === 0;
          await coordinator.report(
            isKept ? failed(instanceType) : { kind: 'succeeded', candidate: { ...candidate, instanceType } },
          );
          if (isKept) reported.add(`allocation/${instanceType}/*/on-demand`);
          if (isKept) runs.add((await handle.describe()).runId);
        }
      };
      await Promise.all(sessions.map((coordinator, index) => talk(coordinator, `t${index}`)));

      expect(runs.size).toBe(2);
      const { avoided, tokens, creating } = await state();
      expect(new Set(avoided.map(({ key }) => key))).toEqual(reported);
      expect(tokens).toBe(1);
      expect(creating).toMatchObject([{ workspace: 'default/a', waitsForToken: false }]);
      expect(await place.allowPut({ signal: never })).toEqual({ kind: 'allowed' });
      expect(await events(first)).toBeLessThan(2_100);

      const client = new Client({ connection, namespace });
      for (const runId of runs) {
        const history = await client.workflow.getHandle(handle.workflowId, runId).fetchHistory();
        await Worker.runReplayHistory({ workflowBundle }, history, handle.workflowId);
      }
    }),
  120_000,
);

it(
  'a thousand Workspaces have their turn within seconds, in more processes than Temporal lets speak at once',
  () =>
    onCluster(async ({ open, state, events }) => {
      const settings = { burst: 2_000, perMinute: 0.001, creatingAtOnce: 100, askAgainMs: 200 };
      const processes = Array.from({ length: 15 }, () => open(settings)); // Temporal: ten updates in flight
      const began = Date.now();
      await Promise.all(
        processes.flatMap((coordinator, process) =>
          Array.from({ length: 67 }, async (_, index) => {
            const place = await admitted(coordinator, `w${process}-${index}`);
            await place.allowPut({ signal: never });
            await place.release();
          }),
        ),
      );
      const tookMs = Date.now() - began;
      expect(await state()).toMatchObject({ tokens: 2_000 - 15 * 67, creating: [], waiting: [] });
      expect(await events()).toBeLessThan(2_000); // what they say at once travels together: one run suffices
      expect(tookMs).toBeLessThan(30_000);
    }),
  60_000,
);

it('the usual settings are those that the cloud publishes', () => {
  expect(COORDINATOR_DEFAULTS).toMatchObject({ burst: 20, perMinute: 1, leaseMs: 120_000 });
});
