import type { V1Container, V1EnvVar, V1PodSpec, V1Probe, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { Candidate } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import type { Model } from '../presets/types';
import { type AdapterParts, adapterParts } from './adapters';
import type { WorkloadConfiguration } from './configuration';
import {
  GROUP_COMMAND,
  GROUP_UPDATE_STRATEGY,
  groupEnv,
  groupFlags,
  groupProbes,
  RENDEZVOUS_PORT,
  spansNodes,
} from './group';
import { CONFIG_DIRECTORY, HTTP_PORT, WEIGHTS_DIRECTORY } from './names';
import { ownLabels, type StatefulSet } from './objects';
import { affinity, tolerations } from './placement';
import { type ImageFiles, pullImage } from './pull-image';
import { statefulSet } from './owned-stateful-set';

const WEIGHTS_VOLUME = 'model-weights-volume';

/** Where private images carry the weights, as KAITO builds them. */
const WEIGHTS_IN_IMAGE = '/workspace/tfs/weights';

export interface InferenceInput {
  readonly workspace: Workspace;
  readonly model: Model;
  readonly candidate: Candidate;
  /** vLLM's flags for model, size and the user's options: name without dashes → value; '' is a bare flag. In the order to print. */
  readonly flags: Readonly<Record<string, string>>;
  /** Space for the weights, GiB. */
  readonly diskGiB: number;
  /** Number of the ControllerRevision that this is rendered from. */
  readonly revision: number;
  /** Digest of the contents of the `inference.config` ConfigMap; pods are replaced when it changes. */
  readonly configHash?: string;
  readonly configuration: WorkloadConfiguration;
}

/**
 * The workload of a preset: vLLM's OpenAI server on port 5000, as many pods as the candidate has nodes. A model that fits a node is served whole by
 * each pod; one that spans nodes by all pods together (group.ts).
 *
 * What `serve` reads besides vLLM's flags: KAITO_ADAPTER_STRENGTHS (adapters.ts), and the file /mnt/config/inference_config.yaml, whose section
 * `vllm` is already in the flags.
 */
export function inferenceStatefulSet(input: InferenceInput): StatefulSet {
  const { workspace, candidate, configuration, revision, configHash } = input;
  const adapters = adapterParts(workspace, configuration);
  const weights = privateWeights(input);
  const initContainers = [...(weights ? [weights.container] : []), ...adapters.initContainers];
  const spec: V1PodSpec = {
    automountServiceAccountToken: false,
    // A Service named `vllm` would set VLLM_PORT, which vLLM takes for its own setting.
    enableServiceLinks: false,
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    ...affinity(workspace, candidate),
    tolerations: tolerations(candidate, configuration),
    ...pullSecrets(input, adapters),
    ...(initContainers.length > 0 && { initContainers }),
    containers: [server(input, adapters)],
    volumes: [
      { name: 'dshm', emptyDir: { medium: 'Memory' } },
      weightsVolume(input),
      ...configVolumes(workspace),
      ...(weights?.volumes ?? []),
      ...adapters.volumes,
    ],
  };
  return statefulSet({
    workspace,
    replicas: candidate.nodeCount,
    revision,
    template: {
      metadata: {
        labels: podLabels(workspace),
        ...(configHash !== undefined && { annotations: { 'kaito.sh/config-hash': configHash } }),
      },
      spec,
    },
    ...(spansNodes(candidate) && { updateStrategy: GROUP_UPDATE_STRATEGY }),
  });
}

function server(input: InferenceInput, adapters: AdapterParts): V1Container {
  const { workspace, model, candidate, configuration } = input;
  const group = spansNodes(candidate);
  const gpus = { [candidate.gpus.resourceName]: String(candidate.gpus.count) };
  return {
    name: workspace.metadata.name,
    image: configuration.runtimeImage,
    command: group ? [...GROUP_COMMAND] : ['serve'],
    args: [...commandLine(input), ...adapters.args],
    ports: [
      { name: 'http', containerPort: HTTP_PORT },
      ...(group ? [{ name: 'rendezvous', containerPort: RENDEZVOUS_PORT }] : []),
    ],
    env: [
      ...Object.entries(model.env).map(([name, value]) => ({ name, value })),
      ...token(workspace),
      ...(group ? groupEnv() : []),
      ...adapters.env,
    ],
    resources: { requests: gpus, limits: gpus },
    ...(group ? groupProbes(model.startupSeconds) : probes(model.startupSeconds)),
    volumeMounts: [
      { name: 'dshm', mountPath: '/dev/shm' },
      { name: WEIGHTS_VOLUME, mountPath: WEIGHTS_DIRECTORY },
      ...configMounts(workspace),
      ...adapters.volumeMounts,
    ],
    securityContext: { allowPrivilegeEscalation: false },
  };
}

/** Ours override the user's where probes and Services rely on them. */
function commandLine({ workspace, model, candidate, flags }: InferenceInput): string[] {
  const literal = Object.entries({
    ...flags,
    ...(isPrivate(workspace) && { model: `${WEIGHTS_DIRECTORY}/${model.shortName}` }),
    port: String(HTTP_PORT),
  }).map(([name, value]) => [name, unexpanded(value)] as const);
  const grouped = spansNodes(candidate)
    ? Object.entries(groupFlags(workspace, candidate.nodeCount, model.startupSeconds))
    : [];
  return [...new Map([...literal, ...grouped])].map(([name, value]) =>
    value === '' ? `--${name}` : `--${name}=${value}`,
  );
}

/** The kubelet replaces `$(NAME)` in arguments; doubling the dollar keeps the text as it is. */
function unexpanded(value: string): string {
  return value.split('$(').join('$$(');
}

/** Loading may take as long as the model's patience; afterwards a minute of silence, which load alone doesn't cause, is a failure. */
function probes(startupSeconds: number): { startupProbe: V1Probe; livenessProbe: V1Probe; readinessProbe: V1Probe } {
  const health: V1Probe = { httpGet: { path: '/health', port: 'http' }, timeoutSeconds: 5 };
  return {
    startupProbe: { ...health, failureThreshold: Math.ceil(startupSeconds / 10) },
    livenessProbe: { ...health, failureThreshold: 6 },
    readinessProbe: health,
  };
}

function token(workspace: Workspace): V1EnvVar[] {
  const secret = workspace.inference?.preset?.presetOptions?.modelAccessSecret;
  return secret === undefined
    ? []
    : [{ name: 'HF_TOKEN', valueFrom: { secretKeyRef: { name: secret, key: 'HF_TOKEN', optional: true } } }];
}

/**
 * A disk of its own for each pod, on the local NVMe where there is one. The claim belongs to the pod, not to the StatefulSet as in KAITO: a claim
 * of the set stays bound to the disk of a node that is gone, so that its pod could never start on the replacement, and its size and class could
 * not follow when another instance type is taken.
 */
function weightsVolume({ workspace, candidate, configuration, diskGiB }: InferenceInput): V1Volume {
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

function configVolumes({ inference }: Workspace): V1Volume[] {
  return inference?.config === undefined ? [] : [{ name: 'config-volume', configMap: { name: inference.config } }];
}

function configMounts({ inference }: Workspace): V1VolumeMount[] {
  return inference?.config === undefined
    ? []
    : [{ name: 'config-volume', mountPath: CONFIG_DIRECTORY, readOnly: true }];
}

function isPrivate({ inference }: Workspace): boolean {
  return inference?.preset?.accessMode === 'private' && inference.preset.presetOptions?.image !== undefined;
}

/** accessMode private: the weights come from the user's image instead of the hub. */
function privateWeights({ workspace, model, configuration }: InferenceInput) {
  const { image, imagePullSecrets = [] } = workspace.inference?.preset?.presetOptions ?? {};
  if (!isPrivate(workspace) || image === undefined) return undefined;
  const files: ImageFiles = {
    name: 'weights',
    image,
    imagePullSecrets,
    path: WEIGHTS_IN_IMAGE,
    directory: `${WEIGHTS_DIRECTORY}/${model.shortName}`,
    volume: { name: WEIGHTS_VOLUME, mountPath: WEIGHTS_DIRECTORY },
  };
  return pullImage(files, configuration);
}

function pullSecrets(
  { workspace, configuration }: InferenceInput,
  adapters: AdapterParts,
): Pick<V1PodSpec, 'imagePullSecrets'> {
  const names = new Set([
    ...(configuration.imagePullSecrets ?? []),
    ...(workspace.inference?.preset?.presetOptions?.imagePullSecrets ?? []),
    ...adapters.imagePullSecrets,
  ]);
  return names.size > 0 ? { imagePullSecrets: [...names].map((name) => ({ name })) } : {};
}

/** Labels by which KAITO's InferenceSets, MultiRoleInferences and their routers find the pods of their Workspaces. */
const CARRIED_LABELS = [
  'kaito.sh/inference-role',
  'inferenceset.kaito.sh/created-by',
  'multiroleinference.kaito.sh/created-by',
];

function podLabels(workspace: Workspace): Record<string, string> {
  const carried = Object.entries(workspace.metadata.labels ?? {}).filter(([key]) => CARRIED_LABELS.includes(key));
  return { ...Object.fromEntries(carried), ...ownLabels(workspace) };
}
