/**
 * What the bridge, the workflow and the activities say to each other. Everything here is small and free of secrets: it ends up in
 * workflow histories.
 */
import type { Failure } from './causes';
import type { Model, NodeGpus } from './model';
import type { GenerationChange, WorkflowLog } from './history';
import type { WorkspaceStatus } from './workspace';

/** Names one Workspace, whatever its life. */
export interface WorkspaceRef {
  readonly namespace: string;
  readonly name: string;
}

/** Type of the workflow that is the life of a Workspace. */
export const WORKSPACE_WORKFLOW = 'workspace';

/** The workflow ID of a Workspace; typed by people, so it is readable. */
export function workflowIdOf(ref: WorkspaceRef): string {
  return `workspace/${ref.namespace}/${ref.name}`;
}

/** Inverse of {@link workflowIdOf}; undefined for foreign IDs. */
export function refOf(workflowId: string): WorkspaceRef | undefined {
  const [, namespace, name] = /^workspace\/([^/]+)\/([^/]+)$/.exec(workflowId) ?? [];
  return namespace !== undefined && name !== undefined ? { namespace, name } : undefined;
}

/** Why the workflow should look again; shown in its history. */
export type LookReason =
  /** A generation that the status has not yet observed: the spec changed. */
  | 'generation'
  /** Deletion was asked for. */
  | 'deleted'
  /** The retry annotation changed. */
  | 'retry'
  /** What the owned objects say differs from what the status says, or one was edited or deleted. */
  | 'objects'
  /** A referenced object, such as the inference.config ConfigMap, changed. */
  | 'references'
  /** Periodic proof of life; ignored by a workflow that is already at work on this generation. */
  | 'resync'
  /** The Workspace is no longer there. */
  | 'gone';

/** Signal `look`: look at the Workspace again. Never carries the spec; losing one is harmless. */
export interface Look {
  /** UID of the life that the sender saw. */
  readonly uid: string;
  readonly generation: number;
  readonly reason: LookReason;
  /** Of the steps that follow: it grows with the number of Workspaces that are under way. */
  readonly heartbeatTimeoutMs?: number;
}

/** So many heartbeats fit into the time-out: one that comes late does no harm. */
export const BEATS_PER_TIMEOUT = 4;

export const LOOK_SIGNAL = 'look';
export const RETRY_SIGNAL = 'retry';
export const STATUS_QUERY = 'status';

/** Search attributes, registered by the worker at start. Values of the workflow ID's parts, for lists and alerts; never for logic. */
export const SEARCH_ATTRIBUTES = {
  KaitoNamespace: 'KEYWORD',
  KaitoPreset: 'KEYWORD',
  KaitoInstanceType: 'KEYWORD',
  KaitoPhase: 'KEYWORD',
  KaitoCause: 'KEYWORD',
} as const;

/** Steps of a Workspace's life, in order; what `status.step.name` shows. */
export type StepName = NonNullable<WorkspaceStatus['step']>['name'];

/** The step that each activity is, as the status names it. */
export const STEP_OF: Readonly<Record<keyof WorkspaceActivities, StepName>> = {
  planWorkspace: 'Plan',
  acquireMachines: 'Machines',
  reportPause: 'Machines',
  applyWorkload: 'Workload',
  waitUntilServing: 'Serving',
  checkDataset: 'Data',
  prepareData: 'Data',
  trainAdapter: 'Training',
  pushAdapter: 'Push',
  releaseTrainingMachines: 'Push',
  releaseWorkspace: 'Release',
};

/** A failed attempt, as the status lists it. */
export type Attempt = NonNullable<WorkspaceStatus['attempts']>[number];

const MOST_ATTEMPTS = 10;

/** The list with one more failed attempt: the same failure in a row is counted, the oldest make room. */
export function withAttempt(
  attempts: readonly Attempt[],
  next: Omit<Attempt, 'attempt' | 'count'>,
): readonly Attempt[] {
  const last = attempts.at(-1);
  const attempt = (last?.attempt ?? 0) + 1;
  const isSame =
    last?.cause === next.cause &&
    last.step === next.step &&
    last.instanceType === next.instanceType &&
    last.variant === next.variant &&
    last.code === next.code;
  if (isSame) return [...attempts.slice(0, -1), { ...next, attempt, count: last.count + 1 }];
  return [...attempts, { ...next, attempt, count: 1 }].slice(-MOST_ATTEMPTS);
}

/** Of two lists of the same life the one that has counted further: a worker that died may have told more than the workflow knows. */
export function furtherAttempts(a: readonly Attempt[], b: readonly Attempt[]): readonly Attempt[] {
  return (b.at(-1)?.attempt ?? 0) > (a.at(-1)?.attempt ?? 0) ? b : a;
}

