/**
 * Services and StatefulSet that KAITO made. Server-side apply adds to what other managers set: their probes, ports and selectors would stay beside
 * ours. So what KAITO set becomes ours first; what our manifest does not say goes with the next apply.
 */
import { ANNOTATION_HASH, FIELD_MANAGER, LABEL_WORKSPACE_UID } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { KubernetesObject } from '../../kubernetes/objects';
import { RESOURCES, type Resource } from '../../kubernetes/resources';
import { specHash } from '../../manifests/controller-revision';
import { headlessServiceName, serviceName } from '../../manifests/names';
import type { Dependencies } from '../dependencies';
import type { StepContext } from '../step';
import { assertOwned } from './apply-owned';

interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly apiVersion?: string;
  readonly subresource?: string;
  readonly fieldsV1?: Fields;
}
type Fields = { readonly [field: string]: Fields };

/**
 * Takes over what KAITO made for the Workspace, before the first apply of ours; later it does nothing.
 *
 * @throws a Conflict for objects of these names that belong to somebody else.
 */
export async function takeOverFromKaito(
  deps: Pick<Dependencies, 'client'>,
  workspace: Workspace,
  { signal, event }: Pick<StepContext, 'signal' | 'event'>,
): Promise<void> {
  if (!isKaitos(workspace)) return;
  const { namespace, name } = workspace.metadata;
  const objects: readonly (readonly [Resource, string])[] = [
    [RESOURCES.statefulSets, name],
    [RESOURCES.services, serviceName(name)],
    [RESOURCES.services, headlessServiceName(name)],
  ];
  for (const [resource, objectName] of objects) {
    const existing = await deps.client.get(resource, { namespace, name: objectName }, { signal });
    if (existing === undefined || existing.metadata.labels?.[LABEL_WORKSPACE_UID] !== undefined) continue;
    assertOwned(resource, existing, workspace);
    const { resourceVersion } = existing.metadata;
    const managedFields = takenOver(existing);
    await deps.client.patch(
      resource,
      { namespace, name: objectName },
      { metadata: { resourceVersion, managedFields } },
      { signal },
    );
    event(workspace, 'Normal', 'TakenOver', `${resource.kind} ${objectName}, made by KAITO, is taken over`);
  }
}

/** KAITO has noted its digest of the specification, and we have not applied anything yet. */
function isKaitos(workspace: Workspace): boolean {
  const hash = workspace.metadata.annotations?.[ANNOTATION_HASH];
  return hash !== undefined && workspace.status?.workload === undefined && hash !== specHash(workspace);
}

/** The managers of an object, with everything but its status applied by us. */
export function takenOver({ apiVersion, metadata }: KubernetesObject): readonly object[] {
  const all = (metadata.managedFields ?? []) as readonly ManagedFields[];
  const isStatus = ({ subresource }: ManagedFields): boolean => (subresource ?? '') !== '';
  const fields = all.filter((entry) => !isStatus(entry)).map(({ fieldsV1 = {} }) => fieldsV1);
  const ours = {
    manager: FIELD_MANAGER,
    operation: 'Apply',
    apiVersion,
    fieldsType: 'FieldsV1',
    fieldsV1: fields.reduce(union, {}),
  };
  return [...all.filter(isStatus), ours];
}

function union(a: Fields, b: Fields): Fields {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...keys].map((key) => [key, union(a[key] ?? {}, b[key] ?? {})]));
}
