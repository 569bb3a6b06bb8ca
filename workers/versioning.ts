/**
 * Worker versions: which workflow code a worker has, and which of several versions gets the work.
 *
 * A version is named after the workflow code, so replicas of one image are one version and activities can change without a new one. Workflows are
 * moved to the current version at their next task (AUTO_UPGRADE), never pinned to the one that began them: a Workspace rests for months, and its
 * old worker would have to be kept as long. That new code can go on with old histories is what test/workflow/replay.test.ts holds.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { temporal } from '@temporalio/proto';
import type { NativeConnection, WorkerDeploymentOptions } from '@temporalio/worker';
import { GRPC, grpcCodeOf } from '../api/grpc';
import type { Logger } from '../kubernetes/logger';

const { RoutingConfigUpdateState, TaskQueueType, WorkerVersioningMode } = temporal.api.enums.v1;

const BUILD_ID_DIGITS = 12;

/** A deployment is all versions of the workers of one task queue. */
export interface WorkerVersion {
  readonly deploymentName: string;
  /** Undefined: a worker without version. */
  readonly buildId: string | undefined;
  readonly taskQueue: string;
}

/** Workflow code in memory, or in the file that an image was built with. */
export type WorkflowCode = { readonly code: string } | { readonly codePath: string };

/** Hash of the workflow code, 12 hex digits. Source maps are left out: they name folders of the machine that it was bundled on. */
export async function buildIdOf(workflows: WorkflowCode): Promise<string> {
  const code = 'code' in workflows ? workflows.code : await readFile(workflows.codePath, 'utf8');
  const executed = code.replace(/\n\/\/# sourceMappingURL=.*$/s, '');
  return createHash('sha256').update(executed).digest('hex').slice(0, BUILD_ID_DIGITS);
}

/** The version of a worker with that code. A build ID of the operator's choice replaces the hash. */
export async function workerVersion(
  { isOn, buildId }: { readonly isOn: boolean; readonly buildId?: string },
  taskQueue: string,
  workflows: WorkflowCode,
): Promise<WorkerVersion> {
  return {
    // Temporal separates deployment and build ID by a dot.
    deploymentName: taskQueue.replaceAll('.', '-'),
    buildId: isOn ? (buildId ?? (await buildIdOf(workflows))) : undefined,
    taskQueue,
  };
}

/** What the worker is created with. */
export function deploymentOptions({ deploymentName, buildId }: WorkerVersion): {
  workerDeploymentOptions?: WorkerDeploymentOptions;
} {
  if (buildId === undefined) return {};
  return {
    workerDeploymentOptions: {
      useWorkerVersioning: true,
      version: { deploymentName, buildId },
      defaultVersioningBehavior: 'AUTO_UPGRADE',
    },
  };
}

export interface Temporal {
  readonly connection: Pick<NativeConnection, 'workflowService'>;
  readonly namespace: string;
}

interface CurrentVersion {
  /** Undefined: workers without version. */
  readonly buildId: string | undefined;
  /** Whether all task queues know of it yet: until then they may give work to the former version. */
  readonly isInEffect: boolean;
  readonly conflictToken: Uint8Array;
}

/** The version that gets the work. */
export async function currentVersion(
  { connection, namespace }: Temporal,
  { deploymentName }: WorkerVersion,
): Promise<CurrentVersion | 'no deployment'> {
  try {
    const { workerDeploymentInfo: info, conflictToken } = await connection.workflowService.describeWorkerDeployment({
      namespace,
      deploymentName,
    });
    return {
      buildId: info?.routingConfig?.currentDeploymentVersion?.buildId || undefined,
      // Servers that do not tell have done it before they answer.
      isInEffect: info?.routingConfigUpdateState !== RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS,
      conflictToken,
    };
  } catch (error) {
    if (grpcCodeOf(error) === GRPC.NOT_FOUND) return 'no deployment';
    throw error;
  }
}

/**
 * Gives all work to `version`. Throws when it has no worker, or when the current version changed since `conflictToken` was read.
 *
 * @param buildId undefined: to workers without version.
 */
export async function makeCurrent(
  { connection, namespace }: Temporal,
  { deploymentName, buildId = '' }: WorkerVersion,
  conflictToken?: Uint8Array,
): Promise<void> {
  await connection.workflowService.setWorkerDeploymentCurrentVersion({
    namespace,
    deploymentName,
    buildId,
    // Temporal shows who changed it last: in a cluster the name of the pod, so the Job's or a worker's.
    identity: `kaito-temporal/${process.pid}@${hostname()}`,
    // The former version may have polled queues that are no longer used.
    ignoreMissingTaskQueues: true,
    ...(conflictToken !== undefined && { conflictToken }),
  });
}

/** A worker as Temporal knows it. */
export interface SeenWorker {
  /** Process and host; in a cluster the host is the pod. */
  readonly identity: string;
  readonly askedMsAgo: number;
}

/**
 * The workers of a version that asked for work within `withinMs`. Temporal forgets those that said goodbye, where it can (docs/upgrade.md); else one that
 * ended is among them for as long as that.
 */
async function workersOf(
  { connection, namespace }: Temporal,
  { deploymentName, taskQueue }: WorkerVersion,
  buildId: string | undefined,
  withinMs: number,
): Promise<readonly SeenWorker[]> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  });
  return (pollers ?? []).flatMap(({ deploymentOptions: version, lastAccessTime, identity }) => {
    const isVersioned = version?.workerVersioningMode === WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED;
    const isIt = isVersioned
      ? version?.deploymentName === deploymentName && version.buildId === buildId
      : buildId === undefined;
    const askedMsAgo = Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1_000;
    return isIt && askedMsAgo < withinMs ? [{ identity: identity || 'nameless', askedMsAgo }] : [];
  });
}

