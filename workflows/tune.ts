/**
 * The way of a tuning Workspace: data, machines, training, push, release. What is done is not done again: a trained adapter is kept on its volume
 * until it is pushed, and after that nothing is left to do.
 */
import { ActivityFailure, CancellationScope, CancelledFailure } from '@temporalio/workflow';
import type { Failure } from '../api/causes';
import type { Plan, PushOutcome, TrainingReleaseReason, TuningPlan } from '../api/workflow';
import { acquireMachines } from './acquire-machines';
import { activities } from './activities';
import type { DesiredState } from './desired-state';
import type { WorkspaceRecord } from './record';

export type PlannedTuning = Plan & { readonly tuning: TuningPlan };

export async function tune(
  desired: DesiredState,
  record: WorkspaceRecord,
  plan: PlannedTuning,
): Promise<'done' | 'changed'> {
  if (!plan.tuning.isTrained && (await train(desired, record, plan)) === 'changed') return 'changed';
  const destination = plan.tuning.push;
  if (destination !== undefined && (await push(record, plan, destination.patienceMs)) === 'changed') return 'changed';
  if ((await releaseMachines(record, plan, 'succeeded')) === 'changed') return 'changed';
  record.enter('Succeeded');
  return 'done';
}

async function train(desired: DesiredState, record: WorkspaceRecord, plan: Plan): Promise<'trained' | 'changed'> {
  record.enter('Data');
  const checked = await activities(record, 'check dataset').checkDataset({ ...record.input(), plan });
  if (checked.kind === 'superseded') return 'changed';
  record.tell(checked.status);

  record.enter('Machines');
  const candidate = await acquireMachines(desired, record, plan);
  if (candidate === 'changed') return 'changed';

  record.enter('Data');
  const prepared = await activities(record, 'prepare data').prepareData({ ...record.input(), plan, candidate });
  if (prepared.kind !== 'done') return 'changed';
  record.tell(prepared.status);

  record.enter('Training');
  const trained = await activities(record, 'train adapter').trainAdapter({ ...record.input(), plan, candidate });
  if (trained.kind !== 'done') return 'changed';
  record.tell(trained.status);
  return 'trained';
}

/** A push that isn't done in `patienceMs` goes on without the machines: what it waits for may take days. */
async function push(record: WorkspaceRecord, plan: Plan, patienceMs: number): Promise<'pushed' | 'changed'> {
  record.enter('Push');
  let pushed = await pushWithin(patienceMs, record, plan);
  if (pushed === 'late') {
    if ((await releaseMachines(record, plan, 'pushing')) === 'changed') return 'changed';
    pushed = await activities(record, 'push adapter').pushAdapter({ ...record.input(), plan });
  }
  if (pushed.kind !== 'pushed') return 'changed';
  record.tell(pushed.status);
  return 'pushed';
}

async function pushWithin(patienceMs: number, record: WorkspaceRecord, plan: Plan): Promise<PushOutcome | 'late'> {
  const scope = new CancellationScope({ cancellable: true, timeout: patienceMs });
  const keptUntil = new Date(Date.now() + patienceMs).toISOString();
  const input = { ...record.input(), plan, keptUntil };
  try {
    return await scope.run(() => activities(record, 'push adapter').pushAdapter(input));
  } catch (error) {
    // Told to stop, it has stopped, whatever it says: it may just have failed by itself.
    const isLate = scope.consideredCancelled && !CancellationScope.current().consideredCancelled;
    if (!isLate || !(error instanceof ActivityFailure || error instanceof CancelledFailure)) throw error;
    return 'late';
  }
}

/** Lets go of what was bought for the training; the status says so, and why. */
export async function releaseMachines(
  record: WorkspaceRecord,
  plan: Plan,
  reason: TrainingReleaseReason,
  failure?: Failure,
): Promise<'released' | 'changed'> {
  const input = { ...record.input(), plan, reason, ...(failure && { failure }) };
  const released = await activities(record, `release machines (${reason})`).releaseTrainingMachines(input);
  if (released.kind === 'superseded') return 'changed';
  if ((released.status.machines ?? []).length === 0) record.released();
  record.tell(released.status);
  return 'released';
}
