/**
 * The whole status from what a step knows and what it observed: a pure function, so that the same facts always give the same status and an
 * unchanged status is not written again.
 */
import { CONDITIONS, MOST_MESSAGE_BYTES, observed, type ConditionType, type Observed } from '../../api/conditions';
import { shorten } from '../../api/shorten';
import { remedyOf, type Failure } from '../../api/causes';
import { ANNOTATION_RETRY } from '../../api/labels';
import type {
  Condition,
  Reservation,
  StepName,
  TuningStatus,
  Workspace,
  WorkspaceState,
  WorkspaceStatus,
} from '../../api/workspace';
import { furtherAttempts, type Candidate, type Plan, type StatusFacts } from '../../api/workflow';
import type { Observation } from '../observe/observation';

/** Longest message of a step or a plan, bytes; the API's texts hold more, people don't read more. */
const MOST_STEP_BYTES = 1_024;

export interface Situation {
  readonly workspace: Workspace;
  readonly facts: StatusFacts;
  readonly step: StepName;
  /** What the step waits for, in one line. */
  readonly message: string;
  /** When the step gives up waiting for that; left out where nothing is overdue ever. */
  readonly deadline?: Date;
  readonly now: Date;
  /** Generation that was judged; the Workspace's own unless an older one is still being worked on. */
  readonly generation: number;
  readonly plan?: Plan;
  readonly targetNodeCount?: number;
  readonly instanceType?: string;
  readonly observation?: Observation;
  /** Of all machines, USD; left out, it stays as it was, until there are none. */
  readonly pricePerHour?: string;
  /** What counts against the namespace's quota; null: nothing any more; left out, it stays as it was. */
  readonly reservation?: Reservation | null;
  readonly failure?: Failure & { readonly attempt: number; readonly nextTryTime?: string };
  readonly workload?: NonNullable<WorkspaceStatus['workload']>;
  /** The tuning as this step knows it; left out, it stays as it was, unless it is another training. */
  readonly tuning?: TuningStatus;
  /** The release is a cancellation's, not a deletion's. */
  readonly isCancelled?: boolean;
  /** Page of the workflow in the Temporal UI. */
  readonly workflowUrl?: string;
}

/** The status that tells this situation. */
export function composeStatus(situation: Situation): WorkspaceStatus {
  const { workspace, facts, step, now, observation, failure } = situation;
  const previous = workspace.status ?? {};
  const state = stateOf(situation, previous);
  const targetNodeCount = situation.targetNodeCount ?? previous.targetNodeCount;
  const instanceType = situation.instanceType ?? previous.instanceType;
  const workload = situation.workload ?? previous.workload;
  // Only a step that works on the Workspace acts on a retry; one that takes it down leaves it for the next run.
  const isUp = step !== 'Release' && step !== 'Cancelled';
  const retry = isUp ? workspace.metadata.annotations?.[ANNOTATION_RETRY] : previous.observedRetry;
  // What is being taken down is not in trouble, and the steps before the workload's have nothing to say of its pods.
  const isAboutPods = observation?.machinesReady === true;
  const isMine = isUp && !(isAboutPods && (step === 'Plan' || step === 'Machines'));
  const trouble = failure ?? (isMine ? observation?.failure : undefined);
  const conditions = conditionsOf(situation);
  const attempts = furtherAttempts(facts.attempts, previous.attempts ?? []);
  const inferenceConfig = situation.plan === undefined ? previous.inferenceConfig : situation.plan.inferenceConfig;

  return {
    observedGeneration: situation.generation,
    ...(retry !== undefined && { observedRetry: retry }),
    state,
    message: shorten(trouble?.message ?? situation.message, MOST_MESSAGE_BYTES),
    ...(targetNodeCount !== undefined && { targetNodeCount }),
    ...(instanceType !== undefined && instanceType !== '' && { instanceType }),
    ...priceOf(situation, previous),
    ...reservationOf(situation, previous),
    step: {
      name: step,
      message: shorten(trouble?.message ?? situation.message, MOST_STEP_BYTES),
      startedTime:
        previous.step?.name === step && previous.step.startedTime !== undefined
          ? previous.step.startedTime
          : now.toISOString(),
      ...(situation.deadline !== undefined &&
        failure === undefined && { deadlineTime: situation.deadline.toISOString() }),
      ...(trouble !== undefined && { cause: trouble.cause, remedy: remedyOf(trouble) }),
      ...(failure !== undefined && { attempt: failure.attempt }),
      ...(failure?.nextTryTime !== undefined && { nextTryTime: failure.nextTryTime }),
    },
    ...(attempts.length > 0 && { attempts: [...attempts] }),
    workerNodes: [...(observation?.workerNodes ?? previous.workerNodes ?? [])],
    machines: [...(observation?.machines ?? previous.machines ?? [])],
    ...(workload !== undefined && step !== 'Cancelled' && { workload }),
    ...(inferenceConfig !== undefined && { inferenceConfig }),
    ...tuningOf(situation, previous),
    ...adaptersOf(situation, previous),
    workflow: {
      id: facts.workflow.id,
      runID: facts.workflow.runID,
      ...(situation.workflowUrl !== undefined && { url: situation.workflowUrl }),
    },
    ...(previous.performance !== undefined && { performance: previous.performance }),
    conditions: dated(conditions, previous.conditions ?? [], situation.generation, now),
  };
}

