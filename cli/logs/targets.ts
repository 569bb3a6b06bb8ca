import { LABEL_WORKSPACE } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { Pod } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { pushJobName } from '../../manifests/tuning/push-job';
import type { ClusterAccess } from '../cluster';
import { CliError } from '../failure';

/** On the pods of a Job. */
export const LABEL_JOB = 'batch.kubernetes.io/job-name';

/** Whose log: the model server's, the training's, or that of the adapter's push. */
export type Part = 'serving' | 'training' | 'push';

/** What is at work, as far as the status tells. */
export function partOf({ tuning, status }: Workspace): Part {
  if (tuning === undefined) return 'serving';
  return status?.step?.name === 'Push' ? 'push' : 'training';
}

/** The Job that a part's pods belong to, if it is one. */
export function jobOf({ metadata: { name } }: Workspace, part: Part): string | undefined {
  return { serving: undefined, training: name, push: pushJobName(name) }[part];
}

/** Which pods a part has; without one, all that work for the Workspace. */
export function selectorOf(workspace: Workspace, part: Part | undefined): string {
  const isServer = part === 'serving' || (part === undefined && workspace.tuning === undefined);
  if (isServer) return `${LABEL_WORKSPACE}=${workspace.metadata.name},!${LABEL_JOB}`;
  const parts = part === undefined ? (['training', 'push'] as const) : [part];
  return `${LABEL_JOB} in (${parts.map((one) => jobOf(workspace, one)).join(',')})`;
}

/** A part's pods that are there. */
export async function podsOf(
  { client }: Pick<ClusterAccess, 'client'>,
  workspace: Workspace,
  part: Part | undefined,
  signal: AbortSignal,
): Promise<readonly Pod[]> {
  const { namespace } = workspace.metadata;
  const { items } = await client.list(
    RESOURCES.pods,
    { namespace, labelSelector: selectorOf(workspace, part) },
    { signal },
  );
  return items;
}

/** Those of them whose logs are worth reading: all of a model server's, by name; of a Job the last one, or the one before. */
export function chosenOf(
  pods: readonly Pod[],
  part: Part,
  { previous }: { readonly previous: boolean },
): readonly Pod[] {
  if (part === 'serving') return pods.toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  return newestFirst(pods).slice(previous ? 1 : 0, previous ? 2 : 1);
}

/** Why there is nothing to read. */
export function noPods(
  { metadata: { namespace, name }, status }: Workspace,
  part: Part,
  { previous }: { readonly previous: boolean },
): CliError {
  const { name: step = 'none', message = 'nothing is told' } = status?.step ?? {};
  return new CliError({
    exit: 'notFound',
    message: `Workspace '${namespace}/${name}' has no ${previous ? 'earlier ' : ''}pod for its ${part}; its step is ${step}: ${message}`,
    remedy: `What happened so far: kaito history ${name} -n ${namespace}.`,
  });
}

function newestFirst(pods: readonly Pod[]): readonly Pod[] {
  return pods.toSorted((a, b) => b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp));
}

/** The container whose log is worth reading: the init container that is at work or has failed, else the first. */
export function containerOf({ spec, status }: Pod): string {
  const busy = status?.initContainerStatuses?.find(({ state }) => state?.terminated?.exitCode !== 0);
  // The kubelet tells of init containers only once it has looked at the pod.
  if (busy !== undefined && (busy.state?.running !== undefined || busy.state?.terminated !== undefined))
    return busy.name;
  return spec.containers[0]?.name ?? '';
}
