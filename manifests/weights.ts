import type { V1Container, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { Candidate } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import type { Model } from '../presets/types';
import { WEIGHTS_DIRECTORY } from '../presets/vllm';
import { isPrivate, privateWeightsDirectory, usesLocalWeights } from './command-line';
import type { WorkloadConfiguration } from './configuration';
import { ownLabels } from './objects';
import { pullImage } from './pull-image';

const WEIGHTS_VOLUME = 'model-weights-volume';
const LOCAL_WEIGHTS_VOLUME = 'model-weights-hostpath';
/** Where nodes hold weights; the flag `model` points into it (presets/vllm.ts). */
const LOCAL_WEIGHTS_DIRECTORY = '/opt/kaito/models';

/** Where private images carry the weights, as KAITO builds them. */
const DIRECTORY_IN_IMAGE = '/workspace/tfs/weights';

/** What the weights add to the pod. */
export interface WeightsParts {
  readonly initContainers: readonly V1Container[];
  readonly volumes: readonly V1Volume[];
  readonly volumeMounts: readonly V1VolumeMount[];
  readonly imagePullSecrets: readonly string[];
}

/** Room for the weights, which `serve` downloads from the hub; or the weights themselves, from a private image or from the node. */
export function weightsParts(input: {
  readonly workspace: Workspace;
  readonly model: Model;
  readonly candidate: Candidate;
  /** Space for the weights, GiB. */
  readonly diskGiB: number;
  readonly configuration: WorkloadConfiguration;
}): WeightsParts {
  const { workspace, model, configuration } = input;
  if (usesLocalWeights(workspace)) return onTheNode();
  const mount = { name: WEIGHTS_VOLUME, mountPath: WEIGHTS_DIRECTORY };
  const { image, imagePullSecrets = [] } = workspace.inference?.preset?.presetOptions ?? {};
  const pulled =
    isPrivate(workspace) && image !== undefined
      ? pullImage(
          {
            name: 'weights',
            image,
            imagePullSecrets,
            path: DIRECTORY_IN_IMAGE,
            directory: privateWeightsDirectory(model),
            volume: mount,
          },
          configuration,
        )
      : undefined;
  return {
    initContainers: pulled ? [pulled.container] : [],
    volumes: [room(input), ...(pulled?.volumes ?? [])],
    volumeMounts: [mount],
    imagePullSecrets: pulled ? imagePullSecrets : [],
  };
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

/** Without the folder the pod doesn't start, and its events say so. */
function onTheNode(): WeightsParts {
  return {
    initContainers: [],
    volumes: [{ name: LOCAL_WEIGHTS_VOLUME, hostPath: { path: LOCAL_WEIGHTS_DIRECTORY, type: 'Directory' } }],
    volumeMounts: [{ name: LOCAL_WEIGHTS_VOLUME, mountPath: LOCAL_WEIGHTS_DIRECTORY, readOnly: true }],
    imagePullSecrets: [],
  };
}
