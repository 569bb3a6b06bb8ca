/**
 * The steps that watch the tuning Job: `prepareData` until its data is complete, `trainAdapter` until the adapter is. Both make the Job exist first,
 * so that each can be tried again by itself.
 */
import { Context } from '@temporalio/activity';
import { z } from 'zod';
import { CauseError, type Cause, type Failure } from '../../api/causes';
import type { TrainingProgress, TuningStatus, Workspace } from '../../api/workspace';
import type { Candidate, Plan, StepInput, TrainingOutcome, TuningPlan } from '../../api/workflow';
import { trainingJob } from '../../manifests/tuning/training-job';
import { currentWorkspace } from '../current-workspace';
import type { Dependencies } from '../dependencies';
import type { CandidateInput } from '../machines/acquire-machines';
import { LOSS_RECHECK_MS, watchLoss } from '../machines/watch-loss';
import type { JobHealth } from '../observe/job';
import { observe, observeTraining } from '../observe/observation';
import { defineStep, type Following, type StepContext, type Told } from '../step';
import { troubleTeller } from '../tell-trouble';
import { ensureRevision } from '../workload/revisions';
import { trainingDeadline } from './deadlines';
import { ensureJob, type Replace } from './ensure-job';
import { followProgress } from './follow-progress';
import { readResult } from './job-result';
import { ensureClaim } from './results-claim';
import { resultsPlace } from './results-place';
import { tuningOf } from './tuning-of';

/** What may pass by itself is tried so often; its machines wait for it meanwhile. */
const MOST_ATTEMPTS = 3;

/** The result of `tune`; presets/runtime/README.md. */
const resultSchema = z.object({ loss: z.number().optional(), dataDigest: z.string().optional() });

export function createPrepareData(deps: Dependencies): (input: CandidateInput) => Promise<TrainingOutcome> {
  return defineStep<CandidateInput, TrainingOutcome>(
    deps,
    { name: 'Data', life: ({ plan }) => plan },
    async (input, context) => {
      const workspace = await currentWorkspace(deps, input.ref, input.plan, context.signal);
      await ensureTraining(deps, input, workspace, 'failed', context);
      const told = (): Told => ({ ...basics(input), message: 'preparing the data', ...deadline(deps, workspace) });
      const following = context.follow(workspace, told, { lazily: true });
      const end = await untilJob(deps, input, workspace, context, (job) => {
        context.progress(dataMessage(job));
        return job.phase === 'succeeded' || (job.phase === 'running' && job.container === workspace.metadata.name);
      }).finally(() => following.stop());
      if (end.kind === 'lost') return end;
      return {
        kind: 'done',
        status: await context.tell(workspace, { ...basics(input), message: 'the data is ready' }),
      };
    },
    { kind: 'superseded' },
  );
}

export function createTrainAdapter(deps: Dependencies): (input: CandidateInput) => Promise<TrainingOutcome> {
  return defineStep<CandidateInput, TrainingOutcome>(
    deps,
    { name: 'Training', life: ({ plan }) => plan },
    async (input, context) => {
      const { ref } = input;
      const tuning = tuningOf(input.plan);
      const workspace = await currentWorkspace(deps, ref, input.plan, context.signal);
      // The first attempt follows the data step, which made the Job: what failed since then is to be told, not to be tried again unseen.
      const isRetry = Context.current().info.attempt > 1;
      await ensureTraining(deps, input, workspace, isRetry ? 'failed' : 'none', context);

      const before = deps.status.latest(workspace).status?.tuning;
      let progress: TrainingProgress | undefined = before?.hash === tuning.hash ? before.progress : undefined;
      const told = (): Told => ({
        ...basics(input),
        message: progress === undefined ? 'training' : progressMessage(progress),
        ...deadline(deps, workspace),
        tuning: { hash: tuning.hash, ...kept(tuning), ...(progress !== undefined && { progress }) },
      });
      const following = context.follow(workspace, told);
      const stopProgress = followProgress(deps, workspace, context.signal, (next) => {
        progress = next;
        context.progress(progressMessage(next));
        following.again();
      });
      const end = await untilJob(deps, input, workspace, context, (job) => {
        if (job.phase === 'waiting') context.progress(job.message);
        return job.phase === 'succeeded';
      })
        .catch((error: unknown) => {
          throw error instanceof CauseError ? withCheckpoint(error, tuning, progress) : error;
        })
        .finally(() => stop(stopProgress, following));
      if (end.kind === 'lost') return end;

      const result = resultSchema.parse(await readResult(deps, workspace, workspace.metadata.name, context.signal));
      const done: TuningStatus = {
        hash: tuning.hash,
        ...kept(tuning),
        ...(progress !== undefined && { progress: { ...progress, step: progress.steps, etaSeconds: 0 } }),
        trainedTime: deps.now().toISOString(),
        ...(result.loss !== undefined && { loss: String(result.loss) }),
        ...(result.dataDigest !== undefined && { dataDigest: result.dataDigest }),
      };
      const message = 'the adapter is trained';
      context.event(workspace, 'Normal', 'Trained', message);
      return { kind: 'done', status: await context.tell(workspace, { ...basics(input), message, tuning: done }) };
    },
    { kind: 'superseded' },
  );
}

