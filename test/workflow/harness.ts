/**
 * A worker with fake steps and the product's own way to start and signal a workflow, against a real Temporal server.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

import {
  RETRY_SIGNAL,
  STATUS_QUERY,
  workflowIdOf,
  type Look,
  type LookReason,
  type WorkspaceRef,
} from '../../api/workflow';
import type { Workspace, WorkspaceStatus } from '../../api/workspace';
import { createWorkflows } from '../../bridge/workflows';
import { bundleWorkflows } from '../../workers/product';
import { registerSearchAttributes } from '../../workers/search-attributes';
import { FakeSteps } from './fake-steps';

const { PendingActivityState } = temporal.api.enums.v1;

export type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** One Workspace's workflow under test. */
export interface Subject {
  readonly steps: FakeSteps;
  readonly client: Client;
  readonly ref: WorkspaceRef;
  /** Whatever run is the latest. */
  readonly handle: WorkflowHandle;
  /** Looks as the bridge does, with the Workspace as it is in {@link FakeSteps.workspace}; starts the workflow where none runs. */
  look(reason?: LookReason, life?: Partial<Look> & Pick<Look, 'uid' | 'generation'>): Promise<void>;
  retry(): Promise<void>;
  status(): Promise<WorkspaceStatus | undefined>;
  /** Resolves when nothing is pending but, at most, a timer. */
  atRest(): Promise<void>;
  events(runId?: string): Promise<readonly HistoryEvent[]>;
  /** Starts the workflow and waits until the Workspace is Ready. */
  becomeReady(): Promise<void>;
}