/** Where machines come from: one folder of `activities/machines` each. */
export type ProviderName = 'karpenter' | 'azure' | 'own-nodes';

/** One way to serve the Workspace: a size of one provider, and how the model is laid out on it. Candidates are tried in order. */
export interface Candidate {
  readonly provider: ProviderName;
  /** Empty for own nodes. */
  readonly instanceType: string;
  readonly nodeCount: number;
  readonly gpus: NodeGpus;
  readonly nvme: boolean;
  /** Absent for `inference.template`: the user's own container lays itself out. */
  readonly layout?: {
    readonly tensorParallel: number;
    readonly dataParallel: number;
    readonly pipelineParallel: number;
    readonly maxModelLen: number;
    readonly gpuMemoryUtilization: number;
  };
}

/** What the plan step decided for one generation. */
export interface Plan {
  readonly uid: string;
  readonly generation: number;
  /** Absent for `inference.template`. */
  readonly model?: Model;
  /** The `vllm` section of inference.config. */
  readonly config: Readonly<Record<string, string>>;
  /** In the order to try; never empty. */
  readonly candidates: readonly Candidate[];
  /** Space for weights on a node, GiB. */
  readonly diskGiB: number;
  /** SHA-256 of the contents of inference.config: a change of it is rolled out. */
  readonly configHash?: string;
  /** The ConfigMap as read. */
  readonly inferenceConfig?: NonNullable<WorkspaceStatus['inferenceConfig']>;
  /** Adapters of tuning Workspaces, each with the image it was pushed to. */
  readonly adapters?: readonly ResolvedAdapter[];
  /** Present for a tuning Workspace. */
  readonly tuning?: TuningPlan;
  /** Candidates that were ruled out, with the reason: shown in the status. */
  readonly ruledOut: readonly { readonly instanceType: string; readonly reason: string }[];
}

/** An adapter whose `source.workspace` is done: what is served in its place. */
export interface ResolvedAdapter {
  readonly name: string;
  /** By digest. */
  readonly image: string;
  readonly imagePullSecrets: readonly string[];
}

/** What the plan step decided about a tuning. */
export interface TuningPlan {
  readonly method: 'lora' | 'qlora';
  /** SHA-256 of what determines the adapter: a training of another hash is another training. */
  readonly hash: string;
  /** The claim of ours that keeps checkpoints and adapter; absent where the user's volume does. */
  readonly claim?: { readonly name: string; readonly storageClassName: string; readonly sizeGiB: number };
  /** Folder of the results, where the output volume is mounted. */
  readonly outputDirectory: string;
  /** The adapter is complete on the output volume: only what comes after training is left to do. */
  readonly isTrained: boolean;
  /** Where to push; absent when the results stay on a volume, or are pushed already. */
  readonly push?: {
    readonly image: string;
    /** Secret of type kubernetes.io/dockerconfigjson. */
    readonly secretName: string;
    /** How long the training's machines are kept for the push, milliseconds. */
    readonly patienceMs: number;
  };
}

/** What only the workflow knows; a step writes it into the status together with what it observes. */
export interface StatusFacts {
  readonly attempts: readonly Attempt[];
  readonly workflow: { readonly id: string; readonly runID: string };
}

/** Input of every step. */
export interface StepInput {
  readonly ref: WorkspaceRef;
  readonly facts: StatusFacts;
}

/** Details of the ApplicationFailure that a step throws; its type is the failure's cause. */
export interface StepFailure {
  readonly failure: Failure;
  /** The status as written with the failure. */
  readonly status?: WorkspaceStatus;
  /** The life that the step saw, where it got as far as that. */
  readonly life?: { readonly uid: string; readonly generation: number };
}

/** A step gave way because the Workspace changed under it; the workflow converges again. */
export interface Superseded {
  readonly kind: 'superseded';
}

export type PlanOutcome =
  | {
      readonly kind: 'planned';
      readonly plan: Plan;
      readonly status: WorkspaceStatus;
      /** Who brought this generation about. */
      readonly change?: GenerationChange;
    }
  /** `deletionTimestamp` is set. */
  | { readonly kind: 'deleting'; readonly uid: string; readonly generation: number }
  /** No Workspace of this name. */
  | { readonly kind: 'gone' };

export type AcquireOutcome =
  /** `attempts`: present when other ways failed before. */
  | { readonly kind: 'acquired'; readonly attempts?: readonly Attempt[] }
  /** Nothing of this candidate is left; the next one may be tried. */
  | { readonly kind: 'unavailable'; readonly attempts: readonly Attempt[]; readonly status: WorkspaceStatus }
  | Superseded;

