/**
 * What went wrong with a NodeClaim, in users' terms: it is overdue in a phase, or it vanished.
 */
import type { Cause, Failure } from '../../../api/causes';
import type { MachineStatus } from '../../../api/workspace';
import { findCondition, type Node, type NodeClaim } from '../../../kubernetes/objects';
import type { MachineDeadlines } from '../../dependencies';

/**
 * Words of providers' messages, most telling first. Karpenter passes the cloud's own text through, so these are the clouds' codes
 * (provisioning.md §3.4 lists Azure's).
 */
const WORDS: readonly (readonly [RegExp, Cause])[] = [
  [/quota|exceed(ed|s|ing).*limit|VcpuLimitExceeded|LimitExceeded/i, 'Quota'],
  [/NodeClass.*(not ready|not found|resolve)|nodeclass/i, 'NodeClass'],
  [/AuthorizationFailed|Unauthorized|Forbidden|AccessDenied|credential|not authorized/i, 'Auth'],
  [
    /InsufficientCapacity|insufficient capacity|AllocationFailed|OverconstrainedAllocation|SkuNotAvailable|ZonalAllocation|unavailable|no instance type/i,
    'Capacity',
  ],
];

function classify(text: string, otherwise: Cause): Cause {
  return WORDS.find(([words]) => words.test(text))?.[1] ?? otherwise;
}

/** A claim that is gone, by what it said last: Karpenter deletes claims that the cloud has no machine for. */
export function failureOfVanished(claim: NodeClaim): Failure {
  const launched = findCondition(claim, 'Launched');
  const { name } = claim.metadata;
  if (launched?.status === 'True' || (claim.status?.nodeName ?? '') !== '') {
    return { cause: 'MachineLost', message: `NodeClaim ${name} went away after its machine had been launched` };
  }
  const said = [launched?.reason, launched?.message].filter((text) => text !== undefined && text !== '').join(': ');
  const cause = classify(said, 'Capacity');
  return { cause, message: `NodeClaim ${name} was given up before launch: ${said || 'the provider gave no reason'}` };
}

/**
 * Since when a node has not been ready, milliseconds by our clock; `seenSinceMs` is since when we have seen it so.
 *
 * What its kubelet says of itself is timed by the node's own clock, which may be off by hours: there, only the time between the change and the last
 * heartbeat counts. That a kubelet is silent (`Unknown`) is said, and timed, by the control plane.
 */
export function notReadySince(node: Node | undefined, seenSinceMs: number, now: Date): number {
  const { status, lastTransitionTime, lastHeartbeatTime } = (node && findCondition(node, 'Ready')) ?? {};
  if (lastTransitionTime === undefined) return seenSinceMs;
  const changedMs = Date.parse(lastTransitionTime);
  if (status === 'Unknown' || lastHeartbeatTime === undefined) return changedMs;
  return Math.min(seenSinceMs, now.getTime() - (Date.parse(lastHeartbeatTime) - changedMs));
}

/** A claim in its phase, and since when this process has seen it there. */
interface ClaimInPhase {
  readonly claim: NodeClaim;
  readonly node: Node | undefined;
  readonly seenSinceMs: number;
}

interface PhaseDeadline {
  /** What the claim has to be by then. */
  readonly what: string;
  readonly atMs: number;
  readonly allowedMs: number;
}

/**
 * When the claim has been in its phase for longer than it may. Times are the objects' own, so a restart does not lengthen them; only for GPUs that are
 * missing there is no such time, and `seenSinceMs` says since when that has been seen.
 */
export function deadlineOf(
  { claim, node, seenSinceMs }: ClaimInPhase,
  phase: MachineStatus['phase'],
  deadlines: MachineDeadlines,
  now: Date,
): PhaseDeadline {
  const since = (condition: string): number =>
    Date.parse(findCondition(claim, condition)?.lastTransitionTime ?? claim.metadata.creationTimestamp);
  const [what, startedMs, allowedMs] = ((): readonly [string, number, number] => {
    switch (phase) {
      case 'Launched':
        return ['registered', since('Launched'), deadlines.registeredMs];
      case 'Registered':
        return ['initialized', since('Registered'), deadlines.initializedMs];
      case 'Initialized':
        return ['usable', seenSinceMs, deadlines.gpusAllocatableMs];
      case 'NotReady':
        return ['ready', notReadySince(node, seenSinceMs, now), deadlines.gpusAllocatableMs];
      case 'Pending':
      case 'Ready':
      case 'Deleting':
      case 'Lost':
        return ['launched', Date.parse(claim.metadata.creationTimestamp), deadlines.launchedMs];
    }
  })();
  return { what, atMs: startedMs + allowedMs, allowedMs };
}

/** The failure, once the claim has been in its phase for longer than it may. */
export function overdue(
  seen: ClaimInPhase,
  { phase, message = '' }: Pick<MachineStatus, 'phase' | 'message'>,
  deadlines: MachineDeadlines,
  now: Date,
): Failure | undefined {
  const { what, atMs, allowedMs } = deadlineOf(seen, phase, deadlines, now);
  if (now.getTime() < atMs) return undefined;
  const cause = what === 'launched' ? classify(message, 'NotReadyInTime') : 'NotReadyInTime';
  const seconds = Math.round(allowedMs / 1_000);
  return { cause, message: `NodeClaim ${seen.claim.metadata.name} was not ${what} within ${seconds} s: ${message}` };
}
