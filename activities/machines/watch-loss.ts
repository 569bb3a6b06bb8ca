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
  return (observation, objects, other) => {
    const missing = other ?? whatIsMissing(observation, nodeCount);
    missingSince = missing === undefined ? undefined : (missingSince ?? deps.now().getTime());
    if (missingSince !== undefined && deps.now().getTime() - missingSince >= MISSING_FOR_MS) return missing;
    const leaving = whatIsLeaving(observation, nodeCount);
    return leaving === undefined ? deadMachine(deps, observation, objects) : `${leaving} is being deleted`;
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

/** A machine that was bought and has not been ready for longer than one may take to become so is replaced by the machines step. */
function deadMachine(
  { deadlines, now }: Dependencies,
  { machines }: Observation,
  objects: OwnedObjects,
): string | undefined {
  const dead = machines.find(({ provider, phase, nodeName = '' }) => {
    if (provider === 'own-nodes' || phase !== 'NotReady') return false;
    const since = notReadySince(objects.nodeNamed(nodeName));
    return since !== undefined && now().getTime() - since >= deadlines.gpusAllocatableMs;
  });
  return dead && `${dead.name}: ${dead.message ?? 'node is not ready'}`;
}
