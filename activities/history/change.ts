/**
 * Who brought a generation of a Workspace about, and what differs: as far as the API server notes it, which is by field manager, not by user.
 */
import { isDeepStrictEqual } from 'node:util';
import type { GenerationChange } from '../../api/history';
import { LABEL_REVISION_OWNER } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import { labelsSelector, type KubernetesClient } from '../../kubernetes/client';
import { RESOURCES } from '../../kubernetes/resources';
import { specHash } from '../../manifests/controller-revision';

const DIGEST_DIGITS = 12;
const MOST_FIELDS = 10;
/** Of a field's path: the parts without a schema may have keys of any length. */
const MOST_FIELD_CHARS = 100;
const MOST_CAUSE_CHARS = 200;
const ANNOTATION_CHANGE_CAUSE = 'kubernetes.io/change-cause';
const SPECIFICATION = ['resource', 'inference', 'tuning'] as const;

interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly time?: string;
  readonly subresource?: string;
  readonly fieldsV1?: Readonly<Record<string, unknown>>;
}

/** Reads the former revision only where the generation is new, so that a Workspace at rest costs nothing. */
export async function describeChange(
  client: Pick<KubernetesClient, 'list'>,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<GenerationChange> {
  const { generation, annotations } = workspace.metadata;
  const isNew = generation > 1 && workspace.status?.observedGeneration !== generation;
  const changed = isNew ? await changedFields(client, workspace, signal) : [];
  const cause = annotations?.[ANNOTATION_CHANGE_CAUSE];
  return {
    generation,
    digest: specHash(workspace).slice(0, DIGEST_DIGITS),
    ...lastManager(workspace.metadata),
    ...(changed.length > 0 && {
      changed: changed.slice(0, MOST_FIELDS).map((path) => path.slice(0, MOST_FIELD_CHARS)),
    }),
    ...(cause !== undefined && { cause: cause.slice(0, MOST_CAUSE_CHARS) }),
  };
}

/** The manager that wrote the specification last. */
export function lastManager({
  managedFields = [],
}: {
  readonly name: string;
  readonly managedFields?: readonly unknown[];
}): Pick<GenerationChange, 'manager' | 'operation' | 'time'> {
  const [last] = (managedFields as readonly ManagedFields[])
    .filter(
      ({ subresource, fieldsV1 = {} }) =>
        (subresource ?? '') === '' && SPECIFICATION.some((part) => `f:${part}` in fieldsV1),
    )
    .sort((a, b) => Date.parse(b.time ?? '') - Date.parse(a.time ?? ''));
  if (last === undefined) return {};
  const { manager, operation, time } = last;
  return {
    ...(manager !== undefined && { manager }),
    ...(operation !== undefined && { operation }),
    ...(time !== undefined && { time }),
  };
}

async function changedFields(
  client: Pick<KubernetesClient, 'list'>,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { namespace, name, uid } = workspace.metadata;
  const labelSelector = labelsSelector({ [LABEL_REVISION_OWNER]: name });
  const { items } = await client.list(RESOURCES.controllerRevisions, { namespace, labelSelector }, { signal });
  const [former] = items
    .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid))
    .sort((a, b) => b.revision - a.revision);
  if (former === undefined) return [];
  const now = Object.fromEntries(SPECIFICATION.map((part) => [part, workspace[part]]));
  return differences((former as unknown as { readonly data?: unknown }).data ?? {}, now);
}

/** Paths of the values that differ; of lists and deep objects the path of the whole. */
export function differences(before: unknown, after: unknown, path = '', depth = 3): readonly string[] {
  if (isMap(before) && isMap(after) && depth > 0) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return keys.flatMap((key) => differences(before[key], after[key], path === '' ? key : `${path}.${key}`, depth - 1));
  }
  return isDeepStrictEqual(before, after) ? [] : [path];
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
