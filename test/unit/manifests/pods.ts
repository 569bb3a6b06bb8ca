import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import type { Workspace } from '../../../api/workspace';
import type { WorkloadConfiguration } from '../../../manifests/configuration';
import { inferenceStatefulSet, type InferenceInput } from '../../../manifests/stateful-set';
import { pushJob } from '../../../manifests/tuning/push-job';
import { trainingJob, type TrainingInput } from '../../../manifests/tuning/training-job';
import { CONFIGURATION, inferenceInput, ONE_V100, QUICK_START, TWO_NODES, workspace } from './fixtures';
import { trainingInput, TUNING_PLAN, tuningWorkspace } from './tuning/fixtures';

/** A pod that the product renders. */
export interface OurPod {
  readonly name: string;
  readonly template: V1PodTemplateSpec;
}

const PRIVATE_PRESET = {
  name: 'phi-3-mini-4k-instruct',
  accessMode: 'private',
  presetOptions: {
    image: 'registry.example/weights:1',
    imagePullSecrets: ['weights'],
    modelAccessSecret: 'hub',
  },
};

const ADAPTERS = [
  {
    source: { name: 'pulled', image: 'registry.example/adapters/a:1', imagePullSecrets: ['adapters'] },
    strength: '0.5',
  },
  { source: { name: 'mounted', volumeSource: { persistentVolumeClaim: { claimName: 'adapters' } } } },
  { source: { name: 'tuned', workspace: 'tune-phi-3' } },
];

const FULL_CONFIGURATION: WorkloadConfiguration = {
  ...CONFIGURATION,
  imagePullSecrets: ['runtime'],
  insecureRegistries: ['localhost:5001'],
  datasetPrivateHosts: ['store:9000'],
  hubEndpoint: 'https://hub.example',
};

function serving(spec: object, over: Partial<InferenceInput> = {}): V1PodTemplateSpec {
  const input = inferenceInput({ workspace: workspace({ ...QUICK_START, ...spec }), ...over });
  return inferenceStatefulSet(input).spec.template;
}

function training(tuned: Workspace, over: Partial<TrainingInput> = {}): V1PodTemplateSpec {
  return trainingJob(trainingInput({ workspace: tuned, ...over })).spec.template;
}

/** One pod of each kind and of each way that weights, adapters, data and results come and go, but for weights on the node. */
export function ourPods(): readonly OurPod[] {
  const { claim: _claim, ...onUsersVolume } = TUNING_PLAN;
  return [
    { name: 'serve from the hub', template: serving({}) },
    {
      name: 'serve a private model with adapters and a config',
      template: serving(
        { inference: { preset: PRIVATE_PRESET, config: 'options', adapters: ADAPTERS } },
        {
          configHash: 'abc',
          adapters: [
            { name: 'tuned', image: `registry.example/a@sha256:${'0'.repeat(64)}`, imagePullSecrets: ['push'] },
          ],
          configuration: FULL_CONFIGURATION,
        },
      ),
    },
    {
      name: 'serve weights of an image volume',
      template: serving(
        { inference: { preset: PRIVATE_PRESET } },
        { configuration: { ...FULL_CONFIGURATION, imageVolumes: true } },
      ),
    },
    { name: 'serve over two nodes from local disks', template: serving({}, { candidate: TWO_NODES }) },
    { name: 'serve on own nodes', template: serving({}, { candidate: { ...ONE_V100, provider: 'own-nodes' } }) },
    { name: 'tune on data of addresses', template: training(tuningWorkspace(), { configuration: FULL_CONFIGURATION }) },
    {
      name: 'tune on data of an image',
      template: training(
        tuningWorkspace({
          preset: PRIVATE_PRESET,
          config: 'parameters',
          input: { image: 'registry.example/data:1', imagePullSecrets: ['data'] },
        }),
        { configuration: FULL_CONFIGURATION },
      ),
    },
    {
      name: 'tune with data and results on volumes',
      template: training(
        tuningWorkspace({
          input: { volumeSource: { persistentVolumeClaim: { claimName: 'data' } } },
          output: { volumeSource: { persistentVolumeClaim: { claimName: 'results' } } },
        }),
        { plan: { diskGiB: 87, tuning: onUsersVolume } },
      ),
    },
    {
      name: 'push',
      template: pushJob({ workspace: tuningWorkspace(), tuning: TUNING_PLAN, configuration: FULL_CONFIGURATION }).spec
        .template,
    },
  ];
}