function stateOf({ step, observation, isCancelled }: Situation, previous: WorkspaceStatus): WorkspaceState {
  switch (step) {
    case 'Failed':
      return 'Failed';
    case 'Cancelled':
      return 'Cancelled';
    case 'Release':
      return isCancelled === true ? 'Cancelled' : 'Deleting';
    case 'Training':
    case 'Push':
      return 'Running';
    case 'Succeeded':
      return 'Succeeded';
    case 'Data':
      return 'Pending';
    case 'Plan':
    case 'Machines':
    case 'Workload':
    case 'Serving':
    case 'Ready':
      if (observation?.serving === true) return 'Ready';
      return previous.state === 'Ready' || previous.state === 'NotReady' ? 'NotReady' : 'Pending';
  }
}

function conditionsOf(situation: Situation): readonly Observed[] {
  const { step, plan, observation, failure, message, isCancelled } = situation;
  const planned =
    plan !== undefined
      ? [observed(CONDITIONS.planned, true, 'Planned', planSummary(plan), MOST_STEP_BYTES)]
      : failure !== undefined && (step === 'Plan' || step === 'Failed')
        ? [observed(CONDITIONS.planned, false, failure.cause, `${failure.message} ${remedyOf(failure)}`)]
        : [];
  const deleting =
    step === 'Release' && isCancelled !== true
      ? [observed(CONDITIONS.workspaceDeleting, true, 'workspaceDeleted', message)]
      : [];
  const whole =
    step === 'Failed' && failure !== undefined
      ? [observed(CONDITIONS.workspaceSucceeded, false, 'workspaceFailed', failure.message)]
      : step === 'Cancelled' || isCancelled === true
        ? [observed(CONDITIONS.workspaceSucceeded, false, 'workspaceCancelled', message)]
        : [];
  const told = [...whole, ...succeeded(situation)];
  const seen = (observation?.conditions ?? []).filter(({ type }) => !told.some((mine) => mine.type === type));
  return [...planned, ...seen, ...told, ...deleting];
}

/** A tuning that is done needs neither its Job nor its machines any more. */
function succeeded({ workspace, step, observation }: Situation): readonly Observed[] {
  if (step !== 'Succeeded') return [];
  const released = (type: ConditionType): Observed =>
    observed(type, false, 'MachinesReleased', 'the machines were released when the tuning was done');
  const provided = workspace.resource.instanceType !== undefined && observation?.machines.length === 0;
  return [
    ...(provided
      ? [released(CONDITIONS.nodeClaimReady), released(CONDITIONS.nodesReady), released(CONDITIONS.resourceReady)]
      : []),
    observed(CONDITIONS.jobStarted, true, 'WorkspaceTuningJobStatusStarted', 'Tuning job has started'),
    observed(CONDITIONS.workspaceSucceeded, true, 'workspaceSucceeded', 'workspace succeeds'),
  ];
}

