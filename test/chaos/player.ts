/**
 * Plays what simulated nodes lack: the programs in the pods of a tuning, the disks behind claims, the registry that adapters are pushed to, and that a
 * kubelet says more than once that a pod is ready.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { RESOURCES } from '../../kubernetes/resources';
import { isAlreadyExists, isConflict, isNotFound } from '../../kubernetes/errors';
import { findCondition, type Job, type PersistentVolumeClaim, type Pod } from '../../kubernetes/objects';
import { insist, isReadyNode, type Ref, type Scene } from './scene';

export interface Player {
  /** How often a Workspace's training was done to its end. */
  trainings(ref: Ref): number;
  /** Digest of what was pushed as the image; undefined: nothing. */
  pushed(image: string): string | undefined;
  stop(): Promise<void>;
}

const LABEL_JOB = 'batch.kubernetes.io/job-name';
const PUSH = /-push$/;
const STORAGE_CLASS = 'kept';

/** How often a kubelet compares what it knows of a pod with what the API server has; real ones do every 10 s. */
const COMPARED_MS = 1_000;

/** Where a Workspace of the run pushes its adapter to. */
export function imageOf({ namespace, name }: Ref): string {
  return `registry.example.com/${namespace}/${name}:1`;
}

/** Plays until stopped. */
export function startPlayer(scene: Scene): Player {
  const ending = new AbortController();
  const { signal } = ending;
  const { client } = scene;
  const working = new Set<string>();
  const works = new Set<Promise<void>>();
  /** Digest of the adapter on a Workspace's volume, by key. */
  const adapters = new Map<string, string>();
  /** Finished trainings, by what they made. */
  const trained = new Map<string, ReadonlySet<string>>();
  const registry = new Map<string, string>();
  const keyOf = ({ namespace, name }: Ref): string => `${namespace}/${name}`;

  /** Does it once at a time; what could not be done is done at the next change. */
  const work = (what: string, doIt: () => Promise<void>): void => {
    if (working.has(what) || signal.aborted) return;
    working.add(what);
    const done = insist(doIt, signal)
      .catch((error: unknown) => {
        // The object is gone, or another than when we looked: the next look tells.
        if (!isNotFound(error) && !isConflict(error) && !signal.aborted) throw error;
      })
      .finally(() => {
        working.delete(what);
        works.delete(done);
      });
    works.add(done);
  };

  async function endPod(pod: Pod, result: object): Promise<void> {
    const terminated = { exitCode: 0, message: JSON.stringify(result), reason: 'Completed' };
    const [first] = pod.status?.containerStatuses ?? [];
    const { namespace = '', name, uid } = pod.metadata;
    await client.patchStatus(
      RESOURCES.pods,
      { namespace, name },
      {
        metadata: { uid },
        status: {
          phase: 'Succeeded',
          containerStatuses: [{ ...first, ready: false, started: false, state: { terminated } }],
        },
      },
    );
  }

  async function train(ref: Ref, job: Job, pod: Pod): Promise<void> {
    const digest = `sha256:${createHash('sha256').update(job.metadata.uid).digest('hex')}`;
    // Noted first: the pod may have ended though the answer to that is lost, and what pushes begins then.
    adapters.set(keyOf(ref), digest);
    await endPod(pod, { steps: 10, loss: 2.125, dataDigest: digest });
    trained.set(keyOf(ref), new Set([...(trained.get(keyOf(ref)) ?? []), digest]));
  }

  async function push(ref: Ref, pod: Pod): Promise<void> {
    const digest = adapters.get(keyOf(ref));
    if (digest === undefined) throw new Error(`${keyOf(ref)} pushes an adapter that was never trained`);
    const image = imageOf(ref);
    registry.set(image, digest);
    await endPod(pod, { image, digest, sent: 1 });
  }

  const playPod = (pod: Pod): void => {
    const { namespace = '', labels = {}, uid, deletionTimestamp } = pod.metadata;
    const jobName = labels[LABEL_JOB];
    if (jobName === undefined || pod.status?.phase !== 'Running' || deletionTimestamp !== undefined) return;
    const job = scene.get('jobs', { namespace, name: jobName });
    if (job === undefined) return;
    const ref = { namespace, name: jobName.replace(PUSH, '') };
    work(uid, () => (PUSH.test(jobName) ? push(ref, pod) : train(ref, job, pod)));
  };

  /**
   * Kubernetes' node controller calls a pod not ready that is bound while, as it saw up to five seconds ago, its node was not. Its kubelet says that it
   * is; KWOK said so when it began, and says no more.
   */
  const playReadiness = ({ metadata: { namespace = '', name, uid } }: Pod): void => {
    const seen = (): Pod | undefined => {
      const pod = scene.get('pods', { namespace, name });
      return pod?.metadata.uid === uid && isCalledNotReady(pod) ? pod : undefined;
    };
    if (seen() === undefined) return;
    work(`readiness ${uid}`, async () => {
      for (let pod = seen(); pod !== undefined; pod = seen()) {
        if (isReadyNode(scene.get('nodes', { name: pod.spec.nodeName ?? '' }))) {
          const conditions = pod.status?.conditions?.map((one) =>
            one.type === 'Ready' ? { ...one, status: 'True' as const } : one,
          );
          await client.patchStatus(RESOURCES.pods, { namespace, name }, { metadata: { uid }, status: { conditions } });
        }
        await delay(COMPARED_MS, undefined, { signal });
      }
    });
  };

  const playClaim = ({ metadata: { namespace = '', name, uid }, spec, status }: PersistentVolumeClaim): void => {
    if (spec.storageClassName !== STORAGE_CLASS || status?.phase !== 'Pending') return;
    work(uid, async () => {
      const volume = {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: volumeOf(uid) },
        spec: {
          accessModes: ['ReadWriteOnce'],
          capacity: { storage: spec.resources?.requests?.storage },
          storageClassName: STORAGE_CLASS,
          claimRef: { namespace, name, uid },
          csi: { driver: 'disk.example.com', volumeHandle: uid },
        },
      };
      await client.create(RESOURCES.persistentVolumes, volume).catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error;
      });
    });
  };

  scene.onChange((kind, { type, object }) => {
    if (kind === 'pods' && type !== 'deleted') {
      playPod(object as Pod);
      playReadiness(object as Pod);
    }
    // Its Job may be seen after the pod.
    if (kind === 'jobs' && type === 'added') scene.all('pods').forEach(playPod);
    if (kind !== 'persistentVolumeClaims') return;
    if (type !== 'deleted') playClaim(object as PersistentVolumeClaim);
    else
      work(
        `-${object.metadata.uid}`,
        async () => void (await client.delete(RESOURCES.persistentVolumes, { name: volumeOf(object.metadata.uid) })),
      );
  });
  return {
    trainings: (ref) => trained.get(keyOf(ref))?.size ?? 0,
    pushed: (image) => registry.get(image),
    async stop() {
      ending.abort(new Error('the player stops'));
      await Promise.allSettled(works);
    },
  };
}

function isCalledNotReady(pod: Pod): boolean {
  return (
    pod.status?.phase === 'Running' &&
    pod.metadata.deletionTimestamp === undefined &&
    findCondition(pod, 'ContainersReady')?.status === 'True' &&
    findCondition(pod, 'Ready')?.status === 'False'
  );
}

function volumeOf(claimUid: string): string {
  return `disk-${claimUid}`;
}
