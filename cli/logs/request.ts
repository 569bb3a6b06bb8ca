import type { Pod } from '../../kubernetes/objects';
import { pathOf, RESOURCES } from '../../kubernetes/resources';
import type { ClusterAccess } from '../cluster';

/** What of a log is asked for, and how it is printed. */
export interface LogFlags {
  readonly container?: string;
  readonly tail?: number;
  /** Milliseconds. */
  readonly since?: number;
  readonly timestamps?: boolean;
}

/** Opens the log of one container. `parameters` are the API server's own. */
export function openLog(
  cluster: Pick<ClusterAccess, 'stream'>,
  { metadata: { name, namespace = '' } }: Pod,
  parameters: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
  const path = `${pathOf(RESOURCES.pods, { namespace, name }, 'log')}?${new URLSearchParams(parameters).toString()}`;
  return cluster.stream(path, `get pods/log "${name}" in namespace "${namespace}"`, signal);
}

/** How much of the log, in the API server's words. */
export function extentOf({ tail, since }: LogFlags): Readonly<Record<string, string>> {
  return {
    ...(tail !== undefined && { tailLines: String(tail) }),
    ...(since !== undefined && { sinceSeconds: String(Math.ceil(since / 1_000)) }),
  };
}
