/**
 * What a Job and its pods say: how far it is, what is in its way, and how it ended. Pure.
 */
import { z } from 'zod';
import { CAUSES, type Cause, type Failure } from '../../api/causes';
import { findCondition, type ContainerState, type Job, type Pod } from '../../kubernetes/objects';
import { troubleOf } from './workload';

export const LABEL_JOB_NAME = 'batch.kubernetes.io/job-name';

export type JobHealth =
  | { readonly phase: 'absent' }
  /** No container runs: the pod is created, scheduled, or its image is pulled. */
  | { readonly phase: 'waiting'; readonly message: string; readonly failure?: Failure }
  | { readonly phase: 'running'; readonly pod: string; readonly container: string }
  | { readonly phase: 'succeeded' }
  | { readonly phase: 'failed'; readonly failure: Failure };

/** `crashed`: the cause of a program that ended without saying why. */
export function observeJob(
  job: Job | undefined,
  pods: readonly Pod[],
  { crashed, now }: { readonly crashed: Cause; readonly now: Date },
): JobHealth {
  if (job === undefined) return { phase: 'absent' };
  if (isTrue(job, 'Complete')) return { phase: 'succeeded' };
  if (isTrue(job, 'Failed')) return { phase: 'failed', failure: failureOf(job, pods, crashed) };

  const pod = podsOf(job, pods).find(({ status }) => status?.phase !== 'Failed' && status?.phase !== 'Succeeded');
  if (pod === undefined) return { phase: 'waiting', message: 'waiting for a pod' };
  const running = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].find(
    ({ state }) => state?.running !== undefined,
  );
  if (running !== undefined) return { phase: 'running', pod: pod.metadata.name, container: running.name };
  const trouble = troubleOf(pod, now);
  return {
    phase: 'waiting',
    message: trouble?.failure.message ?? `pod ${pod.metadata.name} is starting`,
    ...(trouble !== undefined && { failure: trouble.failure }),
  };
}

/** The Job's pods, newest first. */
export function podsOf(job: Job, pods: readonly Pod[]): readonly Pod[] {
  return pods
    .filter(
      ({ metadata }) =>
        metadata.labels?.[LABEL_JOB_NAME] === job.metadata.name &&
        metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid),
    )
    .sort((a, b) => Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp));
}

/** What the Job's program said when it ended well: the JSON it left as its termination message. Undefined where no pod of it is left. */
export function resultOf(job: Job, pods: readonly Pod[]): unknown {
  for (const pod of podsOf(job, pods)) {
    if (pod.status?.phase !== 'Succeeded') continue;
    for (const { state } of pod.status.containerStatuses ?? []) {
      const parsed = parseJson(state?.terminated?.message);
      if (parsed !== undefined) return parsed;
    }
  }
  return undefined;
}

function isTrue(job: Job, type: string): boolean {
  return findCondition(job, type)?.status === 'True';
}

/** What the programs of the runtime say of a failure; presets/runtime/README.md. */
const toldFailure = z.object({ cause: z.string(), message: z.string(), remedy: z.string().optional() });

function failureOf(job: Job, pods: readonly Pod[], crashed: Cause): Failure {
  const condition = findCondition(job, 'Failed');
  if (condition?.reason === 'DeadlineExceeded') {
    return { cause: 'DeadlineExceeded', message: `Job ${job.metadata.name} ran longer than its deadline` };
  }
  for (const pod of podsOf(job, pods)) {
    const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    for (const { name, state } of statuses) {
      const failure = endOf(crashed, state?.terminated, `container ${name} of pod ${pod.metadata.name}`);
      if (failure !== undefined) return failure;
    }
  }
  const why = condition?.message ?? condition?.reason ?? 'no reason given';
  return { cause: crashed, message: `Job ${job.metadata.name} failed: ${why}` };
}

function endOf(crashed: Cause, terminated: ContainerState['terminated'], where: string): Failure | undefined {
  if (terminated === undefined || terminated.exitCode === 0) return undefined;
  const told = toldFailure.safeParse(parseJson(terminated.message));
  if (told.success) {
    const { cause, message, remedy } = told.data;
    return {
      cause: cause in CAUSES ? (cause as Cause) : crashed,
      message,
      ...(remedy !== undefined && { remedy }),
    };
  }
  if (terminated.reason === 'OOMKilled') {
    return {
      cause: 'OutOfMemory',
      message: `${where} ran out of the node's memory (exit code ${terminated.exitCode})`,
      remedy: 'Choose a size with more memory.',
    };
  }
  const lastLines = (terminated.message ?? '').trim();
  const exit = `exit code ${terminated.exitCode}${terminated.reason ? `, ${terminated.reason}` : ''}`;
  return { cause: crashed, message: `${where} ended (${exit})${lastLines === '' ? '' : `: ${lastLines}`}` };
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined || !text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // the last lines of a log, not a result
  }
}
