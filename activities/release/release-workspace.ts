/**
 * The release step: the workload goes, then the machines; it ends when nothing owned is left. On delete it lets the Workspace go then, by its
 * finalizer. It has no deadline of its own: what is stuck is named in the status until it is gone, or until the user forces it.
 */
import { ANNOTATION_FORCE_DELETE, ANNOTATION_RETRY, FINALIZER } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { ReleaseInput, ReleaseOutcome, WorkspaceRef } from '../../api/workflow';
import { isConflict, isNotFound } from '../../kubernetes/errors';
import type { KubernetesObject } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';
import type { Providers } from '../machines/acquire-machines';
import type { Owner } from '../machines/provider';
import { defineStep, readWorkspace, type StepContext, type Told } from '../step';

/** Pods that take longer than this to stop go down with their machines. */
const PODS_PATIENCE_MS = 60_000;
const RECHECK_MS = 5_000;

export function createReleaseWorkspace(
  deps: Dependencies,
  providers: Providers,
): (input: ReleaseInput) => Promise<ReleaseOutcome> {
  return defineStep<ReleaseInput, ReleaseOutcome>(deps, { name: 'Release' }, async ({ ref, reason }, context) => {
    const found = await currentState(deps, ref, reason, context.signal);
    // A Workspace that is not being deleted, though ours is said to be deleted or gone, is another life: it keeps what is its own.
    const isAnother = reason === 'gone' || (reason === 'deleted' && found?.metadata.deletionTimestamp === undefined);
    const workspace = isAnother ? undefined : found;
    const keptUid = isAnother ? found?.metadata.uid : undefined;

    let left = 'the workload';
    const isCancelled = reason === 'cancelled';
    const told = (): Told => ({ message: `${isCancelled ? 'cancelled; ' : ''}releasing ${left}`, isCancelled });
    // Told before anything goes where the Workspace stays: a Ready one that loses its workload would be restored by the bridge.
    const following = workspace && context.follow(workspace, told, { lazily: !isCancelled });
    const say = (what: string): void => {
      left = what;
      context.progress(`waiting until gone: ${what}`);
    };
    try {
      await following?.first;
      if (workspace !== undefined) await removeWorkload(deps, workspace, context, say);
      const owner: Owner = { ...ref, isOwned: (uid) => uid !== undefined && uid !== keptUid };
      await removeMachines(deps, providers, owner, workspace, context, say);
    } finally {
      await following?.stop();
    }

    if (workspace === undefined) return { kind: 'released' };
    if (reason === 'deleted') {
      context.event(workspace, 'Normal', 'Released', 'everything that was made for the Workspace is gone');
      await letGo(deps, workspace, context.signal);
      deps.status.forget(workspace.metadata.uid);
      return { kind: 'released' };
    }
    const resume = `kubectl annotate workspace ${ref.name} -n ${ref.namespace} ${ANNOTATION_RETRY}="$(date +%s)" --overwrite`;
    const message = `cancelled; what was bought is released. To resume, change the spec or run: ${resume}`;
    const status = await context.tell(workspace, { step: 'Cancelled', message });
    context.event(workspace, 'Normal', 'Cancelled', message);
    return { kind: 'released', status };
  });
}

async function removeWorkload(
  deps: Dependencies,
  { metadata }: Workspace,
  { signal }: StepContext,
  say: (what: string) => void,
): Promise<void> {
  const ref = { namespace: metadata.namespace, name: metadata.name };
  const { statefulSet } = deps.world.owned(ref);
  if (statefulSet === undefined || !statefulSet.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid))
    return;
  await deps.client.delete(RESOURCES.statefulSets, ref, { uid: statefulSet.metadata.uid, signal });

  const begun = deps.now().getTime();
  await deps.world.until(
    ref,
    () => {
      const { statefulSet: set, pods } = deps.world.owned(ref);
      if (set === undefined && pods.length === 0) return true;
      if (deps.now().getTime() - begun > PODS_PATIENCE_MS) return true;
      say(
        [
          ...(set === undefined ? [] : [`StatefulSet ${ref.name}`]),
          ...pods.map((pod) => `Pod ${pod.metadata.name}`),
        ].join(', '),
      );
      return undefined;
    },
    { signal, recheckMs: RECHECK_MS },
  );
}

async function removeMachines(
  deps: Dependencies,
  providers: Providers,
  owner: Owner,
  workspace: Workspace | undefined,
  context: StepContext,
  say: (what: string) => void,
): Promise<void> {
  const { signal } = context;
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

/** The Workspace to release: the cache does where it already shows the deletion, as nothing but the finalizers can change then. */
async function currentState(
  deps: Dependencies,
  ref: WorkspaceRef,
  reason: ReleaseInput['reason'],
  signal: AbortSignal,
): Promise<Workspace | undefined> {
  const cached = deps.world.workspace(ref);
  if (reason === 'deleted' && cached?.metadata.deletionTimestamp !== undefined) return cached;
  return readWorkspace(deps, ref, signal);
}

/** Removes our finalizer, and only ours, from that very Workspace. */
async function letGo({ client, world }: Dependencies, { metadata }: Workspace, signal: AbortSignal): Promise<void> {
  const { namespace, name, uid } = metadata;
  const ref: WorkspaceRef = { namespace, name };
  let known: Pick<KubernetesObject, 'metadata'> | undefined = world.workspace(ref) as KubernetesObject | undefined;
  for (;;) {
    if (known === undefined || known.metadata.uid !== uid) return;
    const { resourceVersion, finalizers = [] } = known.metadata;
    if (!finalizers.includes(FINALIZER)) return;
    try {
      const remaining = finalizers.filter((finalizer) => finalizer !== FINALIZER);
      await client.patch(
        RESOURCES.workspaces,
        ref,
        { metadata: { resourceVersion, finalizers: remaining } },
        { signal },
      );
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!isConflict(error)) throw error;
      known = await client.get(RESOURCES.workspaces, ref, { signal });
    }
  }
}
