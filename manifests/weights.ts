import type { V1Container, V1EnvVar, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { Candidate } from '../api/workflow';
import type { PresetSpec, Workspace } from '../api/workspace';
import type { Model } from '../presets/types';
import { WEIGHTS_DIRECTORY } from '../presets/vllm';
import { privateWeightsDirectory, usesLocalWeights } from './command-line';
import type { WorkloadConfiguration } from './configuration';
import { ownLabels } from './objects';
import { pullerName, pullImage } from './pull-image';

const WEIGHTS_VOLUME = 'model-weights-volume';
const LOCAL_WEIGHTS_VOLUME = 'model-weights-hostpath';
/** Where nodes hold weights; the flag `model` points into it (presets/vllm.ts). */
const LOCAL_WEIGHTS_DIRECTORY = '/opt/kaito/models';

const WEIGHTS = 'weights';

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
  if (usesLocalWeights(workspace)) return onTheNode();
  const mount = { name: WEIGHTS_VOLUME, mountPath: WEIGHTS_DIRECTORY };
  const { imagePullSecrets = [] } = presetOf(workspace)?.presetOptions ?? {};
  const image = privateImage(workspace);
  const pulled =
    image !== undefined
      ? pullImage(
          {
            name: WEIGHTS,
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

/** Where `tune` takes the model from: its name on the hub, or the folder that holds it. `serve` takes it from the same place. */
export function modelSource(
  workspace: Workspace,
  model: Model,
): { readonly kind: 'hub'; readonly id: string } | { readonly kind: 'folder'; readonly path: string } {
  if (usesLocalWeights(workspace)) {
    return { kind: 'folder', path: `${LOCAL_WEIGHTS_DIRECTORY}/${model.id.toLowerCase().replaceAll('/', '-')}` };
  }
  return privateImage(workspace) === undefined
    ? { kind: 'hub', id: model.id }
    : { kind: 'folder', path: privateWeightsDirectory(model) };
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

/** The model, whether it is served or tuned. */
function presetOf({ inference, tuning }: Workspace): PresetSpec | undefined {
  return inference?.preset ?? tuning?.preset;
}

/** accessMode private: the image that the weights come from. */
function privateImage(workspace: Workspace): string | undefined {
  const preset = presetOf(workspace);
  return preset?.accessMode === 'private' ? preset.presetOptions?.image : undefined;
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
