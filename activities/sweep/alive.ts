import type { OwnedMachines } from '../../api/sweep';
import type { WorkspaceRef } from '../../api/workflow';

/** Who may be alive: the Workspaces that there are, and Temporal's word for those that there are not. */
export interface Lives {
  /** UID of the Workspace that has this name now; undefined: there is none. */
  readonly uidOf: (ref: WorkspaceRef) => string | undefined;
  readonly isWorkflowRunning: (ref: WorkspaceRef) => Promise<boolean>;
}

/**
 * Whether the Workspace that machines were bought for is alive: there is a Workspace of that UID, or none of that name while its workflow still
 * runs, which then releases them itself. Where the name belongs to a later Workspace, the workflow is that one's.
 */
export async function isAlive({ workspace }: Pick<OwnedMachines, 'workspace'>, lives: Lives): Promise<boolean> {
  const uid = lives.uidOf(workspace);
  if (uid !== undefined) return uid === workspace.uid;
  return lives.isWorkflowRunning(workspace);
}
