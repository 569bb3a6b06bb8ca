import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** Steps take from a moment to days: a training of a large model is not odd. */
const STEP_BUCKETS = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 43_200, 172_800];
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];
const LAG_BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300];

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Every metric of the product, in a registry of its own. Labels have few values: states, steps, causes, sizes; never the name of a Workspace. What is
 * told of the cluster is told by each bridge alike: take the `max`, not the `sum`, over processes.
 */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name, help, labelNames, registers });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[], buckets: number[]) =>
    new Histogram<L>({ name, help, labelNames, buckets, registers });

  const metrics = {
    buildInfo: gauge('kaito_build_info', 'Always 1; the labels say what runs.', ['version', 'role']),
    health: gauge('kaito_health_check', '1 if the check passes; see /healthz and /readyz for why one does not.', [
      'check',
    ]),

    // Told by bridges.
    workspaces: gauge('kaito_workspaces', 'Workspaces, by what their status says.', ['kind', 'state', 'step', 'cause']),
    oldestStep: gauge(
      'kaito_oldest_step_age_seconds',
      'Of the Workspaces in a step, the longest time since one began it or, in a training, told progress.',
      ['step'],
    ),
    machines: gauge('kaito_machines', 'Machines of Workspaces, by how far they are.', [
      'provider',
      'instance_type',
      'phase',
    ]),
    machinesCost: gauge(
      'kaito_machines_cost_dollars_per_hour',
      'List price of the machines of Workspaces, as far as prices are known.',
      ['provider', 'instance_type'],
    ),
    machinesUnpriced: gauge('kaito_machines_unpriced', 'Machines of Workspaces whose price is not known.', [
      'provider',
      'instance_type',
    ]),
    looks: counter('kaito_bridge_looks_total', 'Signals to workflows that the bridge tried to send.', [
      'reason',
      'outcome',
    ]),
    bridgeLag: histogram(
      'kaito_bridge_lag_seconds',
      'Time from when the bridge saw a change until the workflow was told of it.',
      ['reason'],
      LAG_BUCKETS,
    ),
    bridgeQueue: gauge(
      'kaito_bridge_queue_depth',
      'Workspaces that the bridge has to look at; held are those that wait until other workflows have begun.',
      ['state'],
    ),
    bridgeFailures: counter('kaito_bridge_failures_total', 'Looks at a Workspace that failed and came again.'),

    // Told by workers.
    stepDuration: histogram(
      'kaito_step_duration_seconds',
      'Time that Workspaces spent in a step, attempts and waits included, observed when they leave it.',
      ['step'],
      STEP_BUCKETS,
    ),
    attempts: counter('kaito_step_attempts_total', 'Attempts at a step, by how they ended.', [
      'step',
      'outcome',
      'cause',
    ]),
    attemptDuration: histogram(
      'kaito_step_attempt_duration_seconds',
      'Time that one attempt at a step took, waiting included.',
      ['step', 'outcome'],
      STEP_BUCKETS,
    ),
    running: gauge('kaito_steps_running', 'Attempts at steps that this worker is at work on.', ['step']),
    orphans: gauge('kaito_orphaned_machines', 'Machines that this installation bought and no Workspace uses.', [
      'provider',
      'instance_type',
    ]),
    orphansCost: gauge(
      'kaito_orphaned_cost_dollars_per_hour',
      'List price of the orphaned machines, as far as prices are known.',
      ['provider', 'instance_type'],
    ),

    // Told by each process.
    requests: histogram(
      'kaito_kubernetes_request_duration_seconds',
      'Requests to the Kubernetes API, retries each for itself; code 0 where no answer came.',
      ['verb', 'resource', 'code'],
      REQUEST_BUCKETS,
    ),
    watchRestarts: counter('kaito_watch_restarts_total', 'Watches opened anew, and lists read again.', [
      'resource',
      'how',
    ]),
    watchErrors: counter('kaito_watch_errors_total', 'Lists and watches that failed.', ['resource']),
    watchAge: gauge('kaito_watch_age_seconds', 'Time since a watch was last known to be up to date.', ['resource']),
    watchObjects: gauge('kaito_watch_objects', 'Objects in a cache.', ['resource']),
  };
  return { registry, ...metrics };
}

/** Node's own: memory, processor, event loop, garbage collection. Once per process, as they are the process's. */
export function addProcessMetrics({ registry }: Metrics): void {
  collectDefaultMetrics({ register: registry });
}
