import type { V1Container, V1PodSpec, V1Probe, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { Candidate, ResolvedAdapter } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import type { Model } from '../presets/types';
import { type AdapterParts, adapterParts } from './adapters';
import { commandLine } from './command-line';
import type { WorkloadConfiguration } from './configuration';
import { GROUP_COMMAND, GROUP_UPDATE_STRATEGY, groupEnv, groupProbes, RENDEZVOUS_PORT, spansNodes } from './group';
import { CONFIG_DIRECTORY, HTTP_PORT } from './names';
import { ownLabels, type StatefulSet } from './objects';
import { statefulSet } from './owned-stateful-set';
import { affinity, tolerations } from './placement';
import {
  CONTAINER_SECURITY,
  HOME_MOUNTS,
  HOME_VOLUMES,
  homeEnv,
  POD_SECURITY,
  POD_SECURITY_CONTEXT,
} from './pod-security';
import { pullSecrets } from './pull-image';
import { hubEnv, type WeightsParts, weightsParts } from './weights';

export interface InferenceInput {
  readonly workspace: Workspace;
  readonly model: Model;
  readonly candidate: Candidate;
  /** The user's options for vLLM (section `vllm` of inference_config.yaml): name without dashes → value; '' is a bare flag. */
  readonly config: Readonly<Record<string, string>>;
  /** Digest of the contents of the `inference.config` ConfigMap; pods are replaced when it changes. */
  readonly configHash?: string;
  /** Adapters of tuning Workspaces, each with the image it was pushed to. */
  readonly adapters?: readonly ResolvedAdapter[];
  /** Space for the weights, GiB. */
  readonly diskGiB: number;
  /** Number of the ControllerRevision that this is rendered from. */
  readonly revision: number;
  readonly configuration: WorkloadConfiguration;
}

/**
 * The workload of a preset: vLLM's OpenAI server on port 5000, as many pods as the candidate has nodes. A model that fits a node is served whole by
 * each pod; one that spans nodes by all pods together (group.ts).
 *
 * What `serve` reads besides vLLM's flags: KAITO_ADAPTER_STRENGTHS (adapters.ts), and the file /mnt/config/inference_config.yaml, whose section
 * `vllm` is in the flags already.
 */
export function inferenceStatefulSet(input: InferenceInput): StatefulSet {
  const { workspace, candidate, configuration, revision, configHash } = input;
  const adapters = adapterParts(workspace, configuration, input.adapters);
  const weights = weightsParts(input);
  const initContainers = [...weights.initContainers, ...adapters.initContainers];
  const spec: V1PodSpec = {
    ...POD_SECURITY,
    securityContext: { ...POD_SECURITY_CONTEXT, ...weights.ownership },
    ...affinity(workspace, candidate),
    tolerations: tolerations(candidate, configuration),
    ...pullSecrets(configuration.imagePullSecrets ?? [], weights.imagePullSecrets, adapters.imagePullSecrets),
    ...(initContainers.length > 0 && { initContainers }),
    containers: [server(input, weights, adapters)],
    volumes: [
      { name: 'dshm', emptyDir: { medium: 'Memory' } },
      ...HOME_VOLUMES,
      ...weights.volumes,
      ...configVolumes(workspace),
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

function server(input: InferenceInput, weights: WeightsParts, adapters: AdapterParts): V1Container {
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
      ...homeEnv(),
      ...Object.entries(model.env).map(([name, value]) => ({ name, value })),
      ...hubEnv(workspace, configuration),
      ...(group ? groupEnv() : []),
      ...adapters.env,
    ],
    resources: { requests: gpus, limits: gpus },
    ...(group ? groupProbes(model.startupSeconds) : probes(model.startupSeconds)),
    volumeMounts: [
      { name: 'dshm', mountPath: '/dev/shm' },
      ...HOME_MOUNTS,
      ...weights.volumeMounts,
      ...configMounts(workspace),
      ...adapters.volumeMounts,
    ],
    securityContext: CONTAINER_SECURITY,
  };
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

function configVolumes({ inference }: Workspace): V1Volume[] {
  return inference?.config === undefined ? [] : [{ name: 'config-volume', configMap: { name: inference.config } }];
}

function configMounts({ inference }: Workspace): V1VolumeMount[] {
  return inference?.config === undefined
    ? []
    : [{ name: 'config-volume', mountPath: CONFIG_DIRECTORY, readOnly: true }];
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
