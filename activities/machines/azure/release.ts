import type { Owner } from '../provider';
import type { AzureDependencies } from './dependencies';
import { phaseOf, poolsOf, type OwnPool } from './own-pools';
import { askForRemoval, isLate } from './remove-pool';

/** What is known of a removal that was begun by this process. */
interface Removal {
  readonly startedMs: number;
  /** Azure wants to be left alone until then. */
  readonly notBeforeMs: number;
  readonly message?: string;
}

/** Begins the removal of all pools of an owner; each call looks at what is left, and asks anew for what did not go. */
export function createRelease(
  deps: AzureDependencies,
): (owner: Owner, signal: AbortSignal) => Promise<readonly string[]> {
  const removals = new Map<string, Removal>();

  async function remove({ name, pool }: OwnPool, signal: AbortSignal): Promise<string | undefined> {
    const nowMs = deps.now().getTime();
    const { startedMs, notBeforeMs, message }: Removal = removals.get(name) ?? { startedMs: nowMs, notBeforeMs: 0 };
    if (phaseOf(pool) === 'deleting' || nowMs < notBeforeMs) {
      removals.set(name, { startedMs, notBeforeMs, ...(message !== undefined && { message }) });
      return left(name, message ?? 'is being deleted');
    }
    const asked = await askForRemoval(deps, pool, { name, ignoresBudgets: isLate(deps, startedMs) }, signal);
    if (asked.kind === 'absent') {
      removals.delete(name);
      return undefined;
    }
    const why = asked.kind === 'refused' ? asked.message : drainOf(pool);
    const afterMs = asked.kind === 'refused' ? asked.afterMs : deps.configuration.pollMs;
    removals.set(name, { startedMs, notBeforeMs: nowMs + afterMs, ...(why !== undefined && { message: why }) });
    return left(name, why ?? 'is being deleted');
  }

  return async (owner, signal) => {
    const pools = await deps.arm.pools(signal);
    const present = new Set(pools.map(({ name }) => name));
    for (const name of removals.keys()) if (!present.has(name)) removals.delete(name);
    const own = poolsOf(pools, owner, deps.configuration);
    const remaining = await Promise.all(own.map((one) => remove(one, signal)));
    return remaining.filter((one) => one !== undefined);
  };
}

function left(name: string, why: string): string {
  return `agent pool ${name} (${why})`;
}

/** Why the last deletion failed, where the pool says so. */
function drainOf({ status }: OwnPool['pool']): string | undefined {
  const details = status?.provisioningError?.details ?? [];
  return details.find(({ code }) => code === 'PodDrainFailure')?.message;
}
