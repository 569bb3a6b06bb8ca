/**
 * NodeClaims that KAITO bought for a Workspace before this product served it: they are taken over, so that nothing is bought beside them. KAITO marks
 * them by the Workspace's name and namespace; with our marks they are as if we had bought them.
 */
import { LABEL_WORKSPACE_UID } from '../../../api/labels';
import type { Workspace } from '../../../api/workspace';
import { isConflict, isNotFound } from '../../../kubernetes/errors';
import type { NodeClaim } from '../../../kubernetes/objects';
import { RESOURCES } from '../../../kubernetes/resources';
import { ANNOTATION_GPUS, ANNOTATION_SLOT, LABEL_NODE_POOL } from '../../../manifests/node-claim';
import { findSize } from '../../../presets/sizes';
import type { Dependencies } from '../../dependencies';
import type { StepContext } from '../../step';
import { instanceTypeOf } from './observe';

/** KAITO's names for NodeClaims, and the pool that it claims to be of. */
const KAITO_NAME = /^ws[0-9a-f]{9}$/;
const KAITO_POOL = 'kaito';

/** Resolves when the cache shows what was taken over as ours. Without such claims it costs nothing. */
export async function adoptKaitoClaims(
  { client, world }: Pick<Dependencies, 'client' | 'world'>,
  workspace: Workspace,
  { signal, event, progress }: Pick<StepContext, 'signal' | 'event' | 'progress'>,
): Promise<void> {
  const { namespace, name, uid } = workspace.metadata;
  const ref = { namespace, name };
  const theirs = (): readonly NodeClaim[] =>
    world
      .owned(ref)
      .nodeClaims.filter((claim) => isKaitos(claim, workspace))
      .sort(byAge);
  const found = theirs();
  if (found.length === 0) return;

  const taken = world
    .owned(ref)
    .nodeClaims.filter(({ metadata }) => metadata.labels?.[LABEL_WORKSPACE_UID] === uid).length;
  for (const [index, claim] of found.entries()) {
    const { name: claimName, resourceVersion } = claim.metadata;
    const gpus = findSize(instanceTypeOf(claim) ?? '')?.gpus.count ?? 1;
    const annotations = { [ANNOTATION_SLOT]: String(taken + index), [ANNOTATION_GPUS]: String(gpus) };
    const patch = { metadata: { resourceVersion, labels: { [LABEL_WORKSPACE_UID]: uid }, annotations } };
    try {
      await client.patch(RESOURCES.nodeClaims, { name: claimName }, patch, { signal });
      event(workspace, 'Normal', 'NodeClaimAdopted', `NodeClaim ${claimName}, bought by KAITO, is taken over`);
    } catch (error) {
      // It changed or went: the cache tells, and what is left of them is looked at again.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }
  await world.until(
    ref,
    () => {
      const stale = theirs().filter((claim) =>
        found.some(
          ({ metadata }) =>
            metadata.uid === claim.metadata.uid && metadata.resourceVersion === claim.metadata.resourceVersion,
        ),
      );
      if (stale.length === 0) return true;
      progress(`taking over ${found.length} NodeClaims of KAITO`);
      return undefined;
    },
    { signal },
  );
  await adoptKaitoClaims({ client, world }, workspace, { signal, event, progress });
}

/** Says what KAITO's own node pool for the Workspace still costs: machines of a pool can't be taken over, so ours are bought beside them. */
export function tellOfKaitoPool(
  { world }: Pick<Dependencies, 'world'>,
  workspace: Workspace,
  { event }: Pick<StepContext, 'event'>,
): void {
  const { namespace, name } = workspace.metadata;
  const nodes = world.owned({ namespace, name }).kaitoPoolNodes;
  const pools = [...new Set(nodes.map(({ metadata: { labels } }) => labels?.[LABEL_NODE_POOL] ?? '?'))];
  if (pools.length === 0) return;
  event(
    workspace,
    'Warning',
    'KaitoNodePool',
    `KAITO's NodePool ${pools.join(', ')} still runs ${nodes.length} machines for this Workspace; they can't be taken over, and others are bought beside them. Delete it: kubectl delete nodepool ${pools.join(' ')}`,
  );
}

function isKaitos({ metadata }: NodeClaim, workspace: Workspace): boolean {
  const { labels = {}, ownerReferences = [], deletionTimestamp, creationTimestamp } = metadata;
  return (
    KAITO_NAME.test(metadata.name) &&
    labels[LABEL_NODE_POOL] === KAITO_POOL &&
    labels[LABEL_WORKSPACE_UID] === undefined &&
    ownerReferences.length === 0 &&
    deletionTimestamp === undefined &&
    // Of an earlier Workspace of this name, KAITO deleted them itself.
    Date.parse(creationTimestamp) >= Date.parse(workspace.metadata.creationTimestamp ?? '')
  );
}

function byAge(a: NodeClaim, b: NodeClaim): number {
  return Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp);
}