/** A Workspace that rests without its machines asks anew when it goes on. */
function reservationOf(
  { step, reservation }: Situation,
  previous: WorkspaceStatus,
): Pick<WorkspaceStatus, 'reservation'> {
  const isOver = step === 'Succeeded' || step === 'Cancelled' || step === 'Failed';
  const kept = reservation === undefined ? previous.reservation : reservation;
  return isOver || kept === undefined || kept === null ? {} : { reservation: kept };
}

/** Machines that are gone cost nothing. */
function priceOf({ pricePerHour, observation }: Situation, previous: WorkspaceStatus) {
  const price = pricePerHour ?? previous.pricePerHour;
  return price === undefined || observation?.machines.length === 0 ? {} : { pricePerHour: price };
}

/** Another training begins with nothing. */
function tuningOf({ tuning, plan }: Situation, { tuning: before }: WorkspaceStatus): Pick<WorkspaceStatus, 'tuning'> {
  const hash = plan?.tuning?.hash;
  const known = tuning ?? (hash === undefined || before?.hash === hash ? before : { hash });
  return known === undefined ? {} : { tuning: known };
}

/** What the workload was applied with; a plan alone changes nothing of what is served. */
function adaptersOf(
  { plan, workload }: Situation,
  { adapters: before }: WorkspaceStatus,
): Pick<WorkspaceStatus, 'adapters'> {
  const adapters = plan === undefined || workload === undefined ? before : plan.adapters;
  return adapters === undefined || adapters.length === 0 ? {} : { adapters: [...adapters] };
}

/** What is being bought, for people. */
export function machinesOf({ nodeCount, instanceType }: Candidate): string {
  return `${nodeCount} × ${instanceType === '' ? 'own node' : instanceType}`;
}

/** The message of the machines step; the plan already writes it, so that the step itself need not. */
export function acquiring(candidate: Candidate): string {
  return `acquiring ${machinesOf(candidate)}`;
}

/** One line that says what will be bought and how the model is laid out. */
export function planSummary(plan: Plan): string {
  const options = plan.candidates.map((candidate) => {
    const { layout } = candidate;
    if (layout === undefined) return machinesOf(candidate);
    const { tensorParallel, dataParallel, pipelineParallel, maxModelLen } = layout;
    return `${machinesOf(candidate)} (tensor ${tensorParallel}, data ${dataParallel}, pipeline ${pipelineParallel} parallel; up to ${maxModelLen} tokens)`;
  });
  const ruledOut = plan.ruledOut.map(({ instanceType, reason }) => `${instanceType} ruled out: ${reason}`);
  return [options.join(', else '), ...ruledOut].join('; ');
}

/** Conditions keep the time of their last change; those that are not told now stay as they were, except the ones that only exist for a while. */
function dated(
  told: readonly Observed[],
  before: readonly Condition[],
  generation: number,
  now: Date,
): readonly Condition[] {
  const kept = before.filter(
    ({ type }) => type !== CONDITIONS.workspaceDeleting && !told.some((condition) => condition.type === type),
  );
  const renewed = told.map((condition) => {
    const same = before.find(({ type, status }) => type === condition.type && status === condition.status);
    return {
      ...condition,
      lastTransitionTime: same?.lastTransitionTime ?? now.toISOString().replace(/\.\d+Z$/, 'Z'),
      observedGeneration: generation,
    };
  });
  return [...kept, ...renewed].sort((a, b) => rank(a.type) - rank(b.type));
}

const ORDER: readonly string[] = Object.values(CONDITIONS);

function rank(type: string): number {
  const index = ORDER.indexOf(type);
  return index === -1 ? ORDER.length : index;
}
