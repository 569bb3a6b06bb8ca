import { CONDITIONS } from '../../api/conditions';
import type { Workspace } from '../../api/workspace';

/**
 * Whether KAITO finished this very tuning: then there is nothing to train, and nothing to push. Of our own trainings the status knows when they were
 * complete; of KAITO's it knows only that they are.
 */
export function wasTunedByKaito({ metadata, status, tuning }: Workspace): boolean {
  if (tuning === undefined || status?.tuning?.trainedTime !== undefined) return false;
  return (
    status?.conditions?.some(
      ({ type, status: holds, observedGeneration }) =>
        type === CONDITIONS.workspaceSucceeded && holds === 'True' && observedGeneration === metadata.generation,
    ) === true
  );
}
