import { setTimeout as delay } from 'node:timers/promises';

import { kubectl, kubectlApply } from '../kubectl';
import type { State } from '../state';

import { REAL_NODE, REAL_NODE_LABELS, STORAGE_CLASS, VOLUMES } from './names';

const GPU = 'nvidia.com/gpu';

/**
 * What the node says of GPUs that it has not: models run on the processor. A Workspace is laid out for one GPU (`gpu.count`); so that
 * several fit beside each other, the node has more of them to give.
 */
const GPU_LABELS = {
  'nvidia.com/gpu.product': 'Tesla-T4',
  'nvidia.com/gpu.memory': '15360',
  'nvidia.com/gpu.count': '1',
} as const;
const GPUS = '8';

const REGISTERED_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 100;

/**
 * The default StorageClass, and its volumes: folders of the environment, made beforehand. The kubelet gives a volume of kind `local` to the
 * group of its pod (fsGroup), as clouds' disks are given; what a controller manager makes by itself (host-path) belongs to root.
 */
export async function applyVolumes(dir: string, state: State): Promise<void> {
  const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
  const storageClass = {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: STORAGE_CLASS, annotations },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  };
  const volumes = VOLUMES.map((name) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '20Gi' },
      storageClassName: STORAGE_CLASS,
      persistentVolumeReclaimPolicy: 'Retain',
      local: { path: `/var/volumes/${name}` },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [REAL_NODE] }] },
          ],
        },
      },
    },
  }));
  await kubectlApply(dir, state, { objects: [storageClass, ...volumes] });
}

interface RealNode {
  readonly status: {
    readonly capacity?: Readonly<Record<string, string>>;
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastHeartbeatTime: string;
    }[];
  };
}

/**
 * Waits until the kubelet has told that the node is ready, and gives it its labels and GPUs.
 *
 * A kubelet that starts takes away the GPUs that no device plugin vouches for, and leaves alone those that come later. So what was told
 * before it started does not count.
 */
export async function completeNode(dir: string, state: State, startedAtMs = 0): Promise<void> {
  const deadline = Date.now() + REGISTERED_WITHIN_MS;
  let node = await realNode(dir, state);
  while (node === undefined || !isReadySince(node, startedAtMs)) {
    if (Date.now() > deadline) {
      throw new Error(
        `node ${REAL_NODE} is not ready: ${JSON.stringify(node?.status.conditions ?? 'it is not there')}`,
      );
    }
    await delay(LOOK_EVERY_MS);
    node = await realNode(dir, state);
  }
  const labels = { ...REAL_NODE_LABELS, ...GPU_LABELS };
  await kubectl(dir, state, ['patch', 'node', REAL_NODE, '-p', JSON.stringify({ metadata: { labels } })]);
  if (node.status.capacity?.[GPU] === GPUS && node.status.allocatable?.[GPU] === GPUS) return;
  const status = { capacity: { [GPU]: GPUS }, allocatable: { [GPU]: GPUS } };
  await kubectl(dir, state, ['patch', 'node', REAL_NODE, '--subresource=status', '-p', JSON.stringify({ status })]);
}

/** Returns in a later second than the one in which the node last told that it is ready: the cluster's times have whole seconds. */
export async function untilLaterSecond(dir: string, state: State): Promise<void> {
  const node = await realNode(dir, state);
  if (node === undefined) return;
  const waitMs = Math.floor((toldReadyAtMs(node) ?? 0) / 1000) * 1000 + 1000 - Date.now();
  if (waitMs > 0) await delay(waitMs);
}

async function realNode(dir: string, state: State): Promise<RealNode | undefined> {
  const found = await kubectl(dir, state, ['get', 'node', REAL_NODE, '--ignore-not-found', '-o', 'json']);
  return found === '' ? undefined : (JSON.parse(found) as RealNode);
}

function isReadySince(node: RealNode, sinceMs: number): boolean {
  const told = toldReadyAtMs(node);
  return told !== undefined && told >= Math.floor(sinceMs / 1000) * 1000;
}

function toldReadyAtMs({ status }: RealNode): number | undefined {
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' ? Date.parse(ready.lastHeartbeatTime) : undefined;
}
