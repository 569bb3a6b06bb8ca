import { setInterval } from 'node:timers';

import { CancelledFailure, Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';

import type { Cause } from '../../api/causes';
import {
  withAttempt,
  type Candidate,
  type Plan,
  type StepFailure,
  type StepName,
  type TuningPlan,
  type WorkspaceActivities,
} from '../../api/workflow';
import type { WorkspaceStatus } from '../../api/workspace';

type Name = keyof WorkspaceActivities;
type Input<N extends Name> = Parameters<WorkspaceActivities[N]>[0];
type Output<N extends Name> = Awaited<ReturnType<WorkspaceActivities[N]>>;
type Answer<N extends Name> = (input: Input<N>) => Output<N> | Promise<Output<N>>;

/** A step that a test has in its hands. */
export interface Held<N extends Name> {
  /** Resolves when the step begins. */
  readonly entered: Promise<{ readonly input: Input<N>; readonly attempt: number; readonly activityId: string }>;
  /** Resolves when the step is told to stop. */
  readonly cancelled: Promise<void>;
  /** Ends it; without a result: as a step ends when nothing is in its way. */
  complete(output?: Output<N>): void;
  fail(error: Error): void;
}

export interface HoldOptions {
  /** Default `stop`: throws at once, as steps do. `finish`: goes on until the test ends it. */
  readonly whenCancelled?: 'stop' | 'finish';
  /** False: no heartbeat, like a step of a worker that was killed. Default true. */
  readonly beats?: boolean;
}

/** The Workspace as the fake steps see it. */
export interface FakeWorkspace {
  readonly uid: string;
  readonly generation: number;
  readonly deleting?: boolean;
}

const BEAT_MS = 50;

/**
 * The product's activities without a cluster behind them: they follow {@link workspace}, answer as if nothing were in the way unless the test
 * scripted something else, and note each call.
 */
export class FakeSteps {
  /** What `kubectl get` would show; undefined: nothing of that name. */
  workspace: FakeWorkspace | undefined = { uid: 'uid-1', generation: 1 };
  candidates: readonly Candidate[] = [candidate('A100')];
  /** Set for a tuning Workspace. */
  tuning: TuningPlan | undefined;
  /** Each call in its order, with what tells it from others of its kind, and the attempt from the second on. */
  readonly calls: string[] = [];
  /** Most steps that ran at once. */
  atOnce = 0;

  private running = 0;
  private readonly scripted = new Map<Name, Answer<Name>[]>();

  readonly activities: WorkspaceActivities = {
    planWorkspace: (input) => this.run('planWorkspace', input),
    acquireMachines: (input) => this.run('acquireMachines', input, input.candidate.instanceType),
    applyWorkload: (input) => this.run('applyWorkload', input, input.candidate.instanceType),
    waitUntilServing: (input) => this.run('waitUntilServing', input, input.candidate.instanceType),
    releaseWorkspace: (input) => this.run('releaseWorkspace', input, input.reason),
    reportPause: (input) => this.run('reportPause', input),
    checkDataset: (input) => this.run('checkDataset', input),
    prepareData: (input) => this.run('prepareData', input, input.candidate.instanceType),
    trainAdapter: (input) => this.run('trainAdapter', input, input.candidate.instanceType),
    pushAdapter: (input) =>
      this.run('pushAdapter', input, input.keptUntil === undefined ? 'without machines' : undefined),
    releaseTrainingMachines: (input) => this.run('releaseTrainingMachines', input, input.reason),
  };

  private readonly usual: { readonly [N in Name]: Answer<N> } = {
    planWorkspace: () => {
      if (this.workspace === undefined) return { kind: 'gone' };
      const { uid, generation, deleting } = this.workspace;
      if (deleting === true) return { kind: 'deleting', uid, generation };
      return this.planned({ uid, generation });
    },
    acquireMachines: () => ({ kind: 'acquired' }),
    applyWorkload: ({ ref: { name } }) => ({
      kind: 'applied',
      workload: { name, generation: 1, revision: '1', hash: 'abc' },
    }),
    waitUntilServing: ({ plan, candidate: { instanceType } }) => ({
      kind: 'serving',
      status: status('Ready', { observedGeneration: plan.generation, instanceType }),
    }),
    releaseWorkspace: ({ reason }) => {
      if (reason === 'deleted') this.workspace = undefined;
      return { kind: 'released', ...(reason === 'cancelled' && { status: status('Cancelled') }) };
    },
    reportPause: ({ nextTryTime }) => ({
      status: status('Machines', { step: { name: 'Machines', cause: 'Capacity', nextTryTime } }),
    }),
    checkDataset: () => ({ kind: 'checked', status: status('Data') }),
    prepareData: () => ({ kind: 'done', status: status('Data') }),
    trainAdapter: () => ({ kind: 'done', status: status('Training') }),
    pushAdapter: () => ({ kind: 'pushed', status: status('Push') }),
    releaseTrainingMachines: ({ reason }) => ({
      kind: 'finished',
      status: status(({ succeeded: 'Succeeded', pushing: 'Push', failed: 'Failed' } as const)[reason]),
    }),
  };

  /** The next call of `name` that nothing is scripted for yet gets this answer. */
  once<N extends Name>(name: N, answer: Answer<N>): void {
    const queue: readonly unknown[] = this.scripted.get(name) ?? [];
    this.scripted.set(name, [...queue, answer] as Answer<Name>[]);
  }

  /** The next call of `name` that nothing is scripted for yet waits for the test. */
  hold<N extends Name>(name: N, { whenCancelled = 'stop', beats = true }: HoldOptions = {}): Held<N> {
    const entered = Promise.withResolvers<Awaited<Held<N>['entered']>>();
    const cancelled = Promise.withResolvers<void>();
    const ending = Promise.withResolvers<Output<N> | undefined>();
    this.once(name, async (input): Promise<Output<N>> => {
      const { info, cancellationSignal, cancelled: toldToStop, heartbeat } = Context.current();
      const beating = beats ? setInterval(() => heartbeat('held'), BEAT_MS) : undefined;
      if (beats) heartbeat('held');
      else this.running -= 1; // it is dead: what comes after it does not run beside it
      const stopped = toldToStop.catch((error: unknown) => {
        cancelled.resolve();
        if (whenCancelled === 'finish') return ending.promise;
        throw error;
      });
      entered.resolve({ input, attempt: info.attempt, activityId: info.activityId });
      try {
        const output = (await Promise.race([ending.promise, stopped])) as Output<N> | undefined;
        if (cancellationSignal.aborted && whenCancelled === 'stop') throw new CancelledFailure('told to stop');
        return output ?? (await this.usual[name](input));
      } finally {
        clearInterval(beating);
        if (!beats) this.running += 1;
      }
    });
    ending.promise.catch(() => undefined); // it may fail before the step asks
    return {
      entered: entered.promise,
      cancelled: cancelled.promise,
      complete: (output) => ending.resolve(output),
      fail: (error) => ending.reject(error),
    };
  }

  /** What the plan step answers for a Workspace. */
  planned({ uid, generation }: FakeWorkspace): Output<'planWorkspace'> {
    const plan: Plan = {
      uid,
      generation,
      candidates: this.candidates,
      config: {},
      diskGiB: 100,
      ruledOut: [],
      ...(this.tuning !== undefined && { tuning: this.tuning }),
    };
    return { kind: 'planned', plan, status: status('Machines', { observedGeneration: generation }) };
  }

  /** Calls since `earlier` of them had been made. */
  callsAfter(earlier: number): readonly string[] {
    return this.calls.slice(earlier);
  }

  private async run<N extends Name>(name: N, input: Input<N>, what?: string): Promise<Output<N>> {
    const { attempt } = Context.current().info;
    this.calls.push([name, what, attempt > 1 ? `attempt ${attempt}` : undefined].filter(Boolean).join(' '));
    this.running += 1;
    this.atOnce = Math.max(this.atOnce, this.running);
    try {
      const [answer, ...rest] = this.scripted.get(name) ?? [];
      this.scripted.set(name, rest);
      return await ((answer as Answer<N> | undefined) ?? this.usual[name])(input);
    } finally {
      this.running -= 1;
    }
  }
}

/** The calls of one walk through the steps, with nothing in the way. */
export function walk(instanceType = 'A100'): readonly string[] {
  return [
    'planWorkspace',
    `acquireMachines ${instanceType}`,
    `applyWorkload ${instanceType}`,
    `waitUntilServing ${instanceType}`,
  ];
}

export function candidate(instanceType: string): Candidate {
  const gpus = { count: 1, memoryGiB: 80 } as unknown as Candidate['gpus'];
  return { provider: 'karpenter', instanceType, nodeCount: 1, gpus, nvme: false };
}

/** A status as a step would have written it. */
export function status(step: StepName, more: Partial<WorkspaceStatus> = {}): WorkspaceStatus {
  const states = {
    Ready: 'Ready',
    Failed: 'Failed',
    Cancelled: 'Cancelled',
    Release: 'Deleting',
    Training: 'Running',
    Push: 'Running',
    Succeeded: 'Succeeded',
  } as const;
  const state = states[step as keyof typeof states] ?? 'Pending';
  return { state, message: `in step ${step}`, step: { name: step }, ...more };
}

/** What the machines step answers when this size can't be had. */
export function unavailable(instanceType: string): Answer<'acquireMachines'> {
  return ({ facts }) => {
    const attempts = withAttempt(facts.attempts, {
      step: 'Machines',
      cause: 'Capacity',
      message: `no ${instanceType} left`,
      instanceType,
      time: '2026-01-01T00:00:00.000Z',
    });
    return { kind: 'unavailable', attempts, status: status('Machines', { attempts }) };
  };
}

/** What a step throws when only the user can help. */
export function finalFailure(cause: Cause, life?: StepFailure['life']): ApplicationFailure {
  const failure = { cause, message: `because of ${cause}` };
  const details: StepFailure = {
    failure,
    status: status('Failed', { message: failure.message }),
    ...(life && { life }),
  };
  return ApplicationFailure.create({ message: failure.message, type: cause, nonRetryable: true, details: [details] });
}

/** What a step throws when trying again may help. */
export function passingFailure(cause: Cause, nextRetryDelay: string | number): ApplicationFailure {
  const failure = { cause, message: `because of ${cause}` };
  return ApplicationFailure.create({
    message: failure.message,
    type: cause,
    details: [{ failure } satisfies StepFailure],
    nextRetryDelay: nextRetryDelay as number,
    category: 'BENIGN',
  });
}
