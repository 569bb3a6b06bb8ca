/**
 * What the StatefulSet and its pods say: whether the model answers, and if not, why.
 */
import type { Failure } from '../../api/causes';
import { findCondition, type ContainerStatus, type Pod, type StatefulSet } from '../../kubernetes/objects';

export interface WorkloadHealth {
  readonly ready: boolean;
  /** Reason and message of InferenceReady. */
  readonly reason: string;
  readonly message: string;
  /** Present when something is wrong rather than merely under way. */
  readonly failure?: Failure;
}

/** Ready when every replica of the current revision passes its readiness probe. */
export function observeWorkload(
  statefulSet: StatefulSet | undefined,
  pods: readonly Pod[],
  now: Date = new Date(),
): WorkloadHealth {
  if (statefulSet === undefined) {
    return { ready: false, reason: 'WorkspaceInferenceStatusPending', message: 'Inference workload is not deployed' };
  }
  const trouble = pods.map((pod) => troubleOf(pod, now)).find((found) => found !== undefined);
  const replicas = statefulSet.spec.replicas ?? 1;
  const { readyReplicas = 0, updatedReplicas = 0, observedGeneration = 0 } = statefulSet.status ?? {};
  const current = observedGeneration >= (statefulSet.metadata.generation ?? 0);

  if (current && readyReplicas === replicas && updatedReplicas === replicas) {
    return {
      ready: true,
      reason: 'WorkspaceInferenceStatusSuccess',
      message: 'Inference has been deployed successfully',
    };
  }
  if (trouble !== undefined) {
    return { ready: false, reason: trouble.reason, message: trouble.failure.message, failure: trouble.failure };
  }
  const rollout = updatedReplicas < replicas ? `, ${updatedReplicas} of ${replicas} updated` : '';
  return {
    ready: false,
    reason: 'WorkspaceInferenceStatusPending',
    message: `Inference workload is not ready: ${readyReplicas} of ${replicas} replicas ready${rollout}`,
  };
}

/** A scheduler that has not seen a new node yet says so at once, and is right a moment later. */
const UNSCHEDULABLE_AFTER_MS = 5_000;

interface Trouble {
  readonly reason: string;
  readonly failure: Failure;
}

const IMAGE_REASONS = new Set([
  'ImagePullBackOff',
  'ErrImagePull',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
]);
const START_REASONS = new Set([
  'CreateContainerConfigError',
  'PreCreateHookError',
  'CreateContainerError',
  'PreStartHookError',
  'RunContainerError',
  'PostStartHookError',
]);

/** What is wrong with a pod, in KAITO's words; undefined while it is merely starting. */
export function troubleOf(pod: Pod, now: Date): Trouble | undefined {
  const name = pod.metadata.name;
  const containers = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const container of containers) {
    const trouble = containerTroubleOf(name, container);
    if (trouble !== undefined) return trouble;
  }
  if (pod.status?.phase === 'Failed') return evictionOf(pod);

  const scheduled = findCondition(pod, 'PodScheduled');
  const sinceMs = now.getTime() - Date.parse(scheduled?.lastTransitionTime ?? pod.metadata.creationTimestamp);
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable' && sinceMs >= UNSCHEDULABLE_AFTER_MS) {
    const message = `pod ${name} can't be scheduled: ${scheduled.message ?? 'no node fits'}`;
    return { reason: 'Unschedulable', failure: { cause: 'Unschedulable', message } };
  }
  return undefined;
}

function containerTroubleOf(
  pod: string,
  { name, state, lastState, restartCount }: ContainerStatus,
): Trouble | undefined {
  const waiting = state?.waiting;
  const ended = state?.terminated ?? lastState?.terminated;
  const where = `container ${name} of pod ${pod}`;

  if (ended?.reason === 'OOMKilled' && state?.running === undefined) {
    const message = `${where} ran out of memory (exit code ${ended.exitCode}, ${restartCount} restarts)`;
    return { reason: 'ContainerOOMKilled', failure: { cause: 'OutOfMemory', message } };
  }
  const reason = waiting?.reason ?? '';
  const detail = waiting?.message ?? '';
  if (IMAGE_REASONS.has(reason)) {
    return { reason: 'ImagePullError', failure: { cause: 'ImagePull', message: `${where}: ${reason}: ${detail}` } };
  }
  if (START_REASONS.has(reason)) {
    const message = `${where}: ${reason}: ${detail}`;
    return { reason: 'ContainerStartError', failure: { cause: 'ContainerStart', message } };
  }
  if (reason === 'CrashLoopBackOff') {
    const exit = ended === undefined ? '' : ` (exit code ${ended.exitCode}${ended.reason ? `, ${ended.reason}` : ''})`;
    const message = `${where} keeps crashing${exit}: ${ended?.message ?? detail}`;
    return { reason: 'ContainerCrashLoopBackOff', failure: { cause: 'CrashLoop', message } };
  }
  return undefined;
}

function evictionOf(pod: Pod): Trouble {
  const detail = pod.status?.message ?? pod.status?.reason ?? 'no reason given';
  const message = `pod ${pod.metadata.name} failed: ${detail}`;
  if (pod.status?.reason !== 'Evicted') return { reason: 'PodFailed', failure: { cause: 'CrashLoop', message } };
  const pressure = /ephemeral-storage|disk/i.test(detail)
    ? 'NodeDiskPressure'
    : /memory/i.test(detail)
      ? 'NodeMemoryPressure'
      : 'PodEvicted';
  return { reason: pressure, failure: { cause: 'Evicted', message } };
}
