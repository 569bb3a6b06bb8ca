import type { V1Container, V1EnvVar, V1PodSecurityContext, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { Candidate } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import type { Model } from '../presets/types';
import { WEIGHTS_DIRECTORY } from '../presets/vllm';
import type { WorkloadConfiguration } from './configuration';
import { LOCAL_WEIGHTS_DIRECTORY, modelSource, presetOf } from './model-source';
import { ownLabels } from './objects';
import { pullerName, pullImage } from './pull-image';

const WEIGHTS_VOLUME = 'model-weights-volume';
const LOCAL_WEIGHTS_VOLUME = 'model-weights-hostpath';

const WEIGHTS = 'weights';

/** Group that volumes are given to; the number means nothing to any image. */
export const VOLUME_GROUP = 10_000;

/** The init container that copies the weights of a private preset. */
export const WEIGHTS_CONTAINER = pullerName(WEIGHTS);

/** Where private images carry the weights, as KAITO builds them. */
const DIRECTORY_IN_IMAGE = '/workspace/tfs/weights';

/** What the weights add to the pod. */
export interface WeightsParts {
  readonly initContainers: readonly V1Container[];
  readonly volumes: readonly V1Volume[];
  readonly volumeMounts: readonly V1VolumeMount[];
  readonly imagePullSecrets: readonly string[];
  /** Makes a disk of the pod's own writable for an image that does not run as root. */
  readonly ownership?: Pick<V1PodSecurityContext, 'fsGroup' | 'fsGroupChangePolicy'>;
}

/** Room for the weights, which `serve` or `tune` downloads from the hub; or the weights themselves, from a private image or from the node. */
export function weightsParts(input: {
  readonly workspace: Workspace;
  readonly model: Model;
  readonly candidate: Candidate;
  /** Space for the weights, GiB. */
  readonly diskGiB: number;
  readonly configuration: WorkloadConfiguration;
}): WeightsParts {
  const { workspace, model, configuration } = input;
  const source = modelSource(workspace, model);
  const mount = { name: WEIGHTS_VOLUME, mountPath: WEIGHTS_DIRECTORY };
  switch (source.kind) {
    case 'node':
      return onTheNode();
    case 'hub':
      return {
        initContainers: [],
        volumes: [room(input)],
        volumeMounts: [mount],
        imagePullSecrets: [],
        ...ownershipOf(room(input)),
      };
    case 'image': {
      const { image, imagePullSecrets, path } = source;
      if (configuration.imageVolumes === true) return asVolume(image, imagePullSecrets, path);
      const pulled = pullImage(
        { name: WEIGHTS, image, imagePullSecrets, path: DIRECTORY_IN_IMAGE, directory: path, volume: mount },
        configuration,
      );
      return {
        initContainers: [pulled.container],
        volumes: [room(input), ...pulled.volumes],
        volumeMounts: [mount],
        imagePullSecrets,
        ...ownershipOf(room(input)),
      };
    }
  }
}

/** The kubelet pulls the image once for all pods of its node, and nothing is copied. */
function asVolume(image: string, imagePullSecrets: readonly string[], path: string): WeightsParts {
  return {
    initContainers: [],
    volumes: [{ name: WEIGHTS_VOLUME, image: { reference: image, pullPolicy: 'IfNotPresent' } }],
    volumeMounts: [{ name: WEIGHTS_VOLUME, mountPath: path, subPath: DIRECTORY_IN_IMAGE.slice(1), readOnly: true }],
    imagePullSecrets,
  };
}

/**
 * How the hub is reached. The token is optional as in KAITO: public models are served without it, and a Secret that is missing is the plan step's
 * to tell.
 */
export function hubEnv(workspace: Workspace, { hubEndpoint }: WorkloadConfiguration): V1EnvVar[] {
  const secret = presetOf(workspace)?.presetOptions?.modelAccessSecret;
  return [
    ...(secret === undefined
      ? []
      : [{ name: 'HF_TOKEN', valueFrom: { secretKeyRef: { name: secret, key: 'HF_TOKEN', optional: true } } }]),
    ...(hubEndpoint === undefined ? [] : [{ name: 'HF_ENDPOINT', value: hubEndpoint }]),
  ];
}

/**
 * A disk of its own for each pod, on the local NVMe where there is one. The claim belongs to the pod, not to the StatefulSet as in KAITO: a claim
 * of the set stays bound to the disk of a node that is gone, so that its pod could never start on the replacement, and its size and class could
 * not follow when another instance type is taken.
 */
function room({
  workspace,
  candidate,
  configuration,
  diskGiB,
}: {
  readonly workspace: Workspace;
  readonly candidate: Candidate;
  readonly diskGiB: number;
  readonly configuration: WorkloadConfiguration;
}): V1Volume {
  if (!candidate.nvme || configuration.nvmeStorageClass === undefined) return { name: WEIGHTS_VOLUME, emptyDir: {} };
  return {
    name: WEIGHTS_VOLUME,
    ephemeral: {
      volumeClaimTemplate: {
        metadata: { labels: ownLabels(workspace) },
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: configuration.nvmeStorageClass,
          resources: { requests: { storage: `${diskGiB}Gi` } },
        },
      },
    },
  };
}

/** An emptyDir is anybody's; a new disk is root's. */
function ownershipOf(volume: V1Volume): Pick<WeightsParts, 'ownership'> {
  if (volume.ephemeral === undefined) return {};
  return { ownership: { fsGroup: VOLUME_GROUP, fsGroupChangePolicy: 'OnRootMismatch' } };
}

/** Without the folder the pod doesn't start, and its events say so. */
function onTheNode(): WeightsParts {
  return {
    initContainers: [],
    volumes: [{ name: LOCAL_WEIGHTS_VOLUME, hostPath: { path: LOCAL_WEIGHTS_DIRECTORY, type: 'Directory' } }],
    volumeMounts: [{ name: LOCAL_WEIGHTS_VOLUME, mountPath: LOCAL_WEIGHTS_DIRECTORY, readOnly: true }],
    imagePullSecrets: [],
  };
}
