import { isMap, parseAllDocuments, stringify } from 'yaml';
import type { Workspace } from '../../api/workspace';
import type { WorkspaceRef } from '../../api/workflow';
import { KubernetesError } from '../../kubernetes/errors';
import { apiVersionOf, pathOf, RESOURCES } from '../../kubernetes/resources';
import { theWorkspace, USER_AGENT, type ClusterAccess } from '../cluster';
import type { Session } from '../session';

/** What is planned. */
export interface Source {
  /** The Workspace, and the ConfigMap of its configuration if there is one, as YAML. */
  readonly text: string;
  /** As the API server has it, or would have it; undefined where it was not asked or refuses. */
  readonly workspace?: Workspace;
  readonly admission: Admission;
}

/** What the API server says of the manifest, without storing it. */
export type Admission =
  | { readonly kind: 'accepted' | 'in the cluster' }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'not asked'; readonly why: string };

/** A Workspace of the cluster with its ConfigMap, as a file would hold both. */
export async function sourceOfName(cluster: ClusterAccess, ref: WorkspaceRef, signal: AbortSignal): Promise<Source> {
  const workspace = await theWorkspace(cluster, ref, signal);
  const { apiVersion, kind, resource, inference, tuning } = workspace;
  const manifest = {
    apiVersion,
    kind,
    metadata: ref,
    resource,
    ...(inference && { inference }),
    ...(tuning && { tuning }),
  };
  const name = inference?.config ?? tuning?.config;
  const configMap =
    name === undefined || name === ''
      ? undefined
      : await cluster.client.get(RESOURCES.configMaps, { namespace: ref.namespace, name }, { signal });
  const documents = [manifest, ...(configMap === undefined ? [] : [{ ...configMap, metadata: { name } }])];
  return {
    text: documents.map((one) => stringify(one)).join('---\n'),
    workspace,
    admission: { kind: 'in the cluster' },
  };
}

/** A file; when a cluster can be reached, its API server is asked what it would make of the Workspace. */
export async function sourceOfFile(session: Session, text: string, isAsked: boolean): Promise<Source> {
  if (!isAsked) return { text, admission: { kind: 'not asked', why: '--no-dry-run' } };
  const manifest = workspaceIn(text);
  if (manifest === undefined) return { text, admission: { kind: 'not asked', why: 'the file holds no Workspace' } };
  try {
    const workspace = await dryRun(session.cluster(), manifest, session.namespace, session.io.signal);
    return { text, workspace, admission: { kind: 'accepted' } };
  } catch (error) {
    session.io.signal.throwIfAborted();
    if (!(error instanceof Error)) throw error;
    // Refused by the schema, a policy or a role: that is the answer. Anything else is no answer.
    const isRefusal = error instanceof KubernetesError && [400, 403, 409, 422].includes(error.code);
    return isRefusal
      ? { text, admission: { kind: 'refused', message: error.message } }
      : { text, admission: { kind: 'not asked', why: error.message } };
  }
}

interface Manifest {
  readonly apiVersion?: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
}

function workspaceIn(text: string): Manifest | undefined {
  for (const document of parseAllDocuments(text)) {
    if (!isMap(document.contents)) continue;
    const object = document.toJS() as Manifest & { readonly kind?: string };
    if (object.kind === 'Workspace') return object;
  }
  return undefined;
}

/** Server-side apply that stores nothing: the schema, defaults and every admission policy have their say. */
async function dryRun(
  cluster: ClusterAccess,
  manifest: Manifest,
  namespace: string,
  signal: AbortSignal,
): Promise<Workspace> {
  const { name = '', namespace: own = namespace } = manifest.metadata ?? {};
  const version = manifest.apiVersion?.split('/')[1] ?? RESOURCES.workspaces.version;
  const resource = { ...RESOURCES.workspaces, version };
  const query = new URLSearchParams({
    dryRun: 'All',
    fieldManager: USER_AGENT,
    force: 'true',
    fieldValidation: 'Strict',
  });
  return cluster.json<Workspace>(
    {
      method: 'PATCH',
      path: `${pathOf(resource, { namespace: own, name })}?${query.toString()}`,
      contentType: 'application/apply-patch+yaml',
      description: `dry run of ${apiVersionOf(resource)} workspaces "${name}" in namespace "${own}"`,
      body: { ...manifest, metadata: { ...manifest.metadata, namespace: own } },
    },
    signal,
  );
}
