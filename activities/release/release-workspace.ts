/**
 * The release step: the workload goes, then the machines; it ends when nothing owned is left. On delete it lets the Workspace go then, by its
 * finalizer. It has no deadline of its own: what is stuck is named in the status until it is gone, or until the user forces it.
 */
import { ANNOTATION_RETRY, FINALIZER } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { ReleaseInput, ReleaseOutcome, WorkspaceRef } from '../../api/workflow';
import { isConflict, isNotFound } from '../../kubernetes/errors';
import type { KubernetesObject } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';
import { keepRecord } from '../history/keep-record';
import { RecordKeeper } from '../history/records';
import type { Providers } from '../machines/acquire-machines';
import type { Owner } from '../machines/provider';
import { removeMachines } from '../machines/remove-machines';
import { resultsPlace } from '../tuning/results-place';
import { defineStep, readWorkspace, type StepContext, type Told } from '../step';

/** Pods that take longer than this to stop go down with their machines. */
const PODS_PATIENCE_MS = 60_000;
const RECHECK_MS = 5_000;

export function createReleaseWorkspace(
  deps: Dependencies,
  providers: Providers,
): (input: ReleaseInput) => Promise<ReleaseOutcome> {
  const keeper = new RecordKeeper(deps.client);
  return defineStep<ReleaseInput, ReleaseOutcome>(deps, { name: 'Release' }, async (input, context) => {
    const { ref, reason } = input;
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

    const end = workspace === undefined ? 'Gone' : isCancelled ? 'Cancelled' : 'Deleted';
    await keepRecord(deps, keeper, input, end, workspace, context);
    if (workspace === undefined) return { kind: 'released' };
    if (reason === 'deleted') {
      context.event(workspace, 'Normal', 'Released', 'everything that was made for the Workspace is gone');
      await letGo(deps, workspace, context.signal);
      return { kind: 'released' };
    }
    const resume = `kubectl annotate workspace ${ref.name} -n ${ref.namespace} ${ANNOTATION_RETRY}="$(date +%s)" --overwrite`;
    const message = [
      'cancelled; what was bought is released',
      ...keptResults(deps, workspace),
      `To resume, change the spec or run: ${resume}`,
    ].join('. ');
    const status = await context.tell(workspace, { step: 'Cancelled', message });
    context.event(workspace, 'Normal', 'Cancelled', message);
    return { kind: 'released', status };
  });
}

/** A cancelled training goes on from its last checkpoint: where that is. */
function keptResults(deps: Dependencies, workspace: Workspace): readonly string[] {
  if (workspace.tuning === undefined) return [];
  const { volume, progress, trainedTime } = deps.status.latest(workspace).status?.tuning ?? {};
  const where = resultsPlace(volume);
  if (trainedTime !== undefined) return [`The trained adapter is kept on ${where}`];
  const { checkpoint } = progress ?? {};
  return checkpoint === undefined ? [] : [`The checkpoint of step ${checkpoint} is kept on ${where}`];
}

async function removeWorkload(
  deps: Dependencies,
  { metadata }: Workspace,
  { signal }: StepContext,
  say: (what: string) => void,
): Promise<void> {
  const ref = { namespace: metadata.namespace, name: metadata.name };
  const isOwned = (object: KubernetesObject): boolean =>
    object.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) === true;
  const { statefulSet, jobs } = deps.world.owned(ref);
  const ownedSets = statefulSet !== undefined && isOwned(statefulSet) ? [statefulSet] : [];
  const ownedJobs = jobs.filter(isOwned);
  if (ownedSets.length + ownedJobs.length === 0) return;
  await Promise.all([
    ...ownedSets.map(({ metadata: { uid } }) => deps.client.delete(RESOURCES.statefulSets, ref, { uid, signal })),
    ...ownedJobs.map(({ metadata: { name, uid } }) =>
      // Jobs are deleted without their pods by default.
      deps.client.delete(RESOURCES.jobs, { ...ref, name }, { uid, propagationPolicy: 'Background', signal }),
    ),
  ]);

  const begun = deps.now().getTime();
  await deps.world.until(
    ref,
    () => {
      const { statefulSet: set, jobs: left, pods } = deps.world.owned(ref);
      if (set === undefined && left.length === 0 && pods.length === 0) return true;
      if (deps.now().getTime() - begun > PODS_PATIENCE_MS) return true;
      say(
        [
          ...(set === undefined ? [] : [`StatefulSet ${ref.name}`]),
          ...left.map((job) => `Job ${job.metadata.name}`),
          ...pods.map((pod) => `Pod ${pod.metadata.name}`),
        ].join(', '),
      );
      return undefined;
    },
    { signal, recheckMs: RECHECK_MS },
  );
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
