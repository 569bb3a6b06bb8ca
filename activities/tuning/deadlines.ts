/**
 * When a tuning's steps give up what they wait for, for `status.step.deadlineTime`. Pure; who acts on it is somebody else: Kubernetes' Job controller,
 * and the workflow.
 */
import { keepsMachines } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import { observeMachines, trainingJobOf, type OwnedObjects } from '../observe/observation';

/** When Kubernetes ends the training, data included: so long after its Job began. Undefined where it may take as long as it likes. */
export function trainingDeadline(workspace: Workspace, objects: OwnedObjects): Date | undefined {
  const { activeDeadlineSeconds } = workspace.tuning ?? {};
  const startTime = trainingJobOf(workspace, objects)?.status?.startTime;
  if (activeDeadlineSeconds === undefined || startTime === undefined) return undefined;
  return new Date(Date.parse(startTime) + activeDeadlineSeconds * 1_000);
}

/**
 * When the machines are no longer kept for a push that is not done: as the workflow said, if it did. Undefined where none are let go of then: the
 * user's own, and those that the user wants to keep.
 */
export function pushDeadline(
  workspace: Workspace,
  objects: OwnedObjects,
  keptUntil: string | undefined,
): Date | undefined {
  const { metadata, resource } = workspace;
  const isKept = resource.instanceType === undefined || keepsMachines(metadata);
  if (keptUntil === undefined || isKept || observeMachines(workspace, objects).length === 0) return undefined;
  return new Date(keptUntil);
}
