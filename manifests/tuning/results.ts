import type { V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { TuningPlan } from '../../api/workflow';
import type { TuningSpec, Workspace } from '../../api/workspace';

const RESULTS_VOLUME = 'results-volume';

/**
 * The volume with checkpoints and adapter: the user's, or the claim of ours. Throws when there is neither, because results in the pod itself would
 * be gone with it.
 */
export function resultsVolume(workspace: Workspace, { claim }: Pick<TuningPlan, 'claim'>): V1Volume {
  if (claim !== undefined) return { name: RESULTS_VOLUME, persistentVolumeClaim: { claimName: claim.name } };
  const { volumeSource } = tuningOf(workspace).output;
  if (volumeSource === undefined) throw new Error(`the plan of ${title(workspace)} has no volume for the results`);
  return { name: RESULTS_VOLUME, ...volumeSource };
}

/** Where programs find that volume. */
export function resultsMount({ outputDirectory }: Pick<TuningPlan, 'outputDirectory'>): V1VolumeMount {
  return { name: RESULTS_VOLUME, mountPath: outputDirectory };
}

/** What the user wrote about the tuning; throws for a Workspace that serves a model. */
export function tuningOf(workspace: Workspace): TuningSpec {
  if (workspace.tuning === undefined) throw new Error(`${title(workspace)} tunes nothing`);
  return workspace.tuning;
}

function title({ metadata: { namespace, name } }: Workspace): string {
  return `Workspace '${namespace}/${name}'`;
}
