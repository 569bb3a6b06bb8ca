import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';

import { createMetrics } from '../../../telemetry/metrics';
import { stepInterceptors } from '../../../telemetry/steps';
import { openTracing } from '../../../telemetry/tracing';
import { createLogger } from '../../../workers/logging';

const REF = { namespace: 'team', name: 'phi' };

/** Runs one attempt that ends like `end`. */
async function attempt(activityType: string, end: () => unknown, input: object = { ref: REF }) {
  const lines: Record<string, unknown>[] = [];
  const metrics = createMetrics();
  const logger = createLogger('info', { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  let time = 0;
  const factory = stepInterceptors({
    metrics,
    tracing: openTracing({}, '1', logger),
    logger,
    uidOf: ({ name }) => `uid-of-${name}`,
    clock: () => (time += 1_500),
  });
  const info = { activityType, attempt: 3, workflowExecution: { workflowId: 'workspace/team/phi', runId: 'run' } };
  const { inbound } = factory({ info } as Parameters<ActivityInterceptorsFactory>[0]);
  const result = await inbound
    ?.execute?.({ args: [input], headers: {} }, () => Promise.resolve().then(end))
    .then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
  const samples = (await metrics.attempts.get()).values.map(({ labels, value }) => ({ ...labels, value }));
  return { result, lines, samples, running: (await metrics.running.get()).values };
}

const failure = (type: string, nonRetryable = false) =>
  ApplicationFailure.create({ message: 'no', type, nonRetryable });
const fails = (error: Error) => () => Promise.reject(error);

it.each<[string, () => unknown, string, string]>([
  ['what it returns', () => ({ kind: 'planned' }), 'done', ''],
  ['a change of the Workspace', () => ({ kind: 'superseded' }), 'superseded', ''],
  ['a lost machine', () => ({ kind: 'lost' }), 'lost', ''],
  [
    'a size that cannot be had',
    () => ({ kind: 'unavailable', attempts: [{ cause: 'Quota' }] }),
    'unavailable',
    'Quota',
  ],
  ['a failure that is tried again', fails(failure('Capacity')), 'retried', 'Capacity'],
  ['a failure for good', fails(failure('InvalidInput', true)), 'failed', 'InvalidInput'],
  ['a type that is no cause', fails(failure('ENOENT')), 'retried', 'Internal'],
  ['an error that nobody foresaw', fails(new Error('odd')), 'retried', 'Internal'],
  ['cancellation', fails(new CancelledFailure('stop')), 'cancelled', ''],
  ['a worker that stops', fails(failure('WorkerShutdown')), 'handed-over', ''],
])('%s is counted', async (_, end, outcome, cause) => {
  const { samples, running } = await attempt('acquireMachines', end);
  expect(samples).toEqual([{ step: 'Machines', outcome, cause, value: 1 }]);
  expect(running.map(({ value }) => value)).toEqual([0]);
});

it('says in the log whose attempt ended, how, and after how long', async () => {
  const { lines } = await attempt('applyWorkload', fails(failure('Conflict')));
  expect(lines).toMatchObject([
    {
      msg: 'attempt ended',
      workspace: 'team/phi',
      uid: 'uid-of-phi',
      workflowId: 'workspace/team/phi',
      runId: 'run',
      step: 'Workload',
      activity: 'applyWorkload',
      attempt: 3,
      outcome: 'retried',
      cause: 'Conflict',
      seconds: 1.5,
    },
  ]);
});

it('the UID of the plan goes before that of the name', async () => {
  const { lines } = await attempt('applyWorkload', () => ({}), { ref: REF, plan: { uid: 'planned' } });
  expect(lines).toMatchObject([{ uid: 'planned' }]);
});

it('an activity of no Workspace goes by its own name', async () => {
  const { samples, lines } = await attempt('findOrphans', () => ({ owned: 0 }), {});
  expect(samples).toEqual([{ step: 'findOrphans', outcome: 'done', cause: '', value: 1 }]);
  expect(lines[0]).not.toHaveProperty('workspace');
});

it('the activity’s result and error go through as they are', async () => {
  const error = failure('Quota');
  expect((await attempt('planWorkspace', () => 7)).result).toEqual({ value: 7 });
  expect((await attempt('planWorkspace', fails(error))).result).toEqual({ error });
});