async function stop(stopProgress: () => Promise<void>, following: Following): Promise<void> {
  await stopProgress();
  await following.stop();
}

function basics({ plan, candidate }: { readonly plan: Plan; readonly candidate: Candidate }) {
  return { plan, targetNodeCount: candidate.nodeCount, instanceType: candidate.instanceType };
}

function deadline({ world }: Dependencies, workspace: Workspace): Pick<Told, 'deadline'> {
  const until = trainingDeadline(workspace, world.owned(workspace.metadata));
  return until === undefined ? {} : { deadline: until };
}

function kept({ claim }: TuningPlan): Pick<TuningStatus, 'volume'> {
  return claim === undefined ? {} : { volume: claim.name };
}

async function ensureTraining(
  deps: Dependencies,
  { plan, candidate }: CandidateInput,
  workspace: Workspace,
  replace: Replace,
  context: StepContext,
): Promise<void> {
  const tuning = tuningOf(plan);
  const { model } = plan;
  if (model === undefined) throw new TypeError('a tuning has a model');
  const revision = await ensureRevision(deps, workspace, context.signal);
  const isEmpty = tuning.claim !== undefined && (await ensureClaim(deps, workspace, tuning.claim, context));
  const planned = { ...plan, tuning };
  const job = trainingJob({ workspace, model, candidate, plan: planned, revision, configuration: deps.workload });
  // What a Job left on a volume that is gone has to be made again.
  await ensureJob(deps, workspace, job, isEmpty ? 'ended' : replace, context);
}

type JobEnd = { readonly kind: 'done' } | { readonly kind: 'lost'; readonly what: string };

/** Resolves when `isDone`, or when a machine or the Job is lost; throws what the Job failed of. */
async function untilJob(
  deps: Dependencies,
  { ref, candidate }: CandidateInput & StepInput,
  workspace: Workspace,
  context: StepContext,
  isDone: (job: JobHealth) => boolean,
): Promise<JobEnd> {
  // Asked here: what the caches call back runs outside the activity's context.
  const { attempt } = Context.current().info;
  const lossOf = watchLoss(deps, candidate.nodeCount);
  const tellTrouble = troubleTeller(workspace, context);
  const look = (): JobEnd | undefined => {
    const objects = deps.world.owned(ref);
    const job = observeTraining(workspace, objects);
    if (job.phase === 'failed') throw new CauseError(bounded(job.failure, attempt));
    if (isDone(job)) return { kind: 'done' };
    const what = lossOf(
      observe(workspace, candidate.nodeCount, objects),
      objects,
      job.phase === 'absent' ? 'the Job is gone' : undefined,
    );
    if (what !== undefined) return { kind: 'lost', what };
    tellTrouble(job.phase === 'waiting' ? job.failure : undefined);
    return undefined;
  };
  const end = await deps.world.until(ref, look, { signal: context.signal, recheckMs: LOSS_RECHECK_MS });
  if (end.kind === 'lost') context.event(workspace, 'Warning', 'Lost', `${end.what}; it is restored`);
  return end;
}

/** Causes that trying again won't mend, because the same training would meet them again. */
const SAME_AGAIN: ReadonlySet<Cause> = new Set(['OutOfMemory']);

function bounded(failure: Failure, attempt: number): Failure {
  const isFinal = SAME_AGAIN.has(failure.cause) || attempt >= MOST_ATTEMPTS;
  return isFinal ? { ...failure, isFinal } : failure;
}

function withCheckpoint(
  { failure }: CauseError,
  tuning: TuningPlan,
  progress: TrainingProgress | undefined,
): CauseError {
  const { checkpoint, step, steps } = progress ?? {};
  if (step === undefined) return new CauseError(failure);
  const last =
    checkpoint === undefined ? '' : `; the checkpoint of step ${checkpoint} is on ${resultsPlace(tuning.claim?.name)}`;
  return new CauseError({ ...failure, message: `${failure.message} (at step ${step} of ${steps}${last})` });
}

function dataMessage(job: JobHealth): string {
  switch (job.phase) {
    case 'absent':
      return 'waiting for the Job';
    case 'waiting':
      return job.message;
    case 'running':
      return `container ${job.container} of pod ${job.pod} is at work`;
    case 'succeeded':
    case 'failed':
      return 'the Job has ended';
  }
}

/** As people see it in the Temporal UI and in the status. */
function progressMessage({ step, steps, loss, tokensPerSecond, etaSeconds }: TrainingProgress): string {
  return [
    `step ${step} of ${steps}`,
    ...(loss === undefined ? [] : [`loss ${loss}`]),
    ...(tokensPerSecond === undefined ? [] : [`${tokensPerSecond} tokens/s`]),
    ...(etaSeconds === undefined ? [] : [`about ${etaSeconds} s left`]),
  ].join(', ');
}
