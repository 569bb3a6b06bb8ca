/**
 * From a request that Azure has taken on until the pool is there, or has failed. The operation's record says more and is cheap to read; the pool
 * itself is the truth.
 */
import type { AgentPool } from '@azure/arm-containerservice';
import type { Accepted } from './arm';
import type { AzureDependencies } from './dependencies';
import type { ErrorReport } from './error-tree';
import { judge, reportOf, type Verdict } from './errors';
import { phaseOf } from './own-pools';
import { wait } from './wait';

export type PoolEnd =
  | { readonly kind: 'succeeded'; readonly pool: AgentPool }
  /** The pool may be there still, and holds quota: it has to be removed. */
  | { readonly kind: 'failed'; readonly verdict: Verdict };

export interface PoolWait {
  readonly name: string;
  readonly accepted: Accepted;
  readonly isSpot: boolean;
  readonly startedMs: number;
  readonly signal: AbortSignal;
  readonly progress: (message: string, deadline?: Date) => void;
}

export async function awaitPool(deps: AzureDependencies, waiting: PoolWait): Promise<PoolEnd> {
  const { arm, configuration, now } = deps;
  const { name, isSpot, startedMs, signal, progress } = waiting;
  const asked = `create agent pool ${name}`;
  const deadline = new Date(startedMs + configuration.deadlines.poolMs);
  let accepted: Accepted | undefined = waiting.accepted;
  let report: ErrorReport | undefined;
  // What has just been asked for is not there at once.
  if (accepted.operationUrl !== undefined) await wait(accepted.retryAfterMs ?? configuration.pollMs, signal);
  for (;;) {
    let pauseMs = configuration.pollMs;
    const state = accepted && (await arm.operation(asked, accepted, signal));
    if (state?.kind === 'running') {
      pauseMs = Math.max(configuration.pollMs, state.retryAfterMs ?? 0);
      progress(`agent pool ${name} is being created`, deadline);
    } else {
      if (state?.kind === 'failed') report = state.report;
      accepted = undefined;
      const pool = await arm.pool(name, signal);
      if (pool === undefined) return { kind: 'failed', verdict: vanished(name, report, isSpot) };
      switch (phaseOf(pool)) {
        case 'succeeded':
          return { kind: 'succeeded', pool };
        case 'failed':
          return { kind: 'failed', verdict: judge(report ?? reportOfPool(asked, pool), { isSpot }) };
        case 'deleting':
        case 'working':
          progress(
            `agent pool ${name} is ${pool.provisioningState ?? 'in a state that Azure does not tell'}`,
            deadline,
          );
      }
    }
    if (now() >= deadline) {
      return { kind: 'failed', verdict: late(name, configuration.deadlines.poolMs, waiting.accepted.operationId) };
    }
    await wait(pauseMs, signal);
  }
}

/** What a failed pool says of itself. */
export function reportOfPool(asked: string, { status, provisioningState }: AgentPool): ErrorReport {
  return reportOf(asked, status?.provisioningError ?? { code: provisioningState, message: 'the pool gives no reason' });
}

/** Somebody, or a deletion that came in between, took the pool away: what is wanted is looked at anew. */
function vanished(name: string, report: ErrorReport | undefined, isSpot: boolean): Verdict {
  if (report !== undefined) return judge(report, { isSpot });
  return {
    class: 'conflict',
    scope: 'request',
    code: 'PoolVanished',
    ttlMs: 0,
    failure: { cause: 'MachineLost', message: `agent pool ${name} went away while it was being created` },
  };
}

function late(name: string, allowedMs: number, operationId: string | undefined): Verdict {
  const operation = operationId === undefined ? '' : ` (operation ${operationId})`;
  return {
    class: 'capacity',
    scope: 'placement',
    code: 'PoolLate',
    ttlMs: 0,
    failure: {
      cause: 'NotReadyInTime',
      message: `agent pool ${name} was not created within ${Math.round(allowedMs / 1_000)} s${operation}`,
      ...(operationId !== undefined && { cloud: { code: 'PoolLate', operationID: operationId } }),
      remedy: 'Another place or size is tried; if it goes on, ask Azure’s support with the operation’s ID.',
    },
  };
}
