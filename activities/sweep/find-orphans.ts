import type { Found, FoundOrphan, OwnedMachines } from '../../api/sweep';
import { keyOf, RESOURCES } from '../../kubernetes/resources';
import type { Sweeping } from '../machines/provider';
import { isAlive, type Lives } from './alive';
import type { SweepDependencies } from './dependencies';

/** One complete look. Machines are listed before Workspaces, so that what is bought in between has its Workspace. */
export async function findOrphans(deps: SweepDependencies, signal: AbortSignal): Promise<Found> {
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
  return {
    owned: lists.reduce((sum, { machines }) => sum + machines.length, 0),
    orphans: found.flat().filter((one) => one !== undefined),
  };
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
