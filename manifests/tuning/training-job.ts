import type { V1Container, V1EnvVar, V1JobSpec, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import { ANNOTATION_REVISION } from '../../api/labels';
import type { Candidate, Plan, TuningPlan } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';
import type { Model } from '../../presets/types';
import { WEIGHTS_DIRECTORY } from '../../presets/vllm';
import type { WorkloadConfiguration } from '../configuration';
import { CONFIG_DIRECTORY } from '../names';
import { type Job, ownLabels } from '../objects';
import { affinity, tolerations } from '../placement';
import { CONTAINER_SECURITY, HOME_MOUNTS, HOME_VOLUMES, homeEnv } from '../pod-security';
import { pullSecrets } from '../pull-image';
import { modelSource } from '../model-source';
import { hubEnv, type WeightsParts, weightsParts } from '../weights';
import { ownedJob, POD_DEFAULTS, POD_FAILURE_POLICY } from './owned-job';
import { resultsMount, resultsVolume, tuningOf } from './results';
import { DATA_FLAGS, dataParts, type DataParts, DATASET_CONTAINER } from './training-data';
import { verbatim } from '../verbatim';

export interface TrainingInput {
  readonly workspace: Workspace;
  readonly model: Model;
  readonly candidate: Candidate;
  readonly plan: Pick<Plan, 'configHash' | 'diskGiB'> & { readonly tuning: TuningPlan };
  /** Number of the ControllerRevision that this is rendered from. */
  readonly revision: number;
  readonly configuration: WorkloadConfiguration;
}

/** Failed pods that are replaced, disruptions not counted; each goes on from the last checkpoint. */
const BACKOFF_LIMIT = 3;
/** Time to write a checkpoint after SIGTERM, onto whatever kind of disk. */
const GRACE_SECONDS = 120;

/**
 * The training of a tuning Workspace: one pod on one node. Its init containers get weights and data and check the data, then `tune` trains; what they
 * do, print and return is said in presets/runtime/README.md. Checkpoints and adapter lie on a volume that outlives the pod, and pushing them is
 * another Job's business (push-job.ts), so that the training's end is that of its only container. The Job and this container have the Workspace's
 * name, as in KAITO.
 */
export function trainingJob(input: TrainingInput): Job {
  const { workspace, candidate, plan, revision, configuration } = input;
  const { tuning, configHash } = plan;
  const { config, activeDeadlineSeconds } = tuningOf(workspace);
  const weights = weightsParts({ ...input, diskGiB: plan.diskGiB });
  const data = dataParts(workspace, configuration);
  const shared = sharedMounts(workspace, data);
  const spec: V1JobSpec = {
    completions: 1,
    parallelism: 1,
    backoffLimit: BACKOFF_LIMIT,
    podFailurePolicy: POD_FAILURE_POLICY,
    ...(activeDeadlineSeconds !== undefined && { activeDeadlineSeconds }),
    template: {
      metadata: {
        labels: ownLabels(workspace),
        ...(configHash !== undefined && { annotations: { 'kaito.sh/config-hash': configHash } }),
      },
      spec: {
        ...POD_DEFAULTS,
        terminationGracePeriodSeconds: GRACE_SECONDS,
        ...affinity(workspace, candidate),
        tolerations: tolerations(candidate, configuration),
        ...pullSecrets(configuration.imagePullSecrets ?? [], weights.imagePullSecrets, data.imagePullSecrets),
        initContainers: [
          ...weights.initContainers,
          ...data.initContainers,
          datasetContainer(configuration, data, shared),
        ].map((container) => besides(workspace, container)),
        containers: [trainer(input, weights, shared)],
        volumes: [
          { name: 'dshm', emptyDir: { medium: 'Memory' } },
          ...HOME_VOLUMES,
          ...weights.volumes,
          ...configVolumes(config),
          resultsVolume(workspace, tuning),
          ...data.volumes,
        ],
      },
    },
  };
  const annotations = { [ANNOTATION_REVISION]: String(revision) };
  return ownedJob({ workspace, name: workspace.metadata.name, tuning, annotations, spec });
}

/** It looks at the data as `tune` will, and so ends the pod before weights are loaded when nothing can be learnt from it. */
function datasetContainer(
  configuration: WorkloadConfiguration,
  data: DataParts,
  shared: readonly V1VolumeMount[],
): V1Container {
  return {
    name: DATASET_CONTAINER,
    image: configuration.runtimeImage,
    command: ['prepare-dataset'],
    args: [...DATA_FLAGS],
    env: [...homeEnv(), ...data.env],
    volumeMounts: [...shared],
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: CONTAINER_SECURITY,
  };
}

function trainer(input: TrainingInput, weights: WeightsParts, shared: readonly V1VolumeMount[]): V1Container {
  const { workspace, model, candidate, plan, configuration } = input;
  const gpus = { [candidate.gpus.resourceName]: String(candidate.gpus.count) };
  return {
    name: workspace.metadata.name,
    image: configuration.runtimeImage,
    command: ['tune'],
    args: trainerArgs(input),
    env: [
      // Sequences differ in length; without it the allocator's fragments add up to an OutOfMemory.
      { name: 'PYTORCH_CUDA_ALLOC_CONF', value: 'expandable_segments:True' },
      ...targetModules(model),
      ...homeEnv(),
      ...hubEnv(workspace, configuration),
    ],
    resources: { requests: gpus, limits: gpus },
    volumeMounts: [
      { name: 'dshm', mountPath: '/dev/shm' },
      ...weights.volumeMounts,
      resultsMount(plan.tuning),
      ...shared,
    ],
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: CONTAINER_SECURITY,
  };
}

function trainerArgs({ workspace, model, candidate, plan: { tuning } }: TrainingInput): string[] {
  const { preset } = tuningOf(workspace);
  const source = modelSource(workspace, model);
  return [
    `--method=${tuning.method}`,
    ...(source.kind === 'hub'
      ? [`--model=${source.id}`, ...(model.revision === undefined ? [] : [`--revision=${model.revision}`])]
      : [`--model=${source.path}`]),
    `--preset=${preset.name}`,
    ...DATA_FLAGS,
    `--output=${tuning.outputDirectory}`,
    `--processes=${candidate.gpus.count}`,
    ...(source.kind === 'hub' ? [`--download-dir=${WEIGHTS_DIRECTORY}`] : []),
  ].map(verbatim);
}

/** A Workspace may be called like one of our init containers, and names of containers are unique in a pod. */
function besides({ metadata }: Workspace, container: V1Container): V1Container {
  return container.name === metadata.name ? { ...container, name: `init-${container.name}` } : container;
}

/** The layers of this family that an adapter changes, unless the user's LoraConfig says others; as in KAITO. */
function targetModules({ shortName }: Model): V1EnvVar[] {
  return shortName.startsWith('phi-3')
    ? [{ name: 'DEFAULT_TARGET_MODULES', value: 'k_proj,q_proj,v_proj,o_proj,gate_proj,down_proj,up_proj' }]
    : [];
}

function sharedMounts(workspace: Workspace, data: DataParts): V1VolumeMount[] {
  return [
    data.volumeMount,
    ...(tuningOf(workspace).config === undefined
      ? []
      : [{ name: 'config-volume', mountPath: CONFIG_DIRECTORY, readOnly: true }]),
    ...HOME_MOUNTS,
  ];
}

function configVolumes(config: string | undefined): V1Volume[] {
  return config === undefined ? [] : [{ name: 'config-volume', configMap: { name: config } }];
}
