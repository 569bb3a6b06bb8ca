import {
  LONGEST_ADDITION,
  MOST_SWEEP_BYTES,
  compare,
  orphanKeyOf,
  type FindOrphansInput,
  type Found,
  type FoundOrphan,
  type OwnedMachines,
} from '../../api/sweep';
import { keyOf, RESOURCES } from '../../kubernetes/resources';
import type { Sweeping } from '../machines/provider';
import { isAlive, type Lives } from './alive';
import type { SweepDependencies } from './dependencies';

/** One complete look. Machines are listed before Workspaces, so that what is bought in between has its Workspace. */
export async function findOrphans(
  deps: SweepDependencies,
  before: FindOrphansInput,
  signal: AbortSignal,
): Promise<Found> {
  const lists = await Promise.all(
    sweepable(deps).map(async (sweeping) => ({ sweeping, machines: await sweeping.owned(signal) })),
  );
  const { items } = await deps.client.list(RESOURCES.workspaces, {}, { metadataOnly: true, signal });
  const uids = new Map(items.map(({ metadata }) => [keyOf(metadata), metadata.uid]));
  const running = new Map<string, Promise<boolean>>();
  const lives: Lives = {
    uidOf: (ref) => uids.get(keyOf(ref)),
    isWorkflowRunning: (ref) => {
      const answer = running.get(keyOf(ref)) ?? deps.isWorkflowRunning(ref);
      running.set(keyOf(ref), answer);
      return answer;
    },
  };
  const found = await Promise.all(
    lists.map(({ sweeping, machines }) => Promise.all(machines.map((one) => asOrphan(one, sweeping, lives, signal)))),
  );
  const orphans = found
    .flat()
    .filter((one) => one !== undefined)
    .sort((a, b) => compare(a.createdTime ?? '', b.createdTime ?? '') || compare(orphanKeyOf(a), orphanKeyOf(b)));
  return {
    owned: lists.reduce((sum, { machines }) => sum + machines.length, 0),
    orphans: fitting(inTurn(orphans, before)),
  };
}

/**
 * Where more are found than a sweep can remember, each has its turn: those that wait for their release; then, of those that the last sweep did not
 * tell of, those younger than what could not be released, and the others; then what could not be released.
 *
 * @param orphans the oldest first.
 */
function inTurn(orphans: readonly FoundOrphan[], before: FindOrphansInput): readonly FoundOrphan[] {
  const waiting = new Set(before.waiting);
  const failed = new Set(before.failed);
  const afterFailed = orphans.findLastIndex((orphan) => failed.has(orphanKeyOf(orphan))) + 1;
  const turnOf = (orphan: FoundOrphan): number => {
    const key = orphanKeyOf(orphan);
    if (waiting.has(key)) return 0;
    return failed.has(key) ? 2 : 1;
  };
  const inCycle = [...orphans.slice(afterFailed), ...orphans.slice(0, afterFailed)];
  return inCycle.sort((a, b) => turnOf(a) - turnOf(b));
}

/** The first of them. */
function fitting(orphans: readonly FoundOrphan[]): readonly FoundOrphan[] {
  let bytes = 0;
  const tooMany = orphans.findIndex((orphan) => {
    bytes += Buffer.byteLength(`${JSON.stringify({ ...orphan, ...LONGEST_ADDITION })},`);
    return bytes > MOST_SWEEP_BYTES;
  });
  return tooMany === -1 ? orphans : orphans.slice(0, tooMany);
}

/** How to sweep what each provider buys. */
export function sweepable({ providers }: SweepDependencies): readonly Sweeping[] {
  return providers.flatMap(({ sweeping }) => sweeping ?? []);
}

async function asOrphan(
  machines: OwnedMachines,
  sweeping: Sweeping,
  lives: Lives,
  signal: AbortSignal,
): Promise<FoundOrphan | undefined> {
  if (await isAlive(machines, lives)) return undefined;
  const pricePerHour = await sweeping.pricePerHour?.(machines, signal);
  return { ...machines, ...(pricePerHour !== undefined && { pricePerHour }) };
}
