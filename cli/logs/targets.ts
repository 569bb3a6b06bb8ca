import { LABEL_WORKSPACE } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { Pod } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { pushJobName } from '../../manifests/tuning/push-job';
import type { ClusterAccess } from '../cluster';
import { CliError } from '../failure';

const LABEL_JOB = 'batch.kubernetes.io/job-name';

/** Whose log: the model server's, the training's, or that of the adapter's push. */
export type Part = 'serving' | 'training' | 'push';

/** What is at work, as far as the status tells. */
export function partOf({ tuning, status }: Workspace): Part {
  if (tuning === undefined) return 'serving';
  return status?.step?.name === 'Push' ? 'push' : 'training';
}

/** Its pods: all of a model server's, by name; of a Job the last one, or the one before. */
export async function podsOf(
  { client }: ClusterAccess,
  { metadata: { namespace, name }, status }: Workspace,
  part: Part,
  { previous, signal }: { readonly previous: boolean; readonly signal: AbortSignal },
): Promise<readonly Pod[]> {
  const job = part === 'push' ? pushJobName(name) : name;
  const labelSelector = part === 'serving' ? `${LABEL_WORKSPACE}=${name},!${LABEL_JOB}` : `${LABEL_JOB}=${job}`;
  const { items } = await client.list(RESOURCES.pods, { namespace, labelSelector }, { signal });
  const pods =
    part === 'serving'
      ? items.toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name))
      : newestFirst(items).slice(previous ? 1 : 0, previous ? 2 : 1);
  if (pods.length > 0) return pods;
  const { name: step = 'none', message = 'nothing is told' } = status?.step ?? {};
  throw new CliError({
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
