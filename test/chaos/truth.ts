/** Whether what a status says is so: judged by the objects themselves, not by the product's own derivation. */
import type { Workspace } from '../../api/workspace';
import type { KubernetesObject } from '../../kubernetes/objects';
import { isReadyNode, type Scene } from './scene';
import { imageOf, type Player } from './player';

/** A false claim must last so long to count: objects and status are watched separately, and a status takes a moment to follow. */
const GRACE_MS = 6_000;
const SAMPLE_MS = 250;
/** How long before a status says Ready the model may have answered last, and how long after it may be seen to do so. */
const SEEN_WITHIN_MS = 3_000;

export interface TruthWatch {
  /** A fault begins: until what is returned is called, nobody can put a status right, and what is untrue counts only if it stays so. */
  faulty(): () => void;
  /** The untrue statuses so far. */
  lies(): readonly string[];
  stop(): void;
}

/** Samples every status until stopped. */
export function watchTruth(scene: Scene, player: Player): TruthWatch {
  const since = new Map<string, number>();
  const answered = new Map<string, number>();
  const claimed = new Map<string, { readonly at: number; readonly what: string }>();
  const lies = new Map<string, string>();
  const faults = new Set<symbol>();

  const sample = (): void => {
    const now = Date.now();
    for (const workspace of scene.all('workspaces')) {
      const { uid, namespace, name } = workspace.metadata;
      const lie = whatIsUntrue(scene, player, workspace);
      if (answers(scene, workspace)) answered.set(uid, now);
      if (lie === undefined || faults.size > 0) since.delete(uid);
      else if (now - (since.get(uid) ?? now) > GRACE_MS) lies.set(uid, `${namespace}/${name}: ${lie}`);
      else if (!since.has(uid)) since.set(uid, now);
    }
    for (const [uid, { at, what }] of claimed) {
      if ((answered.get(uid) ?? 0) >= at - SEEN_WITHIN_MS) claimed.delete(uid);
      else if (now - at > SEEN_WITHIN_MS) {
        claimed.delete(uid);
        lies.set(uid, what);
      }
    }
  };
  scene.onChange((kind, event) => {
    if (kind === 'pods' || kind === 'statefulSets') sample();
    if (kind !== 'workspaces' || event.type !== 'modified') return;
    const [before, after] = [
      event.previous as Workspace & KubernetesObject,
      event.object as Workspace & KubernetesObject,
    ];
    if (after.status?.state !== 'Ready' || before.status?.state === 'Ready') return;
    const { uid, namespace, name } = after.metadata;
    const what = `${namespace}/${name}: was called Ready, and no model answered`;
    claimed.set(uid, { at: Date.now(), what });
    sample();
  });
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    faulty() {
      const fault = Symbol('fault');
      faults.add(fault);
      sample();
      return () => void faults.delete(fault);
    },
    lies: () => [...lies.values()],
    stop: () => clearInterval(timer),
  };
}

/** What a status says that isn't so. */
export function whatIsUntrue(scene: Scene, player: Player, workspace: Workspace): string | undefined {
  const { status, metadata } = workspace;
  if (metadata.deletionTimestamp !== undefined || status?.observedGeneration !== metadata.generation) return undefined;
  switch (status.step?.name) {
    case 'Ready':
      if (status.state !== 'Ready') return `step Ready, state ${status.state}`;
      return answers(scene, workspace) ? undefined : 'Ready, and the model does not answer';
    case 'Succeeded': {
      const pushed = player.pushed(imageOf(metadata));
      if (pushed === undefined) return 'Succeeded, and nothing was pushed';
      return status.tuning?.digest === pushed
        ? undefined
        : `says digest ${status.tuning?.digest}, pushed was ${pushed}`;
    }
    case 'Cancelled': {
      const left = scene.claimsOf(metadata).map((claim) => claim.metadata.name);
      return left.length === 0 ? undefined : `Cancelled, and there is ${left.join(', ')}`;
    }
    default:
      return status.state === 'Ready' ? `state Ready, step ${status.step?.name}` : undefined;
  }
}

/** Every replica is ready, on a machine that is. */
function answers(scene: Scene, { metadata, tuning }: Workspace): boolean {
  if (tuning !== undefined) return false;
  const set = scene.get('statefulSets', { namespace: metadata.namespace, name: metadata.name });
  const replicas = set?.spec.replicas ?? 1;
  if (set === undefined || (set.status?.readyReplicas ?? 0) < replicas) return false;
  const claims = scene.claimsOf(metadata).filter((claim) => claim.metadata.deletionTimestamp === undefined);
  const ready = claims.filter(({ status }) => isReadyNode(scene.get('nodes', { name: status?.nodeName ?? '' })));
  return ready.length >= replicas;
}
