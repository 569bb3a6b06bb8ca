import { randomUUID } from 'node:crypto';

import type { ErrorBody } from './errors';
import { preempted } from './failures';
import type { Outcome } from './outcomes';
import { change, type Cluster, type Operation, type StoredPool, type World } from './state';
import type { OperationKind, SuccessOptions } from './types';

/** How an operation's end is written into its pool. */
interface Plan {
  readonly kind: OperationKind;
  /** `provisioningState` until it ends. */
  readonly during: string;
  readonly ms: number;
  /** Its success, written after the state. */
  readonly onSuccess: (options: SuccessOptions) => void | Promise<void>;
  /** Ends like this, whatever the script says. */
  readonly outcome?: Outcome;
}

/** Begins an operation on a pool; what ran on it before is canceled. */
export function begin(world: World, cluster: Cluster, pool: StoredPool, plan: Plan): Operation {
  const { clock, operations, outcomes } = world;
  if (pool.operation !== undefined) end(world, pool.operation, 'Canceled', preempted(plan.kind === 'delete'));
  const operation: Operation = {
    id: randomUUID(),
    kind: plan.kind,
    cluster: cluster.spec.name,
    pool: pool.name,
    startMs: clock.now(),
    status: 'InProgress',
    halt: () => undefined,
  };
  operations.set(operation.id, operation);
  pool.operation = operation;
  change(pool, { provisioningState: plan.during, status: {} });
  const outcome = plan.outcome ?? outcomes.of(plan.kind, pool);
  if (outcome.kind !== 'neverEnds') {
    operation.halt = clock.after(
      outcome.afterMs ?? plan.ms,
      () => void conclude(world, pool, operation, plan, outcome),
    );
  }
  return operation;
}

async function conclude(
  world: World,
  pool: StoredPool,
  operation: Operation,
  plan: Plan,
  outcome: Exclude<Outcome, { kind: 'neverEnds' }>,
): Promise<void> {
  switch (outcome.kind) {
    case 'succeeds': {
      const provisioningState = 'provisioningState' in outcome ? (outcome.provisioningState ?? null) : 'Succeeded';
      // A deletion has to see the nodes go before it may say that it is done.
      await plan.onSuccess(outcome);
      if (operation.status !== 'InProgress') return;
      change(pool, { provisioningState });
      return end(world, operation, 'Succeeded');
    }
    case 'fails':
      if (outcome.nodes !== undefined) await plan.onSuccess({ nodes: outcome.nodes });
      if (operation.status !== 'InProgress') return;
      change(pool, { provisioningState: 'Failed', status: { provisioningError: outcome.error } });
      return end(world, operation, 'Failed', outcome.error);
    case 'cancels':
      change(pool, { provisioningState: 'Canceled' });
      return end(world, operation, 'Canceled', outcome.error ?? preempted());
  }
}

/** Writes the end into the operation's record, which is forgotten later. */
export function end(
  world: World,
  operation: Operation,
  status: 'Succeeded' | 'Failed' | 'Canceled',
  error?: ErrorBody,
): void {
  operation.halt();
  operation.status = status;
  operation.endMs = world.clock.now();
  if (error !== undefined) operation.error = error;
  const pool = world.clusters.get(operation.cluster)?.pools.get(operation.pool);
  if (pool?.operation === operation) delete pool.operation;
  world.clock.after(world.settings.timings.operationRecordMs, () => world.operations.delete(operation.id));
  world.changed();
}

/** Where a client asks for it; opaque, and refused when anything in it was changed. */
export function operationUrl(world: World, operation: Operation, kind: 'operations' | 'operationresults'): string {
  const { settings, clusters } = world;
  const location = clusters.get(operation.cluster)?.spec.location ?? '';
  const path = `/subscriptions/${settings.subscriptionId}/providers/Microsoft.ContainerService/locations/${location}/${kind}/${operation.id}`;
  return `${world.url()}${path}?api-version=2016-03-30&t=${operation.startMs}&s=${signature(operation)}`;
}

export function signature({ id }: Operation): string {
  return Buffer.from(id).toString('base64url');
}

/** The body at that address. */
export function operationBody({ id, status, startMs, endMs, error }: Operation): object {
  return {
    name: id,
    status,
    startTime: new Date(startMs).toISOString(),
    ...(endMs !== undefined && { endTime: new Date(endMs).toISOString() }),
    ...(error !== undefined && { error }),
  };
}
