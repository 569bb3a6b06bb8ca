import type { Pod } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { Stage } from './support';

/** What the tuning tests play: the containers of simulated nodes, and the disks behind claims. */

export const STORAGE_CLASS = 'kept';
export const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
export const IMAGE = 'registry.example.com/adapters/phi:1';

/** A tuning Workspace; `over` replaces fields of `tuning`. */
export function tuning(namespace: string, name: string, over: object = {}) {
  return {
    metadata: { namespace, name },
    resource: {
      instanceType: 'Standard_NC24ads_A100_v4',
      labelSelector: { matchLabels: { apps: name } },
    },
    tuning: {
      preset: { name: 'phi-4-mini-instruct' },
      method: 'lora',
      input: { volumeSource: { emptyDir: {} } },
      output: { image: IMAGE, imagePushSecret: 'push' },
      ...over,
    },
  };
}

/** The Secret that the push is made with. */
export async function pushSecret(stage: Stage, namespace: string): Promise<void> {
  await stage.create(RESOURCES.secrets, {
    metadata: { namespace, name: 'push' },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': '{"auths":{"registry.example.com":{"auth":"dTpw"}}}' },
  });
}

/** Gives a claim its disk, once it is asked for. */
export async function provision(stage: Stage, namespace: string, claimName: string): Promise<void> {
  const claim = await stage.until(`claim ${claimName}`, () => stage.view.claim(namespace, claimName));
  const name = `disk-${claim.metadata.uid}`;
  await stage.create(RESOURCES.persistentVolumes, {
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: claim.spec.resources?.requests?.storage },
      storageClassName: claim.spec.storageClassName,
      claimRef: { namespace, name: claimName, uid: claim.metadata.uid },
      csi: { driver: 'disk.example.com', volumeHandle: name },
    },
  });
  stage.defer(() => stage.client.delete(RESOURCES.persistentVolumes, { name }));
}

/** The pod of a Job, once it runs. */
export function runningPod(stage: Stage, namespace: string, job: string): Promise<Pod> {
  return stage.until(`Job ${job} runs a pod`, () => stage.view.jobPod(namespace, job));
}

/** Ends a pod as its kubelet would when its program ends. */
export async function end(stage: Stage, pod: Pod, exitCode: number, result: object | string): Promise<void> {
  const message = typeof result === 'string' ? result : JSON.stringify(result);
  const terminated = { exitCode, message, reason: exitCode === 0 ? 'Completed' : 'Error' };
  const [first] = pod.status?.containerStatuses ?? [];
  await stage.client.patchStatus(
    RESOURCES.pods,
    { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name },
    {
      status: {
        phase: exitCode === 0 ? 'Succeeded' : 'Failed',
        containerStatuses: [{ ...first, ready: false, started: false, state: { terminated } }],
      },
    },
  );
}

/** Plays a training that goes well. */
export async function train(stage: Stage, namespace: string, name: string): Promise<void> {
  await provision(stage, namespace, `${name}-results`);
  const pod = await runningPod(stage, namespace, name);
  await end(stage, pod, 0, { steps: 10, loss: 2.125, dataDigest: DIGEST });
}

/** Plays a push that goes well. */
export async function push(stage: Stage, namespace: string, name: string): Promise<void> {
  const pod = await runningPod(stage, namespace, `${name}-push`);
  await end(stage, pod, 0, { image: IMAGE, digest: DIGEST, sent: 1 });
}