/** The workload as applied: what the serving step compares the live one with. */
export type AppliedWorkload = NonNullable<WorkspaceStatus['workload']>;

export type WorkloadOutcome = { readonly kind: 'applied'; readonly workload: AppliedWorkload } | Superseded;

export type ServingOutcome =
  | { readonly kind: 'serving'; readonly status: WorkspaceStatus }
  /** A machine or the workload went away while waiting: converge again. */
  | { readonly kind: 'lost'; readonly what: string }
  | Superseded;

export type DatasetOutcome = { readonly kind: 'checked'; readonly status: WorkspaceStatus } | Superseded;

export type TrainingOutcome =
  | { readonly kind: 'done'; readonly status: WorkspaceStatus }
  /** A machine or the Job went away while waiting: converge again. */
  | { readonly kind: 'lost'; readonly what: string }
  | Superseded;

/** What the push is asked with. */
export type PushInput = StepInput & {
  readonly plan: Plan;
  /** Until when the workflow keeps the machines for it; left out: it does not let go of them meanwhile. */
  readonly keptUntil?: string;
};

export type PushOutcome =
  | { readonly kind: 'pushed'; readonly status: WorkspaceStatus }
  /** The output volume is gone, and the adapter with it: converge again. */
  | { readonly kind: 'lost'; readonly what: string }
  | Superseded;

export type FinishOutcome = { readonly kind: 'finished'; readonly status: WorkspaceStatus } | Superseded;

/** Why a release happens, and what is to remain. */
export type ReleaseReason = 'deleted' | 'cancelled' | 'gone';

/** Why a tuning's machines are no longer needed. */
export type TrainingReleaseReason =
  | 'succeeded'
  /** The push is late: it goes on without them. */
  | 'pushing'
  /** Only the user can help. */
  | 'failed';

export interface ReleaseInput extends StepInput {
  readonly reason: ReleaseReason;
  /** What is to be remembered of the life that ends. */
  readonly life?: { readonly uid: string; readonly log: WorkflowLog };
}

export interface ReleaseOutcome {
  readonly kind: 'released';
  readonly status?: WorkspaceStatus;
}

/** The activities that workflows call; their implementation is in `activities/`. */
export interface WorkspaceActivities {
  /** Reads the Workspace and what it refers to, judges what needs the cluster, and decides the candidates. */
  planWorkspace(input: StepInput): Promise<PlanOutcome>;
  /** Makes the candidate's machines exist and waits until their GPUs are usable. */
  acquireMachines(input: StepInput & { readonly plan: Plan; readonly candidate: Candidate }): Promise<AcquireOutcome>;
  /** Applies the Services, the ControllerRevision and the StatefulSet, rendered from the plan. */
  applyWorkload(input: StepInput & { readonly plan: Plan; readonly candidate: Candidate }): Promise<WorkloadOutcome>;
  /** Waits until the model answers; meanwhile the status tells what is in the way. */
  waitUntilServing(
    input: StepInput & { readonly plan: Plan; readonly candidate: Candidate; readonly workload: AppliedWorkload },
  ): Promise<ServingOutcome>;
  /** Asks the addresses of the dataset for size and format, before anything is bought. */
  checkDataset(input: StepInput & { readonly plan: Plan }): Promise<DatasetOutcome>;
  /** Makes the tuning Job and its volume exist, and waits until its data is complete and can be trained on. */
  prepareData(input: StepInput & { readonly plan: Plan; readonly candidate: Candidate }): Promise<TrainingOutcome>;
  /** Waits until the adapter is complete; heartbeats tell the progress. A Job that failed earlier is made anew. */
  trainAdapter(input: StepInput & { readonly plan: Plan; readonly candidate: Candidate }): Promise<TrainingOutcome>;
  /** Pushes the adapter from the output volume. Only this is tried again when the registry refuses. */
  pushAdapter(input: PushInput): Promise<PushOutcome>;
  /** Releases what was bought for the training, unless it is to be kept or holds the only copy of the adapter. */
  releaseTrainingMachines(
    input: StepInput & { readonly plan: Plan; readonly reason: TrainingReleaseReason; readonly failure?: Failure },
  ): Promise<FinishOutcome>;
  /** Removes the workload, then the machines, and returns when nothing owned is left. */
  releaseWorkspace(input: ReleaseInput): Promise<ReleaseOutcome>;
  /** Tells that every candidate was tried, and when the list is tried again (ISO time). */
  reportPause(
    input: StepInput & { readonly plan: Plan; readonly nextTryTime: string },
  ): Promise<{ readonly status?: WorkspaceStatus }>;
}
