import { ageOf, costOf, type Orphan } from '../../api/sweep';
import { API_VERSION, KIND } from '../../api/workspace';
import type { ObjectReference } from '../../kubernetes/objects';
import type { SweepDependencies } from './dependencies';

/** Tells people of orphans: a log line and an Event for each, and the metric. */
export function reportOrphans(
  { events, logger, now, onOrphans }: SweepDependencies,
  { orphans, graceMs }: { readonly orphans: readonly Orphan[]; readonly graceMs: number },
): void {
  const nowMs = now().getTime();
  onOrphans?.(orphans);
  for (const orphan of orphans) {
    const { kind, name, workspace, instanceType, count, pricePerHour, failure } = orphan;
    const cost = costOf(orphan, nowMs);
    logger.warn('machines without a Workspace', {
      kind,
      name,
      namespace: workspace.namespace,
      workspace: workspace.name,
      uid: workspace.uid,
      instanceType,
      count,
      ageMs: ageOf(orphan, nowMs),
      ...(pricePerHour !== undefined && { pricePerHour }),
      ...(cost !== undefined && { cost: Number(cost.toFixed(2)) }),
      ...(failure !== undefined && { failure }),
    });
    events.record(regarding(orphan), {
      type: 'Warning',
      reason: 'OrphanedMachines',
      message: eventOf(orphan, graceMs),
    });
  }
}

/** The same from sweep to sweep, so that it is one Event with a count; age and cost are in the log and in the sweep's result. */
function eventOf(orphan: Orphan, graceMs: number): string {
  const { kind, name, workspace, count, instanceType, pricePerHour, createdTime, firstSeenTime, failure } = orphan;
  const what = `${kind} ${name} (${count} × ${instanceType}) was bought for Workspace ${workspace.namespace}/${workspace.name} (${workspace.uid}), which is gone`;
  const since = createdTime === undefined ? '' : ` since ${createdTime}`;
  const costs = pricePerHour === undefined ? '' : `; it costs about $${pricePerHour.toFixed(2)} an hour${since}`;
  const releaseTime = new Date(Date.parse(firstSeenTime) + graceMs).toISOString();
  const next = failure === undefined ? `is released after ${releaseTime}` : `could not be released: ${failure}`;
  return `${what}${costs}; it ${next}`;
}

/** The NodeClaim itself; of a pool, which the cluster does not know, the Workspace that it was bought for, in its namespace. */
function regarding({ provider, name, identity, workspace }: Orphan): ObjectReference {
  if (provider === 'karpenter') {
    return { apiVersion: 'karpenter.sh/v1', kind: 'NodeClaim', name, uid: identity };
  }
  return { apiVersion: API_VERSION, kind: KIND, ...workspace };
}