export interface Harness {
  readonly client: Client;
  readonly bundle: WorkflowBundleWithSourceMap;
  /** Runs `test` with a worker and a Workspace of its own, whose workflow is ended afterwards. */
  run(test: (subject: Subject) => Promise<void>): Promise<void>;
  /** Runs a worker with these activities, on a task queue of its own, while `work` runs. */
  withWorker<T>(activities: object, work: (taskQueue: string) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Server {
  readonly address: string;
  readonly namespace: string;
}

const POLL_MS = 20;
const IDENTITY = 'test';
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Connects, and bundles the workflow code once for all tests of a file. */
export async function openHarness({ address, namespace }: Server): Promise<Harness> {
  // Activities that fail are what is tested; the worker need not warn of each. What matters is asserted.
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  await registerSearchAttributes(native, namespace, silent);
  const client = new Client({ connection, namespace, identity: IDENTITY });
  const bundle = await bundleWorkflows();

  async function withWorker<T>(activities: object, work: (taskQueue: string) => Promise<T>): Promise<T> {
    const taskQueue = `test-${randomUUID()}`;
    const worker = await Worker.create({
      connection: native,
      namespace,
      identity: IDENTITY,
      taskQueue,
      workflowBundle: bundle,
      activities,
      workflowThreadPoolSize: 1,
      maxHeartbeatThrottleInterval: '50ms',
      shutdownForceTime: '1s',
    });
    return worker.runUntil(() => work(taskQueue));
  }

  return {
    client,
    bundle,
    withWorker,
    async run(test) {
      const steps = new FakeSteps();
      await withWorker(steps.activities, async (taskQueue) => {
        const subject = createSubject(client, taskQueue, steps);
        try {
          await test(subject);
        } finally {
          await subject.handle.terminate('end of test').catch(() => undefined); // most have ended
        }
      });
      if (steps.atOnce > 1)
        throw new Error(`${steps.atOnce} steps of one Workspace ran at once: ${steps.calls.join(', ')}`);
    },
    async close() {
      await connection.close();
      await native.close();
    },
  };
}

function createSubject(client: Client, taskQueue: string, steps: FakeSteps): Subject {
  const ref: WorkspaceRef = { namespace: 'default', name: `ws-${randomUUID().slice(0, 8)}` };
  const workflowId = workflowIdOf(ref);
  const handle = client.workflow.getHandle(workflowId);
  const workflows = createWorkflows(client, taskQueue);

  const subject: Subject = {
    steps,
    client,
    ref,
    handle,
    async look(reason = 'generation', life = steps.workspace) {
      if (life === undefined) throw new Error('the bridge looks at Workspaces that it sees');
      const { uid, generation, heartbeatTimeoutMs } = life;
      const beats = heartbeatTimeoutMs === undefined ? {} : { heartbeatTimeoutMs };
      await workflows.signalWithStart(workspaceOf(ref, uid, generation), { uid, generation, reason, ...beats });
    },
    retry: () => handle.signal(RETRY_SIGNAL),
    status: () => handle.query<WorkspaceStatus | undefined>(STATUS_QUERY),
    atRest: () =>
      until('the workflow rests', async () => {
        const { raw } = await handle.describe();
        return (raw.pendingWorkflowTask ?? undefined) === undefined && (raw.pendingActivities ?? []).length === 0;
      }),
    async events(runId) {
      const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      return events ?? [];
    },
    async becomeReady() {
      await subject.look();
      await subject.atRest();
      const { state } = (await subject.status()) ?? {};
      if (state !== 'Ready') throw new Error(`expected Ready, found ${state}; calls: ${steps.calls.join(', ')}`);
    },
  };
  return subject;
}

function workspaceOf({ namespace, name }: WorkspaceRef, uid: string, generation: number): Workspace {
  return {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { namespace, name, uid, generation, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    resource: { instanceType: 'A100', labelSelector: { matchLabels: { apps: name } } },
    inference: { preset: { name: 'phi-4' } },
  } as unknown as Workspace;
}

/** Waits for a condition of the server's or the fakes'; fails loudly when it does not come. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms in vain until ${what}`);
    await delay(POLL_MS);
  }
}

/** The latest run's search attribute. */
export async function searchAttribute({ handle }: Subject, name: string): Promise<unknown> {
  const { typedSearchAttributes } = await handle.describe();
  return typedSearchAttributes.getAll().find(({ key }) => key.name === name)?.value;
}

/** State of the pending activity, as `temporal workflow describe` shows it. */
export async function pendingActivity({ handle }: Subject) {
  const { raw } = await handle.describe();
  return raw.pendingActivities?.[0];
}

/** The current details, as the Temporal UI shows them. */
export async function detailsOf({ handle }: Subject): Promise<string> {
  const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  return metadata.currentDetails ?? '';
}

/** Types of the activities that a history holds, in their order. */
export function scheduled(events: readonly HistoryEvent[]): readonly string[] {
  return events.flatMap(({ activityTaskScheduledEventAttributes: at }) => at?.activityType?.name ?? []);
}

/** The timers that a history holds. */
export function timers(events: readonly HistoryEvent[]) {
  return events.flatMap(({ timerStartedEventAttributes: at, eventTime }) =>
    at === null || at === undefined
      ? []
      : [{ seconds: Number(at.startToFireTimeout?.seconds), startedMs: Number(eventTime?.seconds) * 1_000 + 999 }],
  );
}

/** `temporal activity pause` of one activity. */
export async function pauseActivity({ client, handle: { workflowId } }: Subject, id: string): Promise<void> {
  await client.workflowService.pauseActivity({ namespace: client.options.namespace, execution: { workflowId }, id });
}

/** `temporal activity unpause` of one activity. */
export async function unpauseActivity({ client, handle: { workflowId } }: Subject, id: string): Promise<void> {
  await client.workflowService.unpauseActivity({ namespace: client.options.namespace, execution: { workflowId }, id });
}

/** Resolves when the latest run has ended: how. */
export async function ended({ handle }: Subject, withinMs?: number): Promise<string> {
  let name = 'RUNNING';
  await until(
    'the run ends',
    async () => {
      ({ name } = (await handle.describe()).status);
      return name !== 'RUNNING';
    },
    withinMs,
  );
  return name;
}

/** Resolves when the pending activity has failed and waits for its next attempt. */
export async function backsOff(subject: Subject, activityType?: string): Promise<void> {
  await until('the step backs off', async () => {
    const pending = await pendingActivity(subject);
    const hasFailed =
      Boolean(pending?.lastFailure) && pending?.state === PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED;
    return hasFailed && (activityType === undefined || pending?.activityType?.name === activityType);
  });
}

/** Resolves when the pending activity is paused and its step has stopped. */
export async function isPaused(subject: Subject): Promise<void> {
  await until('the activity is paused', async () => {
    const pending = await pendingActivity(subject);
    return pending?.state === PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED;
  });
}
