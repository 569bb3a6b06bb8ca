import { Context } from '@temporalio/activity';
import { turnsAfter, type SweepActivities } from '../../api/sweep';
import { toError } from '../../api/to-error';
import type { SweepDependencies } from './dependencies';
import { findOrphans } from './find-orphans';
import { releaseOrphan } from './release-orphan';
import { reportOrphans } from './report-orphans';

const HEARTBEAT_MS = 5_000;

/** The activities of the sweep workflow. */
export function createSweepActivities(deps: SweepDependencies): SweepActivities {
  return {
    // A sweep that earlier code began says nothing of the one before.
    findOrphans: (before = turnsAfter([])) => beating(({ signal }) => findOrphans(deps, before, signal)),
    reportOrphans: async (input) => reportOrphans(deps, input),
    releaseOrphan: (orphan) => beating((context) => releaseOrphan(deps, orphan, context)),
  };
}

interface Beating {
  readonly signal: AbortSignal;
  /** What is waited for, as the Temporal UI shows it. */
  readonly progress: (message: string) => void;
}

/** Runs it with heartbeats; a cancelled activity ends by the cancellation, not by what it broke. */
async function beating<T>(run: (context: Beating) => Promise<T>): Promise<T> {
  const activity = Context.current();
  const signal = activity.cancellationSignal;
  let message = '';
  const timer = setInterval(() => activity.heartbeat(message), HEARTBEAT_MS);
  try {
    return await run({ signal, progress: (next) => (message = next) });
  } catch (error) {
    if (signal.aborted) throw toError(signal.reason);
    throw error;
  } finally {
    clearInterval(timer);
  }
}
