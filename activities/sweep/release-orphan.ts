import type { Orphan, ReleaseOrphanOutcome } from '../../api/sweep';
import { RESOURCES } from '../../kubernetes/resources';
import { isAlive } from './alive';
import type { SweepDependencies } from './dependencies';

/** Deletes an orphan, after one more look at whether it is one. */
export async function releaseOrphan(
  deps: SweepDependencies,
  orphan: Orphan,
  context: { readonly signal: AbortSignal; readonly progress: (message: string) => void },
): Promise<ReleaseOrphanOutcome> {
  const { provider, kind, name, workspace } = orphan;
  const sweeping = deps.providers.find((one) => one.name === provider)?.sweeping;
  if (sweeping === undefined) return kept(deps, orphan, `the provider ${provider} is not in use here any more`);

  const { signal } = context;
  const current = await deps.client.get(RESOURCES.workspaces, workspace, { signal });
  const alive = await isAlive(orphan, {
    uidOf: () => current?.metadata.uid,
    isWorkflowRunning: deps.isWorkflowRunning,
  });
  if (alive) return kept(deps, orphan, 'its Workspace is there again');

  const { namespace, name: workspaceName, uid } = workspace;
  deps.logger.warn('releasing orphaned machines', { kind, name, namespace, workspace: workspaceName, uid });
  const ended = deps.onRelease?.(orphan);
  const end = await sweeping.remove(orphan, context).finally(ended);
  if (end === 'not ours') return kept(deps, orphan, 'it is not what was seen any more');
  return { kind: 'released' };
}

function kept({ logger }: SweepDependencies, { kind, name }: Orphan, why: string): ReleaseOrphanOutcome {
  logger.info('machines are no orphans any more', { kind, name, why });
  return { kind: 'kept', why };
}
