/**
 * What every step has in common: it stops when it is cancelled or when the Workspace changed under it, heartbeats what it waits for, and
 * tells a failure (on the Workspace and as an Event) before it throws it.
 */
import { ApplicationFailureCategory } from '@temporalio/common';
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { CAUSES, remedyOf, type Failure } from '../api/causes';
import type { StepName, Workspace, WorkspaceStatus } from '../api/workspace';
import { BEATS_PER_TIMEOUT, workflowIdOf, type StepFailure, type StepInput, type WorkspaceRef } from '../api/workflow';
import { toCauseError } from '../kubernetes/errors';
import { referenceTo, type KubernetesObject } from '../kubernetes/objects';
import { RESOURCES } from '../kubernetes/resources';
import type { Dependencies } from './dependencies';
import { observe } from './observe/observation';
import { isLong, shortFailure } from './short-failure';
import { composeStatus, type Situation } from './status/compose';

/** What a step waits for is said once it has waited for this long: a quick step costs no heartbeat. */
const SAY_AFTER_MS = 1_000;

/** A burst of changes is told once; people read no faster. */
const TELL_EVERY_MS = 2_000;

/** The Workspace that a step worked on is no longer what it was. */
export class SupersededError extends Error {
  override readonly name = 'SupersededError';
}

/** What a step may use while it runs. */
export interface StepContext {
  /** Aborts when the step is to stop, for whatever reason. */
  readonly signal: AbortSignal;
  /** Says what the step waits for: heartbeat, and so pending activity in the Temporal UI; and how long it does, for who tells the status. */
  readonly progress: (message: string, deadline?: Date) => void;
  /** Writes the Workspace's status for this step, if it changed. */
  readonly tell: (workspace: Workspace, situation: Told) => Promise<WorkspaceStatus>;
  /** Tells now (`lazily`: only if it takes a while), and again when the owned objects change, until stopped. */
  readonly follow: (workspace: Workspace, situation: () => Told, options?: { readonly lazily: boolean }) => Following;
  readonly event: (workspace: Workspace, type: 'Normal' | 'Warning', reason: string, message: string) => void;
}

export type Told = Omit<Situation, 'workspace' | 'facts' | 'step' | 'now' | 'generation' | 'workflowUrl'> &
  Partial<Pick<Situation, 'step' | 'generation' | 'facts'>>;

export interface Following {
  /** The first telling. */
  readonly first: Promise<unknown>;
  /** Something other than the objects changed: tells again soon. */
  again(): void;
  /** Ends it; resolves when nothing is being written any more. */
  stop(): Promise<void>;
}

export interface StepOptions<I extends StepInput> {
  readonly name: StepName;
  /** The life that the step belongs to: when the Workspace leaves it, the step gives way. Left out: it goes on whatever happens. */
  readonly life?: (input: I) => { readonly uid: string; readonly generation: number };
}

/** Makes an activity of a step. `superseded` is what it returns when it gave way. */
export function defineStep<I extends StepInput, O>(
  deps: Dependencies,
  options: StepOptions<I>,
  run: (input: I, context: StepContext) => Promise<O>,
  superseded?: O,
): (input: I) => Promise<O> {
  return async (input) => {
    const activity = Context.current();
    const stop = new AbortController();
    const signal = AbortSignal.any([activity.cancellationSignal, stop.signal]);

    let message = 'starting';
    let saying: NodeJS.Timeout | undefined;
    const beat = (): void => {
      saying = undefined;
      activity.heartbeat(message);
    };
    const { heartbeatTimeoutMs } = activity.info;
    if (heartbeatTimeoutMs === undefined) throw new TypeError('a step is scheduled with a heartbeat time-out');
    const ticking = setInterval(beat, heartbeatTimeoutMs / BEATS_PER_TIMEOUT);
    const unwatch = watchLife(deps, input, options, () => stop.abort(new SupersededError()));

    const context: StepContext = {
      signal,
      progress(next) {
        if (next === message) return;
        message = next;
        saying ??= setTimeout(beat, SAY_AFTER_MS);
      },
      tell: (workspace, told) => tell(deps, input, options.name, workspace, told),
      follow: (workspace, told, { lazily } = { lazily: false }) =>
        follow(deps, input.ref, () => tell(deps, input, options.name, workspace, told()), lazily),
      event: (workspace, type, reason, text) =>
        deps.events.record(referenceTo(workspace as unknown as KubernetesObject), { type, reason, message: text }),
    };

    try {
      return await run(input, context);
    } catch (error) {
      const gaveWay = stop.signal.aborted || error instanceof SupersededError;
      if (gaveWay && superseded !== undefined) return superseded;
      if (activity.cancellationDetails?.workerShutdown === true) throw handedOver();
      if (activity.cancellationSignal.aborted) {
        throw activity.cancellationSignal.reason instanceof Error
          ? activity.cancellationSignal.reason
          : new CancelledFailure('the step was cancelled');
      }
      throw await failed(deps, input, options.name, error, context);
    } finally {
      clearInterval(ticking);
      clearTimeout(saying);
      unwatch();
    }
  };
}

