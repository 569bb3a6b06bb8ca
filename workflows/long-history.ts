import { workflowInfo } from '@temporalio/workflow';

/** History length at which a Workspace at rest goes on in a fresh run, well below the server's own suggestion. */
const LONG_HISTORY_EVENTS = 2_000;

/** The run has become long: time for continue-as-new. */
export function isLong(): boolean {
  return workflowInfo().continueAsNewSuggested || workflowInfo().historyLength > LONG_HISTORY_EVENTS;
}
