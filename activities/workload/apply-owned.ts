import { CauseError } from '../../api/causes';
import type { Workspace } from '../../api/workspace';
import { isConflict } from '../../kubernetes/errors';
import type { KubernetesObject, Manifest } from '../../kubernetes/objects';
import type { Resource } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';

export interface OwnedManifest extends Manifest {
  readonly metadata: Manifest['metadata'] & { readonly name: string; readonly namespace: string };
}

/** Server-side apply, of our own objects only: an object of that name that belongs to somebody else is a conflict for people to solve. */
export async function applyOwned<T extends KubernetesObject>(
  { client }: Pick<Dependencies, 'client'>,
  resource: Resource<T>,
  manifest: OwnedManifest,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<T> {
  const { namespace, name } = manifest.metadata;
  try {
    // Without force: what others decided about an object is a conflict first, and a question of whose it is.
    return await client.apply(resource, manifest, { signal, force: false });
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
  const existing = await client.get(resource, { namespace, name }, { signal });
  if (existing !== undefined) assertOwned(resource, existing, workspace);
  return client.apply(resource, manifest, { signal, force: true });
}

/** Throws a Conflict that names the other owner. */
export function assertOwned(resource: Resource, { metadata }: KubernetesObject, workspace: Workspace): void {
  const owners = metadata.ownerReferences ?? [];
  if (owners.some(({ uid }) => uid === workspace.metadata.uid)) return;
  const owner = owners.map((one) => `${one.kind} ${one.name} (${one.uid})`).join(', ');
  throw new CauseError({
    cause: 'Conflict',
    message: `${resource.kind} '${metadata.name}' in namespace '${metadata.namespace}' exists and belongs to ${owner || 'nobody'}`,
    remedy: `Rename the Workspace, or remove the object if nobody needs it: kubectl delete ${resource.plural} ${metadata.name} -n ${metadata.namespace}.`,
  });
}