/** A worker that stops lets another one go on at once, instead of after a heartbeat time-out. */
function handedOver(): ApplicationFailure {
  return ApplicationFailure.create({
    message: 'the worker stops; another one goes on',
    type: 'WorkerShutdown',
    nextRetryDelay: '1ms',
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** Whether the Workspace is still the one, and the generation, that a step belongs to. */
export function isSameLife(
  workspace: Workspace | undefined,
  life: { readonly uid: string; readonly generation: number },
): workspace is Workspace {
  return (
    workspace !== undefined &&
    workspace.metadata.uid === life.uid &&
    workspace.metadata.generation <= life.generation &&
    workspace.metadata.deletionTimestamp === undefined
  );
}

function watchLife<I extends StepInput>(
  deps: Dependencies,
  input: I,
  { life }: StepOptions<I>,
  stop: () => void,
): () => void {
  if (life === undefined) return () => undefined;
  const mine = life(input);
  const look = (): void => {
    const workspace = deps.world.workspace(input.ref);
    // A cache that is behind may lack a new Workspace or show an older one of its name: only a later state ends the step.
    if (workspace === undefined ? hadBeenSeen : !isSameLife(workspace, mine)) stop();
    hadBeenSeen ||= workspace?.metadata.uid === mine.uid;
  };
  let hadBeenSeen = false;
  look();
  return deps.world.onChange(input.ref, look);
}

function tell(
  deps: Dependencies,
  { facts, ref }: StepInput,
  step: StepName,
  workspace: Workspace,
  told: Told,
): Promise<WorkspaceStatus> {
  const latest = deps.status.latest(workspace);
  const url = workflowUrl(deps, ref);
  const targetNodeCount = told.targetNodeCount ?? latest.status?.targetNodeCount ?? 0;
  const status = composeStatus({
    step,
    facts,
    generation: told.plan?.generation ?? workspace.metadata.generation,
    observation: observe(workspace, targetNodeCount, deps.world.owned(ref)),
    ...told,
    workspace: latest,
    now: deps.now(),
    ...(url !== undefined && { workflowUrl: url }),
  });
  return deps.status.write(workspace, status);
}

function follow(
  deps: Dependencies,
  ref: WorkspaceRef,
  tellNow: () => Promise<WorkspaceStatus>,
  lazily: boolean,
): Following {
  const first = lazily ? Promise.resolve() : tellNow();
  let pending: Promise<unknown> = first;
  let timer: NodeJS.Timeout | undefined;
  const tellAgain = (): void => {
    timer = undefined;
    pending = pending.then(tellNow).catch((error: unknown) => {
      // The next change, or the end of the step, tells again.
      deps.logger.warn('could not tell the progress of a step', { ref, error });
    });
  };
  const schedule = (): void => {
    timer ??= setTimeout(tellAgain, TELL_EVERY_MS);
  };
  if (lazily) schedule();
  const unwatch = deps.world.onChange(ref, schedule);
  return {
    first,
    again: schedule,
    async stop() {
      unwatch();
      clearTimeout(timer);
      await pending.catch(() => undefined);
    },
  };
}

function workflowUrl({ temporalUi }: Dependencies, ref: WorkspaceRef): string | undefined {
  if (temporalUi === undefined) return undefined;
  const id = encodeURIComponent(workflowIdOf(ref));
  return `${temporalUi.address}/namespaces/${temporalUi.namespace}/workflows/${id}`;
}

/** The failure for Temporal; on the way, the user is told. */
async function failed(
  deps: Dependencies,
  input: StepInput & { readonly plan?: Situation['plan'] },
  step: StepName,
  error: unknown,
  context: StepContext,
): Promise<ApplicationFailure> {
  const failure = shortFailure(toCauseError(error).failure);
  const { attempt } = Context.current().info;
  const retryable = CAUSES[failure.cause].retryable && failure.isFinal !== true;
  const delayMs = Math.min(deps.retryDelays.firstMs * 2 ** (attempt - 1), deps.retryDelays.mostMs);
  const nextTryTime = new Date(deps.now().getTime() + delayMs).toISOString();

  if (failure.cause === 'Internal') deps.logger.error('step failed', { step, ref: input.ref, error });
  const told = await tellFailure(
    deps,
    input,
    retryable ? step : 'Failed',
    { ...failure, attempt, ...(retryable && { nextTryTime }) },
    context,
  );

  return ApplicationFailure.create({
    message: failure.message,
    type: failure.cause,
    nonRetryable: !retryable,
    details: [{ failure, ...told } satisfies StepFailure],
    ...(retryable && { nextRetryDelay: delayMs }),
    // Waiting for something that the user or the cluster has to bring is no error of the worker's.
    ...(failure.cause !== 'Internal' && { category: ApplicationFailureCategory.BENIGN }),
    ...(error instanceof Error && !isLong(error.message) && { cause: error }),
  });
}

async function tellFailure(
  deps: Dependencies,
  input: StepInput & { readonly plan?: Situation['plan'] },
  step: StepName,
  failure: Failure & { readonly attempt: number; readonly nextTryTime?: string },
  context: StepContext,
): Promise<Omit<StepFailure, 'failure'>> {
  let life: StepFailure['life'];
  try {
    const workspace = deps.world.workspace(input.ref) ?? (await readWorkspace(deps, input.ref));
    if (workspace === undefined) return {};
    life = { uid: workspace.metadata.uid, generation: workspace.metadata.generation };
    context.event(workspace, 'Warning', failure.cause, `${step}: ${failure.message} ${remedyOf(failure)}`);
    const plan = input.plan === undefined ? {} : { plan: input.plan };
    const status = await context.tell(workspace, { step, message: failure.message, failure, ...plan });
    return { status, life };
  } catch (error) {
    // The failure itself matters more than that it could not be told; its cause may be the very reason.
    deps.logger.warn('could not tell a failure on the Workspace', { ref: input.ref, error });
    return { ...(life !== undefined && { life }) };
  }
}

/** The Workspace as the API server has it. */
export function readWorkspace(
  { client }: Dependencies,
  ref: WorkspaceRef,
  signal?: AbortSignal,
): Promise<(Workspace & KubernetesObject) | undefined> {
  return client.get(RESOURCES.workspaces, ref, signal && { signal });
}
