/**
 * The end of a pool. It is gone only when reading it answers 404; whatever is in the way (a creation that still runs, budgets, limits) is waited for
 * and asked anew.
 */
import type { AgentPool } from '@azure/arm-containerservice';
import type { Accepted } from './arm';
import type { AzureDependencies } from './dependencies';
import { AzureError } from './error-tree';
import { judge } from './errors';
import { isOurs, phaseOf } from './own-pools';
import { jittered, wait } from './wait';

/** Deletes one of our pools, and returns when it is gone. What turns out to be somebody else's is left alone. */
export async function removePool(
  deps: AzureDependencies,
  name: string,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: (message: string) => void },
): Promise<void> {
  const { arm, configuration, now } = deps;
  const startedMs = now().getTime();
  let accepted: Accepted | undefined;
  for (;;) {
    const pool = await arm.pool(name, signal);
    if (pool === undefined || !isOurs(pool, configuration)) return;
    if (accepted === undefined && phaseOf(pool) !== 'deleting') {
      const end = await askForRemoval(deps, pool, { name, ignoresBudgets: isLate(deps, startedMs) }, signal);
      if (end.kind === 'absent') return;
      if (end.kind === 'refused') {
        progress(`agent pool ${name} can't be deleted yet: ${end.message}`);
        await wait(end.afterMs, signal);
        continue;
      }
      accepted = end.accepted;
    }
    progress(`waiting until agent pool ${name} is gone`);
    await wait(Math.max(configuration.pollMs, accepted?.retryAfterMs ?? 0), signal);
    accepted = await followed(deps, name, accepted, { signal, progress });
  }
}

/** Takes one machine out of a pool, as far as Azure lets it go; what is left then shows in the pool. */
export async function removeMachine(
  deps: AzureDependencies,
  name: string,
  machine: string,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: (message: string) => void },
): Promise<void> {
  let accepted: Accepted | undefined = await deps.arm.removeMachines(name, [machine], signal);
  while (accepted !== undefined) {
    progress(`waiting until machine ${machine} is gone`);
    await wait(Math.max(deps.configuration.pollMs, accepted.retryAfterMs ?? 0), signal);
    accepted = await followed(deps, name, accepted, { signal, progress });
  }
}

type Asked =
  | { readonly kind: 'absent' }
  | { readonly kind: 'accepted'; readonly accepted: Accepted }
  | { readonly kind: 'refused'; readonly message: string; readonly afterMs: number };

/** One request to delete. What passes by itself is told; what does not is thrown. */
export async function askForRemoval(
  { arm, configuration, logger }: AzureDependencies,
  pool: AgentPool,
  { name, ignoresBudgets }: { readonly name: string; readonly ignoresBudgets: boolean },
  signal: AbortSignal,
): Promise<Asked> {
  try {
    const accepted = await arm.remove(name, { ignoresBudgets }, signal);
    return accepted === 'absent' ? { kind: 'absent' } : { kind: 'accepted', accepted };
  } catch (error) {
    if (!(error instanceof AzureError)) throw error;
    const verdict = judge(error.report);
    const passes = ['throttle', 'conflict', 'internal'].includes(verdict.class);
    if (!passes) throw error;
    if (verdict.class === 'conflict' && phaseOf(pool) === 'working') {
      // It is being created, and Azure does not let go of it; without an abort that may take an hour.
      await arm.abort(name, signal).catch((thrown: unknown) => {
        signal.throwIfAborted();
        logger.info('a creation could not be aborted; it is waited for', { pool: name, error: thrown });
      });
    }
    const afterMs = error.report.retryAfterMs ?? jittered(configuration.pollMs);
    return { kind: 'refused', message: verdict.failure.message, afterMs };
  }
}

/** Whether PodDisruptionBudgets have been respected for long enough. */
export function isLate({ configuration, now }: AzureDependencies, startedMs: number): boolean {
  return now().getTime() - startedMs >= configuration.deadlines.drainMs;
}

/** Looks at a deletion once; undefined when it has ended, whether well or not. */
async function followed(
  { arm }: AzureDependencies,
  name: string,
  accepted: Accepted | undefined,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: (message: string) => void },
): Promise<Accepted | undefined> {
  if (accepted === undefined) return undefined;
  const state = await arm.operation(`delete agent pool ${name}`, accepted, signal);
  if (state.kind === 'failed') progress(judge(state.report).failure.message);
  if (state.kind !== 'running') return undefined;
  const { retryAfterMs: _, ...rest } = accepted;
  return state.retryAfterMs === undefined ? rest : { ...rest, retryAfterMs: state.retryAfterMs };
}
