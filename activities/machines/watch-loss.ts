/**
 * What a step that waits for a workload has to give up for: a machine that went away under it.
 */
import type { Dependencies } from '../dependencies';
import type { Observation, OwnedObjects } from '../observe/observation';
import { notReadySince } from './karpenter/life';

/** A cache may lag behind what another process made; what is missing for longer is lost. */
const MISSING_FOR_MS = 10_000;

/** Losses come with time, too: how often to look again. */
export const LOSS_RECHECK_MS = MISSING_FOR_MS / 2;

/**
 * Watches one wait. The function it makes says what is lost; undefined while nothing is. `missing` names something else than a machine that isn't
 * there now; it is lost, too, when it stays away.
 */
export function watchLoss(
  deps: Dependencies,
  nodeCount: number,
): (observation: Observation, objects: OwnedObjects, missing?: string) => string | undefined {
  let missingSince: number | undefined;
  const deadMachine = createDeadMachines(deps);
  return (observation, objects, other) => {
    const missing = other ?? whatIsMissing(observation, nodeCount);
    missingSince = missing === undefined ? undefined : (missingSince ?? deps.now().getTime());
    if (missingSince !== undefined && deps.now().getTime() - missingSince >= MISSING_FOR_MS) return missing;
    const leaving = whatIsLeaving(observation, nodeCount);
    return leaving === undefined ? deadMachine(observation, objects) : `${leaving} is being deleted`;
  };
}

function whatIsMissing({ machines }: Observation, nodeCount: number): string | undefined {
  const provided = machines.filter(({ provider, phase }) => provider !== 'own-nodes' && phase !== 'Lost');
  const own = machines.some(({ provider }) => provider === 'own-nodes');
  if (own || provided.length >= nodeCount) return undefined;
  return `${nodeCount - provided.length} of ${nodeCount} machines are gone`;
}

/** A machine on its way out that nothing has replaced yet. Once it is replaced, however long it takes to go is of no concern. */
function whatIsLeaving({ machines }: Observation, nodeCount: number): string | undefined {
  const bought = machines.filter(({ provider }) => provider !== 'own-nodes');
  const leaving = bought.filter(({ phase }) => phase === 'Deleting');
  return bought.length - leaving.length < nodeCount ? leaving[0]?.name : undefined;
}

/** Says which machine was bought and has not been ready for longer than one may take to become so: the machines step replaces it. */
function createDeadMachines({ deadlines, now }: Dependencies) {
  /** By machine: since when it has been seen as not ready. */
  const seenSince = new Map<string, number>();
  return ({ machines }: Observation, objects: OwnedObjects): string | undefined => {
    const at = now();
    const notReady = machines.filter(({ provider, phase }) => provider !== 'own-nodes' && phase === 'NotReady');
    for (const name of seenSince.keys()) if (!notReady.some((one) => one.name === name)) seenSince.delete(name);
    const dead = notReady.find(({ name, nodeName = '' }) => {
      const seenSinceMs = seenSince.get(name) ?? at.getTime();
      seenSince.set(name, seenSinceMs);
      const sinceMs = notReadySince(objects.nodeNamed(nodeName), seenSinceMs, at);
      return at.getTime() - sinceMs >= deadlines.gpusAllocatableMs;
    });
    return dead && `${dead.name}: ${dead.message ?? 'node is not ready'}`;
  };
}
