import type { Workspace } from '../api/workspace';
import type { WorkspaceRef } from '../api/workflow';
import type { Dependencies } from './dependencies';
import { SupersededError, isSameLife, readWorkspace } from './step';

/** The Workspace of the planned generation: from the cache, or from the API server where the cache is behind. Gives way when it changed. */
export async function currentWorkspace(
  deps: Dependencies,
  ref: WorkspaceRef,
  life: { readonly uid: string; readonly generation: number },
  signal: AbortSignal,
): Promise<Workspace> {
  const cached = deps.world.workspace(ref);
  if (cached?.metadata.uid === life.uid && cached.metadata.generation === life.generation) return cached;
  const workspace = await readWorkspace(deps, ref, signal);
  if (isSameLife(workspace, life)) return workspace;
  throw new SupersededError('the Workspace changed');
}
