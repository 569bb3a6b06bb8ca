/**
 * Makes the process's parts known to its telemetry, and says what health means of each.
 */
import type { Connection } from '@temporalio/client';
import type { NativeConnection, Worker } from '@temporalio/worker';
import type { World } from '../activities/observe/world';
import type { Bridge } from '../bridge/bridge';
import type { KubernetesClient } from '../kubernetes/client';
import { RESOURCES } from '../kubernetes/resources';
import type { Check } from '../telemetry/health';
import type { Telemetry } from '../telemetry/telemetry';

/** Shorter than the patience of health checks, so that their answer is the reason. */
const PATIENCE_MS = 1_500;

export function observeKubernetes({ health }: Telemetry, client: KubernetesClient): void {
  health.add({
    name: 'kubernetes',
    for: ['ready'],
    // The smallest read that both roles may do, answered by the store behind the API server.
    async problem(signal) {
      const options = { pageSize: 1, metadataOnly: true, signal, timeoutMs: PATIENCE_MS };
      await client.listPage(RESOURCES.workspaces, {}, options);
      return undefined;
    },
  });
}

export function observeWorld(telemetry: Telemetry, world: World): void {
  telemetry.addWatches(() => world.watches());
}

/** `name`: a worker has a connection more than the one that signals are sent by. */
export function observeTemporal({ health }: Telemetry, name: string, connection: Connection | NativeConnection): void {
  health.add({
    name,
    for: ['ready'],
    async problem() {
      await connection.withDeadline(Date.now() + PATIENCE_MS, () => connection.workflowService.getSystemInfo({}));
      return undefined;
    },
  });
}

export function observeWorker(telemetry: Telemetry, worker: Worker, connection: NativeConnection): void {
  observeTemporal(telemetry, 'temporal-worker', connection);
  telemetry.health.add(workerPolls(worker));
  telemetry.health.add(workerAlive(worker));
}

/** Ready: it takes work from both of its queues. */
function workerPolls(worker: Worker): Check {
  return {
    name: 'worker',
    for: ['ready'],
    problem() {
      const { runState, workflowPollerState, activityPollerState } = worker.getStatus();
      const polls = workflowPollerState === 'POLLING' && activityPollerState === 'POLLING';
      if (runState === 'RUNNING' && polls) return undefined;
      return `the worker is ${runState}; polling for workflows: ${workflowPollerState}, for activities: ${activityPollerState}`;
    },
  };
}

/** Live: it has not failed. One that drains takes the time that it needs. */
function workerAlive(worker: Worker): Check {
  return {
    name: 'worker-alive',
    for: ['live'],
    problem() {
      const { runState, workflowPollerState, activityPollerState } = worker.getStatus();
      const failed = [runState, workflowPollerState, activityPollerState].includes('FAILED');
      return failed ? `the worker failed: ${runState}, ${workflowPollerState}, ${activityPollerState}` : undefined;
    },
  };
}

export function observeBridge(telemetry: Telemetry, world: World, bridge: Bridge): void {
  telemetry.addWatches(() => bridge.watches());
  telemetry.addQueue(() => bridge.queue());
  telemetry.addCluster({ workspaces: world.workspaces });
}
