import type { Workspace } from '../../api/workspace';
import { ANNOTATION_RENDERED_HASH } from '../../manifests/owned-stateful-set';
import { findCondition, type Job } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';
import type { StepContext } from '../step';
import { applyNetworkPolicy } from '../workload/apply-network-policy';
import { applyOwned, assertOwned, type OwnedManifest } from '../workload/apply-owned';
import { isOfFormerLife } from '../workload/former-life';

export interface JobManifest extends OwnedManifest {
  readonly metadata: OwnedManifest['metadata'] & { readonly annotations: Readonly<Record<string, string>> };
}

/** Which Jobs are made anew though they are as rendered. */
export type Replace = 'none' | 'failed' | 'ended';

/**
 * Makes the Job exist as rendered. One that is so already is left to run, or to have run, unless `replace` says otherwise; what differs is
 * replaced, and so is what a former Workspace of this name left. Its predecessor and its pods are gone before it starts: two never write the same
 * volume.
 */
export async function ensureJob(
  deps: Pick<Dependencies, 'client' | 'world' | 'workload'>,
  workspace: Workspace,
  manifest: JobManifest,
  replace: Replace,
  context: Pick<StepContext, 'signal' | 'event' | 'progress'>,
): Promise<void> {
  const { client, world } = deps;
  const { signal } = context;
  const { namespace, name } = manifest.metadata;
  const existing = await client.get(RESOURCES.jobs, { namespace, name }, { signal });
  if (existing !== undefined) {
    const isLeftover = await isOfFormerLife(deps, existing, workspace, signal);
    if (!isLeftover) assertOwned(RESOURCES.jobs, existing, workspace);
    const isLeaving = existing.metadata.deletionTimestamp !== undefined;
    const isAsRendered = !isLeftover && hashOf(existing.metadata) === hashOf(manifest.metadata);
    if (isAsRendered && !isLeaving && !isToBeReplaced(existing, replace)) return;

    const { uid } = existing.metadata;
    await client.delete(RESOURCES.jobs, { namespace, name }, { uid, propagationPolicy: 'Foreground', signal });
    context.progress(`waiting until the former Job ${name} is gone`);
    const ref = { namespace, name: workspace.metadata.name };
    await world.until(ref, () => (world.owned(ref).jobs.some((job) => job.metadata.uid === uid) ? undefined : true), {
      signal,
    });
  }
  await applyNetworkPolicy(deps, workspace, false, signal);
  await applyOwned(deps, RESOURCES.jobs, manifest, workspace, signal);
  context.event(workspace, 'Normal', 'JobApplied', `Job ${name} ${existing === undefined ? 'created' : 'made anew'}`);
}

function hashOf({ annotations }: Pick<JobManifest['metadata'], 'annotations'> | Job['metadata']): string | undefined {
  return annotations?.[ANNOTATION_RENDERED_HASH];
}

function isToBeReplaced(job: Job, replace: Replace): boolean {
  const types = { none: [], failed: ['Failed', 'FailureTarget'], ended: ['Failed', 'FailureTarget', 'Complete'] }[
    replace
  ];
  return types.some((type) => findCondition(job, type)?.status === 'True');
}
