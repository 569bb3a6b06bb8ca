import { setTimeout as delay } from 'node:timers/promises';
import type { Workspace } from '../../api/workspace';
import type { WorkspaceRef } from '../../api/workflow';
import { Cache } from '../../kubernetes/cache';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import { RESOURCES } from '../../kubernetes/resources';
import type { ClusterAccess } from '../cluster';
import { CliError } from '../failure';
import { duration } from '../times';

const IT = 'it';

export interface Wait {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Called with each state on the way. */
  readonly tell: (workspace: Workspace) => void;
}

/** The Workspace once `isDone`; undefined once it is gone. Fails when the time is over, with what it waits for. */
export async function until(
  { client }: ClusterAccess,
  { namespace, name }: WorkspaceRef,
  isDone: (workspace: Workspace) => boolean,
  { signal, timeoutMs, tell }: Wait,
): Promise<Workspace | undefined> {
  let last: Workspace | undefined;
  const cache = new Cache(client, {
    resource: RESOURCES.workspaces,
    namespace,
    fieldSelector: `metadata.name=${name}`,
    logger: SILENT_LOGGER,
    index: () => [IT],
  });
  const over = new AbortController();
  try {
    return await Promise.race([
      cache
        .start()
        .waitFor(
          IT,
          ([workspace]) => {
            if (workspace === undefined) return { gone: true };
            last = workspace;
            tell(workspace);
            return isDone(workspace) ? { workspace } : undefined;
          },
          { signal: AbortSignal.any([signal, over.signal]) },
        )
        .then((found) => ('workspace' in found ? found.workspace : undefined)),
      delay(timeoutMs, undefined, { signal: over.signal }).then(() => {
        const { state = 'Pending', step } = last?.status ?? {};
        throw new CliError({
          exit: 'late',
          message: `Workspace '${namespace}/${name}' is ${state} after ${duration(timeoutMs)}, in step ${step?.name ?? 'none'}: ${step?.message ?? 'nothing is told'}`,
          remedy:
            step?.remedy ??
            `It goes on without this command; look with kaito get ${name} -n ${namespace}, or wait longer with --timeout.`,
        });
      }),
    ]);
  } finally {
    over.abort();
    await cache.stop();
  }
}

/** Ready, Succeeded or Failed: nothing more happens by itself. */
export function isSettled({ metadata, status }: Workspace): boolean {
  const { state, step, observedGeneration } = status ?? {};
  if (observedGeneration !== metadata.generation) return false;
  return (state === 'Ready' && step?.name === 'Ready') || state === 'Succeeded' || state === 'Failed';
}

/** The release of a cancelled Workspace is over, too. */
export function isCancelled({ status }: Workspace): boolean {
  return status?.state === 'Cancelled' && status.step?.name === 'Cancelled';
}
