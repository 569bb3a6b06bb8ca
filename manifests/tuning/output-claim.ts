import type { TuningPlan } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';
import { dnsLabel } from '../digest';
import { ownedMeta, type PersistentVolumeClaim } from '../objects';

/** Name of the claim that keeps a tuning's checkpoints and adapter. */
export function outputClaimName(workspaceName: string): string {
  return dnsLabel(`${workspaceName}-results`);
}

/** The volume that outlives the training's pods and nodes. It goes with the Workspace. */
export function outputClaim(input: {
  readonly workspace: Workspace;
  readonly claim: NonNullable<TuningPlan['claim']>;
}): PersistentVolumeClaim {
  const { workspace, claim } = input;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: ownedMeta(workspace, claim.name),
    spec: {
      // One pod at a time has it: the training's, then that of the push.
      accessModes: ['ReadWriteOnce'],
      storageClassName: claim.storageClassName,
      resources: { requests: { storage: `${claim.sizeGiB}Gi` } },
    },
  };
}
