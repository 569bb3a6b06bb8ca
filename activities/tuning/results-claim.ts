/**
 * The claim that keeps a tuning's checkpoints and adapter. It may hold the only copy, so that nothing is removed here but what went with its
 * Workspace already.
 */
import { LABEL_WORKSPACE, LABEL_WORKSPACE_UID } from '../../api/labels';
import { CauseError } from '../../api/causes';
import type { Workspace } from '../../api/workspace';
import type { TuningPlan } from '../../api/workflow';
import type { PersistentVolumeClaim } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { outputClaim } from '../../manifests/tuning/output-claim';
import type { Dependencies } from '../dependencies';
import type { StepContext } from '../step';
import { applyOwned, assertOwned } from '../workload/apply-owned';
import { isOfFormerLife } from '../workload/former-life';

/** Makes the claim exist; true when it did not. Throws a Conflict while another of its name is going, or where somebody else's has its name. */
export async function ensureClaim(
  deps: Pick<Dependencies, 'client'>,
  workspace: Workspace,
  claim: NonNullable<TuningPlan['claim']>,
  context: Pick<StepContext, 'signal' | 'event'>,
): Promise<boolean> {
  const { signal } = context;
  const at = { namespace: workspace.metadata.namespace, name: claim.name };
  const existing = await deps.client.get(RESOURCES.persistentVolumeClaims, at, { signal });
  const isFree = existing === undefined || (await giveWay(deps, workspace, existing, context));
  await applyOwned(deps, RESOURCES.persistentVolumeClaims, outputClaim({ workspace, claim }), workspace, signal);
  return isFree;
}

/** Whether a claim of that name has made room; false where it is the Workspace's own, or nobody's, and so taken as it is. */
async function giveWay(
  deps: Pick<Dependencies, 'client'>,
  workspace: Workspace,
  existing: PersistentVolumeClaim,
  context: Pick<StepContext, 'signal' | 'event'>,
): Promise<boolean> {
  const { namespace = '', name, uid, resourceVersion, ownerReferences = [], deletionTimestamp } = existing.metadata;
  if (deletionTimestamp !== undefined) throw leaving(name);
  if (ownerReferences.length === 0) return false;
  if (!(isMadeByUs(existing, workspace) && (await isOfFormerLife(deps, existing, workspace, context.signal)))) {
    assertOwned(RESOURCES.persistentVolumeClaims, existing, workspace);
    return false;
  }
  // To delete a Workspace is to delete its results: what Kubernetes should have done is done, to exactly the object that was looked at.
  const { signal } = context;
  const end = await deps.client.delete(
    RESOURCES.persistentVolumeClaims,
    { namespace, name },
    { uid, resourceVersion, signal },
  );
  const what = `PersistentVolumeClaim ${name} of a deleted Workspace of the same name was left, and is removed`;
  context.event(workspace, 'Normal', 'LeftoverRemoved', what);
  if (end === 'deleting') throw leaving(name);
  return true;
}

/** Its labels name the Workspace that its owner reference names: nobody but us gives both. */
function isMadeByUs({ metadata: { labels = {}, ownerReferences = [] } }: PersistentVolumeClaim, workspace: Workspace) {
  return (
    labels[LABEL_WORKSPACE] === workspace.metadata.name &&
    ownerReferences.every(({ uid }) => uid === labels[LABEL_WORKSPACE_UID])
  );
}

function leaving(name: string): CauseError {
  return new CauseError({
    cause: 'Conflict',
    message: `PersistentVolumeClaim ${name} is being deleted`,
    remedy: 'Nothing to do: it is made anew when it is gone.',
  });
}
