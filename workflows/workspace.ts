import {
  ActivityFailure,
  CancellationScope,
  CancelledFailure,
  continueAsNew,
  defineQuery,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import type { WorkspaceStatus } from '../api/workspace';
import { STATUS_QUERY, type Plan, type ReleaseReason, type WorkspaceRef } from '../api/workflow';
import { assertNever } from '../api/assert-never';
import { acquireMachines } from './acquire-machines';
import { activities } from './activities';
import { followDesiredState, type DesiredState } from './desired-state';
import { isFinalFailure, stepFailureOf } from './failures';
import { isLong } from './long-history';
import { createRecord, type Carried, type WorkspaceRecord } from './record';
import { releaseMachines, tune } from './tune';

export const status = defineQuery<WorkspaceStatus | undefined>(STATUS_QUERY);

/** How one convergence ended; `done` is Ready, or Succeeded for a tuning. */
type Outcome = 'done' | 'failed' | 'deleted' | 'gone' | 'replaced' | 'changed';

/**
 * The life of one Workspace, from `kubectl apply` until its last machine is released.
 *
 * Guarantees:
 * 1. machines are acquired at most once per slot: their names follow from the Workspace, whatever is killed;
 * 2. whatever was acquired is released on cancel and on delete, and that release can't be cancelled;
 * 3. at rest nothing runs and nothing polls: the workflow waits for a signal.
 */
export async function workspace(ref: WorkspaceRef, carried?: Carried): Promise<void> {
  const desired = followDesiredState();
  const record = createRecord(ref, desired, carried);
  setHandler(status, () => record.status);

  try {
    await live(ref, desired, record);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    // Asked by `temporal workflow cancel`. The state Cancelled on the Workspace keeps the bridge from starting it again.
    await CancellationScope.nonCancellable(async () => {
      const { wishes } = desired;
      await release(ref, record, 'cancelled');
      // What a person asked for meanwhile gets a run that isn't cancelled; what the bridge noticed of the release does not count.
      if (desired.wishes !== wishes) await continueAsNew<typeof workspace>(ref, record.carry());
    });
    throw error;
  }
}

async function live(ref: WorkspaceRef, desired: DesiredState, record: WorkspaceRecord): Promise<void> {
  for (;;) {
    // A fresh run converges first thing, so nothing that was asked before is lost.
    // A cancellation would be lost with the run; what follows ends by it.
    if (isLong() && !CancellationScope.current().consideredCancelled) {
      await continueAsNew<typeof workspace>(ref, record.carry());
    }

    const { version } = desired;
    const outcome = desired.isDeleted
      ? 'deleted'
      : await interruptible(desired, version, () => converge(ref, desired, record));

    switch (outcome) {
      case 'deleted':
      case 'gone':
        await CancellationScope.nonCancellable(() => release(ref, record, outcome));
        // A Workspace of the same name may have been created meanwhile: its look is the proof.
        if (desired.version === version) return;
        record.forget();
        desired.forget();
        continue;
      case 'replaced':
        // Somebody took the finalizer away: what the former Workspace of this name bought is still there.
        await release(ref, record, 'gone');
        record.forget();
        continue;
      case 'changed':
        continue;
      case 'done':
      case 'failed':
        break;
      default:
        assertNever(outcome);
    }

    await desired.askedAfter(version);
  }
}

/** One walk through the steps. Each is idempotent and quick when there is nothing to do. */
async function converge(ref: WorkspaceRef, desired: DesiredState, record: WorkspaceRecord): Promise<Outcome> {
  let plan: Plan | undefined;
  try {
    record.enter('Plan');
    const planned = await activities(record, 'plan').planWorkspace(record.input());
    if (planned.kind === 'gone') return 'gone';
    const life = planned.kind === 'deleting' ? planned : planned.plan;
    desired.observe(life);
    if (!record.isOf(life.uid)) return 'replaced';
    if (planned.kind === 'deleting') return 'deleted';
    record.planned(planned.plan.generation, planned.change);
    record.tell(planned.status);
    plan = planned.plan;
    const { tuning } = plan;
    return tuning === undefined ? await serve(desired, record, plan) : await tune(desired, record, { ...plan, tuning });
  } catch (error) {
    // How a step ends that was told to stop says nothing about the Workspace.
    if (CancellationScope.current().consideredCancelled || !isFinalFailure(error)) throw error;
    const { failure, life, status } = stepFailureOf(error);
    if (life !== undefined) desired.observe(life);
    record.tell(status);
    record.fail(failure);
    // A training that waits for the user needs no machines; a model that is served may still answer on some of its own.
    if (plan?.tuning !== undefined) await releaseMachines(record, plan, 'failed', failure);
    return 'failed';
  }
}

/** Machines, the workload on them, and the model's answer. */
async function serve(desired: DesiredState, record: WorkspaceRecord, plan: Plan): Promise<'done' | 'changed'> {
  record.enter('Machines');
  const candidate = await acquireMachines(desired, record, plan);
  if (candidate === 'changed') return 'changed';

  record.enter('Workload');
  const applied = await activities(record, 'apply workload').applyWorkload({ ...record.input(), plan, candidate });
  if (applied.kind === 'superseded') return 'changed';
  const { workload } = applied;

  record.enter('Serving');
  const serving = await activities(record, 'wait until serving').waitUntilServing({
    ...record.input(),
    plan,
    candidate,
    workload,
  });
  if (serving.kind !== 'serving') return 'changed';
  record.tell(serving.status);
  record.enter('Ready');
  return 'done';
}

/** Runs `work`; when something is asked for meanwhile, cancels it, waits until it has stopped, and says so. */
async function interruptible(desired: DesiredState, version: number, work: () => Promise<Outcome>): Promise<Outcome> {
  const scope = new CancellationScope();
  const watch = new CancellationScope();
  const watching = watch
    .run(async () => {
      await desired.askedAfter(version);
      scope.cancel();
    })
    .catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  try {
    return await scope.run(work);
  } catch (error) {
    // A step that was told to stop has stopped, whatever it says: that of a killed worker times out.
    const hasStopped = error instanceof ActivityFailure || error instanceof CancelledFailure;
    if (!scope.consideredCancelled || !hasStopped) throw error;
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('cancelled', [], error);
    return 'changed';
  } finally {
    watch.cancel();
    await watching;
  }
}

async function release(ref: WorkspaceRef, record: WorkspaceRecord, reason: ReleaseReason): Promise<void> {
  record.enter(reason === 'cancelled' ? 'Cancelled' : 'Release');
  const life = record.life();
  const input = { ...record.input(), reason, ...(life !== undefined && { life }) };
  const released = await activities(record, `release (${reason})`).releaseWorkspace(input);
  record.released();
  record.tell(released.status);
}
