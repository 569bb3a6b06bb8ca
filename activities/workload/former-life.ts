/**
 * What a Workspace left that had this one's name. Kubernetes' garbage collector removes it; but a Workspace that was deleted and made again while the
 * collector did not watch is missed by it, and its objects have the names that the next life wants.
 */
import type { Workspace } from '../../api/workspace';
import type { KubernetesObject } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';

/**
 * Whether all owners of an object are Workspaces of this one's name that are gone. The API server is asked whether this one is the living one: to a
 * worker that is behind, the next life's objects look like a former one's.
 */
export async function isOfFormerLife(
  { client }: Pick<Dependencies, 'client'>,
  { metadata: { ownerReferences = [] } }: KubernetesObject,
  { kind, metadata: { namespace, name, uid } }: Workspace,
  signal: AbortSignal,
): Promise<boolean> {
  const areOthers = ownerReferences.every((owner) => owner.kind === kind && owner.name === name && owner.uid !== uid);
  if (ownerReferences.length === 0 || !areOthers) return false;
  const living = await client.get(RESOURCES.workspaces, { namespace, name }, { signal });
  return living?.metadata.uid === uid;
}
