import {
  ActivityFailure,
  CancellationScope,
  CancelledFailure,
  continueAsNew,
  defineQuery,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { WorkspaceStatus } from '../api/workspace';
import { STATUS_QUERY, type Candidate, type Plan, type ReleaseReason, type WorkspaceRef } from '../api/workflow';
import { assertNever } from '../api/assert-never';
import { activities } from './activities';
import { followDesiredState, type DesiredState } from './desired-state';
import { isFinalFailure, stepFailureOf } from './failures';
import { createRecord, type Carried, type WorkspaceRecord } from './record';

export const status = defineQuery<WorkspaceStatus | undefined>(STATUS_QUERY);

/** How one convergence ended. */
type Outcome = 'ready' | 'failed' | 'deleted' | 'gone' | 'replaced' | 'changed';

/** After every candidate was unavailable: the pause before the list is tried again, doubled each time. */
const CANDIDATES_PAUSE_MS = { first: 60_000, most: 600_000 };

/** History length at which a Workspace at rest goes on in a fresh run, well below the server's own suggestion. */
const LONG_HISTORY_EVENTS = 2_000;

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
  const record = createRecord(ref, carried);
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
      case 'ready':
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
  try {
    record.enter('Plan');
    const planned = await activities('plan').planWorkspace(record.input());
    if (planned.kind === 'gone') return 'gone';
    const life = planned.kind === 'deleting' ? planned : planned.plan;
    desired.observe(life);
    if (!record.isOf(life.uid)) return 'replaced';
    if (planned.kind === 'deleting') return 'deleted';
    record.tell(planned.status);
    const { plan } = planned;

    record.enter('Machines');
    const candidate = await acquireMachines(desired, record, plan);
    if (candidate === 'changed') return 'changed';

    record.enter('Workload');
    const applied = await activities('apply workload').applyWorkload({ ...record.input(), plan, candidate });
    if (applied.kind === 'superseded') return 'changed';
    const { workload } = applied;

    record.enter('Serving');
    const serving = await activities('wait until serving').waitUntilServing({
      ...record.input(),
      plan,
      candidate,
      workload,
    });
    if (serving.kind !== 'serving') return 'changed';
    record.tell(serving.status);
    record.enter('Ready');
    return 'ready';
  } catch (error) {
    // How a step ends that was told to stop says nothing about the Workspace.
    if (CancellationScope.current().consideredCancelled || !isFinalFailure(error)) throw error;
    const { failure, life, status } = stepFailureOf(error);
    if (life !== undefined) desired.observe(life);
    record.tell(status);
    record.fail(failure);
    return 'failed';
  }
}

/** Tries the candidates in their order, again and again with growing pauses, until one's machines are usable. */
async function acquireMachines(
  desired: DesiredState,
  record: WorkspaceRecord,
  plan: Plan,
): Promise<Candidate | 'changed'> {
  for (let round = 0; ; round += 1) {
    for (const candidate of plan.candidates) {
      const summary = `${candidate.nodeCount} × ${candidate.instanceType || 'own node'}`;
      const acquired = await activities(summary).acquireMachines({ ...record.input(), plan, candidate });
      switch (acquired.kind) {
        case 'acquired':
          return candidate;
        case 'superseded':
          return 'changed';
        case 'unavailable':
          record.tried(acquired.attempts);
          record.tell(acquired.status);
          break;
        default:
          assertNever(acquired);
      }
    }

    const pauseMs = Math.min(CANDIDATES_PAUSE_MS.first * 2 ** round, CANDIDATES_PAUSE_MS.most);
    const nextTryTime = new Date(Date.now() + pauseMs).toISOString();
    const reported = await activities('report next try').reportPause({ ...record.input(), plan, nextTryTime });
    record.tell(reported.status);
    if (await desired.askedAfter(desired.version, pauseMs)) return 'changed';
    if (isLong()) return 'changed';
  }
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

function isLong(): boolean {
  return workflowInfo().continueAsNewSuggested || workflowInfo().historyLength > LONG_HISTORY_EVENTS;
}

async function release(ref: WorkspaceRef, record: WorkspaceRecord, reason: ReleaseReason): Promise<void> {
  record.enter(reason === 'cancelled' ? 'Cancelled' : 'Release');
  const released = await activities(`release (${reason})`).releaseWorkspace({ ...record.input(), reason });
  record.tell(released.status);
}