/** How often a worker looks whether it gets work. */
const LOOK_EVERY_MS = 15_000;
/** While Temporal does not know the version yet: it does from its first poll on. */
const REGISTERED_AFTER_MS = 500;
/** A worker asks for work anew after at most a minute: one that was not heard of for longer is gone. */
export const GONE_AFTER_MS = 90_000;

/**
 * Sees to it that the work is never given to a version that has no worker left: then the own version is made current, which is also how a first
 * installation begins. While both have workers, which one is current is the operator's decision (`npm run promote`).
 */
export function watchVersion(
  server: Temporal,
  version: WorkerVersion,
  logger: Logger,
  { everyMs, goneAfterMs } = { everyMs: LOOK_EVERY_MS, goneAfterMs: GONE_AFTER_MS },
): { stop(): Promise<void> } {
  const mine = version.buildId;
  const fields = { deployment: version.deploymentName, buildId: mine ?? 'none' };
  const stopping = new AbortController();
  let waitsFor: string | undefined;

  async function look(): Promise<'again' | 'soon' | 'never'> {
    const current = await currentVersion(server, version);
    // Where there are no versions yet, workers without one have the work, but not for ever: some may come and go again.
    if (current === 'no deployment') return mine === undefined ? 'again' : 'soon';
    if (current.buildId === mine) {
      if (waitsFor !== undefined) logger.info('this worker version gets the work now', fields);
      waitsFor = undefined;
      return 'again';
    }
    const other = current.buildId ?? 'none';
    if ((await workersOf(server, version, current.buildId, goneAfterMs)).length > 0) {
      if (waitsFor !== other) logger.info('this worker waits: another version gets the work', { ...fields, other });
      waitsFor = other;
      return 'again';
    }
    await makeCurrent(server, version, current.conflictToken);
    logger.info('made this worker version current: the other has no workers', { ...fields, other });
    waitsFor = undefined;
    return 'again';
  }

  async function watch(): Promise<void> {
    for (let next: 'again' | 'soon' | 'never' = 'soon'; next !== 'never';) {
      await delay(next === 'soon' ? Math.min(REGISTERED_AFTER_MS, everyMs) : everyMs, undefined, {
        signal: stopping.signal,
        ref: false,
      });
      next = await look().catch((error: unknown) => afterFailure(error));
    }
  }

  function afterFailure(error: unknown): 'again' | 'soon' | 'never' {
    const code = grpcCodeOf(error);
    // Not registered yet, or another worker was quicker.
    if (code === GRPC.FAILED_PRECONDITION || code === GRPC.NOT_FOUND) return 'soon';
    if (code === GRPC.UNIMPLEMENTED || code === GRPC.PERMISSION_DENIED) {
      logger.warn('this connection may not manage worker versions: set the current version yourself', {
        ...fields,
        error,
      });
      return 'never';
    }
    logger.warn('could not look after the worker version; tried again', { ...fields, error });
    return 'again';
  }

  const watching = watch().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
  });
  return {
    async stop() {
      stopping.abort();
      await watching;
    },
  };
}

/** While Temporal tells its task queues; it takes about a second. */
const IN_EFFECT_AFTER_MS = 100;

/**
 * Waits until the version has a worker, makes it current, and waits until no task queue gives work to the former one any more; throws when either takes
 * longer than `patienceMs`. Where no version ever had a worker, those without one have the work already.
 *
 * @returns the workers that it counted; some may have ended a moment ago.
 */
export async function promote(
  server: Temporal,
  version: WorkerVersion,
  patienceMs: number,
): Promise<readonly SeenWorker[]> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    let refusal: unknown;
    let workers: readonly SeenWorker[] = [];
    try {
      // Temporal refuses a version that never had a worker, and would give the work to one whose workers are gone, or to nobody.
      workers = await workersOf(server, version, version.buildId, GONE_AFTER_MS);
      if (workers.length > 0) {
        await makeCurrent(server, version);
        await untilInEffect(server, version, deadline);
        return workers;
      }
    } catch (error) {
      const code = grpcCodeOf(error);
      if (code === GRPC.NOT_FOUND && version.buildId === undefined) return workers;
      if (code !== GRPC.NOT_FOUND && code !== GRPC.FAILED_PRECONDITION) throw error;
      refusal = error;
    }
    if (Date.now() > deadline) {
      const { deploymentName, taskQueue } = version;
      throw new Error(
        `deployment '${deploymentName}' has no ${nameOf(version)} on task queue '${taskQueue}' after ${patienceMs / 1_000} s: start such workers first`,
        { cause: refusal },
      );
    }
    await delay(REGISTERED_AFTER_MS);
  }
}

async function untilInEffect(server: Temporal, version: WorkerVersion, deadline: number): Promise<void> {
  for (;;) {
    const current = await currentVersion(server, version);
    if (current === 'no deployment' || current.isInEffect) return;
    if (Date.now() > deadline) {
      throw new Error(
        `deployment '${version.deploymentName}': the ${nameOf(version)} is current, but not all task queues know it yet: promote it again to wait for longer`,
      );
    }
    await delay(IN_EFFECT_AFTER_MS);
  }
}

function nameOf({ buildId }: WorkerVersion): string {
  return buildId === undefined ? 'worker without version' : `worker of version '${buildId}'`;
}
