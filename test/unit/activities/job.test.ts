import { observeJob, resultOf } from '../../../activities/observe/job';
import { parseProgress } from '../../../activities/tuning/follow-progress';
import type { ContainerState, Job, Pod } from '../../../kubernetes/objects';

const NOW = new Date('2026-11-22T12:00:00Z');
const META = { uid: 'job-1', resourceVersion: '1', creationTimestamp: NOW.toISOString(), namespace: 'default' };

function job(...conditions: readonly (readonly [type: string, reason: string])[]): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { ...META, name: 'tune' },
    spec: { template: { spec: { containers: [] } } },
    status: { conditions: conditions.map(([type, reason]) => ({ type, reason, message: reason, status: 'True' })) },
  };
}

function pod(phase: NonNullable<NonNullable<Pod['status']>['phase']>, state: ContainerState, over: object = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...META,
      name: 'tune-x',
      labels: { 'batch.kubernetes.io/job-name': 'tune' },
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'tune', uid: 'job-1' }],
      ...over,
    },
    spec: { containers: [] },
    status: { phase, containerStatuses: [{ name: 'tune', ready: false, restartCount: 0, state }] },
  };
}

const health = (one: Job | undefined, ...pods: readonly Pod[]) =>
  observeJob(one, pods, { crashed: 'TrainingCrashed', now: NOW });
const ended = (exitCode: number, message?: string, reason?: string): ContainerState => ({
  terminated: { exitCode, ...(message !== undefined && { message }), ...(reason !== undefined && { reason }) },
});
const failed = job(['Failed', 'PodFailurePolicy']);

describe('a Job', () => {
  it('is absent, waits, runs and ends', () => {
    expect(health(undefined).phase).toBe('absent');
    expect(health(job())).toEqual({ phase: 'waiting', message: 'waiting for a pod' });
    expect(health(job(), pod('Pending', { waiting: { reason: 'PodInitializing' } }))).toEqual({
      phase: 'waiting',
      message: 'pod tune-x is starting',
    });
    expect(health(job(), pod('Running', { running: {} }))).toEqual({
      phase: 'running',
      pod: 'tune-x',
      container: 'tune',
    });
    expect(health(job(['Complete', 'CompletionsReached'])).phase).toBe('succeeded');
  });

  it('waits for an image that can not be pulled, and says so', () => {
    const waiting = { waiting: { reason: 'ImagePullBackOff', message: 'not found' } };
    expect(health(job(), pod('Pending', waiting))).toMatchObject({ phase: 'waiting', failure: { cause: 'ImagePull' } });
  });

  it('is not judged by the pods of another of its name', () => {
    const foreign = pod('Failed', ended(1, 'theirs'), { ownerReferences: [] });
    expect(health(failed, foreign)).toMatchObject({ failure: { message: 'Job tune failed: PodFailurePolicy' } });
  });
});

describe('a Job that failed', () => {
  it.each([
    [
      'says what its program said',
      [pod('Failed', ended(42, '{"cause":"OutOfMemory","message":"m","remedy":"r"}'))],
      { cause: 'OutOfMemory', message: 'm', remedy: 'r' },
    ],
    [
      'has crashed when the cause is none of ours',
      [pod('Failed', ended(1, '{"cause":"Surprise","message":"m"}'))],
      { cause: 'TrainingCrashed', message: 'm' },
    ],
    [
      'shows the last lines of a program that said nothing',
      [pod('Failed', ended(139, 'line 1\nSegmentation fault\n', 'Error'))],
      {
        cause: 'TrainingCrashed',
        message: 'container tune of pod tune-x ended (exit code 139, Error): line 1\nSegmentation fault',
      },
    ],
    [
      'ran out of the node’s memory when the kernel ended it',
      [pod('Failed', ended(137, '', 'OOMKilled'))],
      {
        cause: 'OutOfMemory',
        message: "container tune of pod tune-x ran out of the node's memory (exit code 137)",
        remedy: 'Choose a size with more memory.',
      },
    ],
    [
      'is judged by its newest pod',
      [
        pod('Failed', ended(1, '{"cause":"HubUnavailable","message":"old"}'), {
          creationTimestamp: '2026-11-22T11:00:00Z',
        }),
        pod('Failed', ended(1, '{"cause":"HubDenied","message":"new"}')),
      ],
      { cause: 'HubDenied', message: 'new' },
    ],
  ])('%s', (_, pods, failure) => {
    expect(health(failed, ...pods)).toEqual({ phase: 'failed', failure });
  });

  it('names its deadline', () => {
    const late = job(['Failed', 'DeadlineExceeded']);
    expect(health(late)).toMatchObject({ failure: { cause: 'DeadlineExceeded' } });
  });
});

it('the result is what the pod that succeeded left', () => {
  const good = pod('Succeeded', ended(0, '{"digest":"sha256:1"}'));
  expect(resultOf(job(), [pod('Failed', ended(1, '{"digest":"sha256:0"}')), good])).toEqual({ digest: 'sha256:1' });
  expect(resultOf(job(), [pod('Succeeded', ended(0, 'text'))])).toBeUndefined();
});

describe('a line of the log', () => {
  it('tells progress', () => {
    const line =
      'KAITO_PROGRESS {"step":3,"steps":10,"epoch":0.3,"loss":2.31,"tokensPerSecond":1200.6,"etaSeconds":40.2,"checkpoint":2}';
    expect(parseProgress(line, NOW)).toEqual({
      step: 3,
      steps: 10,
      loss: '2.31',
      tokensPerSecond: 1201,
      etaSeconds: 40,
      checkpoint: 2,
      time: NOW.toISOString(),
    });
  });

  it('tells nothing when it is another one, is cut off, or lacks what is needed', () => {
    expect(
      ['loading', 'KAITO_PROGRESS {"step":3,"st', 'KAITO_PROGRESS {"step":3}'].map((line) => parseProgress(line, NOW)),
    ).toEqual([undefined, undefined, undefined]);
  });
});
