import { ANNOTATION_FORCE_DELETE } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { WorkspaceRef } from '../../api/workflow';
import type { Dependencies } from '../dependencies';
import type { StepContext } from '../step';
import type { Providers } from './acquire-machines';
import type { Owner } from './provider';

const RECHECK_MS = 5_000;

/** Takes over what others bought for the Workspace, from whatever provider. */
export async function adoptMachines(providers: Providers, workspace: Workspace, context: StepContext): Promise<void> {
  for (const provider of Object.values(providers)) await provider.adopt?.(workspace, context);
}

/** Releases all machines of an owner, of whatever provider, and returns when they are gone, or when the user forces it. */
export async function removeMachines(
  deps: Dependencies,
  providers: Providers,
  owner: Owner,
  workspace: Workspace | undefined,
  context: StepContext,
  say: (what: string) => void,
): Promise<void> {
  const { signal } = context;
  if (workspace !== undefined) await adoptMachines(providers, workspace, context);
  const all = Object.values(providers);
  for (;;) {
    const left = (await Promise.all(all.map((provider) => provider.release(owner, signal)))).flat();
    if (left.length === 0) return;
    if (isForced(deps, owner)) {
      const message = `forced by ${ANNOTATION_FORCE_DELETE}: left to the sweeper: ${left.join(', ')}`;
      if (workspace !== undefined) context.event(workspace, 'Warning', 'ForcedDelete', message);
      deps.logger.warn('release was forced', { namespace: owner.namespace, name: owner.name, left });
      return;
    }
    say(left.join(', '));
    await nextChange(deps, owner, signal);
  }
}

/** Resolves after the next change of the Workspace's objects, or a while, so that a deletion that got lost is asked for again. */
async function nextChange({ world }: Dependencies, owner: Owner, signal: AbortSignal): Promise<void> {
  let looks = 0;
  await world.until(owner, () => ((looks += 1) > 1 ? true : undefined), { signal, recheckMs: RECHECK_MS });
}

function isForced({ world }: Dependencies, ref: WorkspaceRef): boolean {
  return world.workspace(ref)?.metadata.annotations?.[ANNOTATION_FORCE_DELETE] === 'true';
}
