import type { Workspace } from '../../api/workspace';
import { labelsSelector } from '../../kubernetes/client';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';
import { LABEL_JOB_NAME, resultOf } from '../observe/job';

/** What a Job's program left when it ended well. Asked of the API server where the cache of pods is behind that of Jobs; undefined where no pod is left. */
export async function readResult(
  { client, world }: Dependencies,
  { metadata: { namespace, name } }: Workspace,
  jobName: string,
  signal: AbortSignal,
): Promise<unknown> {
  const { jobs, pods } = world.owned({ namespace, name });
  const job = jobs.find(({ metadata }) => metadata.name === jobName);
  if (job === undefined) return undefined;
  const cached = resultOf(job, pods);
  if (cached !== undefined) return cached;
  const labelSelector = labelsSelector({ [LABEL_JOB_NAME]: jobName });
  const { items } = await client.list(RESOURCES.pods, { namespace, labelSelector }, { signal });
  return resultOf(job, items);
}
