import { shorten } from './shorten';

/** Condition types of a Workspace: KAITO's, and `Planned`. */
export const CONDITIONS = {
  /** Model, size and references were judged, and candidates found. Ours. */
  planned: 'Planned',
  /** Every NodeClaim is launched, registered and initialized. Absent for own nodes. */
  nodeClaimReady: 'NodeClaimReady',
  /** Every node is Ready and its GPUs are allocatable. */
  nodesReady: 'NodesReady',
  /** Both of the above. */
  resourceReady: 'ResourceReady',
  /** Every replica of the workload passes its readiness probe: the model answers. */
  inferenceReady: 'InferenceReady',
  /** The tuning Job has started. */
  jobStarted: 'JobStarted',
  /** The whole; the column WORKSPACEREADY. */
  workspaceSucceeded: 'WorkspaceSucceeded',
  /** Present only while the Workspace is being deleted. */
  workspaceDeleting: 'WorkspaceDeleting',
} as const;

export type ConditionType = (typeof CONDITIONS)[keyof typeof CONDITIONS];

/** A condition before it has a time. */
export interface Observed {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Longest message of a condition, bytes, as KAITO's. */
export const MOST_MESSAGE_BYTES = 256;

export function observed(
  type: ConditionType,
  holds: boolean,
  reason: string,
  message: string,
  mostBytes = MOST_MESSAGE_BYTES,
): Observed {
  return { type, status: holds ? 'True' : 'False', reason, message: shorten(message, mostBytes) };
}
