import { stringify } from 'yaml';
import type { Candidate } from '../../../api/workflow';
import { type Workspace, type WorkspaceSpecParts, workspaceSpecSchema } from '../../../api/workspace';
import type { WorkloadConfiguration } from '../../../manifests/configuration';
import type { InferenceInput } from '../../../manifests/stateful-set';
import type { Model } from '../../../presets/types';

const GIB = 2 ** 30;

/** A Workspace as the API server returns it: defaults filled in. */
export function workspace(spec: unknown, metadata: Partial<Workspace['metadata']> = {}): Workspace {
  const parts: WorkspaceSpecParts = workspaceSpecSchema.parse(spec);
  return {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: {
      name: 'workspace-phi-3-mini',
      namespace: 'default',
      uid: '5f0c1f64-31c4-4b1c-9b39-5a1a2a5f5a10',
      generation: 1,
      resourceVersion: '1',
      ...metadata,
    },
    ...parts,
  };
}

/** shared by most tests: the quick start's inference manifest. */
export const QUICK_START = {
  resource: { instanceType: 'Standard_NC6s_v3', labelSelector: { matchLabels: { apps: 'phi-3' } } },
  inference: { preset: { name: 'phi-3-mini-4k-instruct' } },
};

export const PHI_3: Model = {
  id: 'microsoft/Phi-3-mini-4k-instruct',
  shortName: 'phi-3-mini-4k-instruct',
  architectures: ['Phi3ForCausalLM'],
  weightsBytes: 7.12 * GIB,
  maxModelLen: 4096,
  kvBytesPerToken: 393_216,
  attention: 'MHA',
  diskGiB: 87,
  vllmFlags: { dtype: 'bfloat16', 'trust-remote-code': '' },
  env: { VLLM_USE_FLASHINFER_SAMPLER: '0' },
  startupSeconds: 1800,
  gated: false,
  supportsTuning: true,
};

export const ONE_V100: Candidate = {
  provider: 'karpenter',
  instanceType: 'Standard_NC6s_v3',
  nodeCount: 1,
  gpus: { count: 1, memoryBytes: 16 * GIB, resourceName: 'nvidia.com/gpu' },
  nvme: false,
  layout: {
    tensorParallel: 1,
    dataParallel: 1,
    pipelineParallel: 1,
    maxModelLen: 4096,
    gpuMemoryUtilization: 0.84,
  },
};

/** Two nodes of eight GPUs that serve one model together. */
export const TWO_NODES: Candidate = {
  provider: 'karpenter',
  instanceType: 'Standard_ND96asr_v4',
  nodeCount: 2,
  gpus: { count: 8, memoryBytes: 40 * GIB, resourceName: 'nvidia.com/gpu' },
  nvme: true,
  layout: {
    tensorParallel: 8,
    dataParallel: 1,
    pipelineParallel: 2,
    maxModelLen: 32_768,
    gpuMemoryUtilization: 0.84,
  },
};

export const CONFIGURATION: WorkloadConfiguration = {
  runtimeImage: 'registry.example/kaito-runtime:1.0.0',
  adapterPullerImage: 'registry.example/kaito-runtime:1.0.0',
  nvmeStorageClass: 'kaito-local-nvme-disk',
  cloud: 'azure',
};

/** Input of a StatefulSet that serves the quick start's Workspace, unless told otherwise. */
export function inferenceInput(over: Partial<InferenceInput> = {}): InferenceInput {
  return {
    workspace: workspace(QUICK_START),
    model: PHI_3,
    candidate: ONE_V100,
    config: {},
    diskGiB: 87,
    revision: 1,
    configuration: CONFIGURATION,
    ...over,
  };
}

/** As a reader of Kubernetes likes it. */
export function asYaml(object: unknown): string {
  return stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 });
}
