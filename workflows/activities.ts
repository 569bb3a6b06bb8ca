/**
 * The activities as the workflow calls them, with the policy of each.
 *
 * Attempts are not limited: a failure that trying again can't mend is thrown as non-retryable by the activity, which also sets the delay
 * before the next attempt (and writes it into the status). Steps wait for hours, so they are bounded by heartbeats, not by time.
 */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { WorkspaceActivities } from '../api/workflow';
import type { WorkspaceRecord } from './record';

const policy = {
  startToCloseTimeout: '30 days',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '1m' },
  // A step that is told to stop has stopped when the next one begins: two never write at once.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
} as const;

/** The activities, with a summary that the Temporal UI shows beside the name. */
export function activities({ heartbeatTimeoutMs }: WorkspaceRecord, summary: string): WorkspaceActivities {
  return proxyActivities<WorkspaceActivities>({ ...policy, heartbeatTimeout: heartbeatTimeoutMs, summary });
}
