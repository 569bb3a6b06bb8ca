import {
  ActivityFailure,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import {
  ageOf,
  costOf,
  releaseFailure,
  turnsAfter,
  type Orphan,
  type SweepActivities,
  type SweepReport,
  type SweepSettings,
} from '../../api/sweep';
import { judge } from './judge';

/** A look that fails is left to the next sweep after a few tries: what it would have found stays remembered as it was. */
const looking = proxyActivities<SweepActivities>({
  startToCloseTimeout: '10m',
  heartbeatTimeout: '20s',
  retry: { maximumAttempts: 3, initialInterval: '5s' },
});

/** A release that is stuck for longer is tried again by a later sweep, after the others. */
const releasing = proxyActivities<SweepActivities>({
  scheduleToCloseTimeout: '1h',
  heartbeatTimeout: '20s',
  retry: { maximumAttempts: 3, initialInterval: '10s' },
});

/** Releases that go on side by side; clouds allow few changes at once, and Workspaces come first. */
const AT_ONCE = 5;

/**
 * One sweep: finds machines that this installation bought and whose Workspace is not alive, and releases those that were found before.
 *
 * Guarantees:
 * 1. nothing is released that only one look has found, nor before the grace is over;
 * 2. a look that is not complete decides nothing: the sweep fails, and remembers nothing new;
 * 3. what was seen is kept in the sweep's result, which the schedule gives to the next sweep: no restart forgets it;
 * 4. nothing that it tells or remembers is larger than an event may be: each look has so many orphans only (`MOST_SWEEP_BYTES`).
 */
export async function sweep({ graceMs }: SweepSettings): Promise<SweepReport> {
  const before = remembered();
  const { owned, orphans: found } = await looking.findOrphans(turnsAfter(before));
  const nowMs = Date.now();
  const { due, waiting } = judge(found, before, { nowMs, graceMs });
  const orphans = [...due, ...waiting];
  setCurrentDetails(detailsOf(orphans, nowMs));
  await looking.reportOrphans({ orphans, graceMs });

  const released: Orphan[] = [];
  const left: Orphan[] = [];
  for (let first = 0; first < due.length; first += AT_ONCE) {
    await Promise.all(
      due.slice(first, first + AT_ONCE).map(async (orphan) => {
        const end = await release(orphan);
        if (end.kind === 'released') released.push(orphan);
        if (end.kind === 'failed') left.push({ ...orphan, failure: end.failure });
      }),
    );
  }
  const remaining = [...left, ...waiting];
  if (due.length > 0) await looking.reportOrphans({ orphans: remaining, graceMs });
  setCurrentDetails(detailsOf(remaining, Date.now()));
  return { time: new Date(nowMs).toISOString(), owned, orphans: remaining, released };
}

type End = { readonly kind: 'released' | 'kept' } | { readonly kind: 'failed'; readonly failure: string };

/** One that can't be released now keeps no other from it. */
async function release(orphan: Orphan): Promise<End> {
  try {
    return await releasing.releaseOrphan(orphan);
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    return { kind: 'failed', failure: releaseFailure(error.cause?.message ?? error.message) };
  }
}

/** What the last sweep that ended well remembered. */
function remembered(): readonly Orphan[] {
  const last = workflowInfo().lastResult as Partial<SweepReport> | undefined;
  return last?.orphans ?? [];
}

/** Markdown for the Temporal UI. */
function detailsOf(orphans: readonly Orphan[], nowMs: number): string {
  if (orphans.length === 0) return 'every machine has its Workspace';
  const lines = orphans.map((orphan) => {
    const { kind, name, workspace, count, instanceType, failure } = orphan;
    const hours = (ageOf(orphan, nowMs) / 3_600_000).toFixed(1);
    const cost = costOf(orphan, nowMs);
    const parts = [
      `${kind} ${name}: ${count} × ${instanceType} of ${workspace.namespace}/${workspace.name}, ${hours} h old`,
      ...(cost === undefined ? [] : [`about $${cost.toFixed(2)}`]),
      ...(failure === undefined ? [] : [`not released: ${failure}`]),
    ];
    return `- ${parts.join(', ')}`;
  });
  return ['**Machines without a Workspace**', ...lines].join('\n');
}
