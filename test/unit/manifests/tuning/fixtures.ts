import type { TuningPlan } from '../../../../api/workflow';
import type { Workspace } from '../../../../api/workspace';
import type { TrainingInput } from '../../../../manifests/tuning/training-job';
import { CONFIGURATION, ONE_V100, PHI_3, workspace } from '../fixtures';

/** shared by most tests: a dataset from an address, the adapter to an image. */
export const TUNING = {
  resource: { instanceType: 'Standard_NC6s_v3', labelSelector: { matchLabels: { apps: 'tuning' } } },
  tuning: {
    preset: { name: 'phi-3-mini-4k-instruct' },
    method: 'QLoRA',
    input: { urls: ['https://data.example/train.parquet?download=true'] },
    output: { image: 'registry.example/adapters/phi-3:1', imagePushSecret: 'push' },
  },
};

export const TUNING_PLAN: TuningPlan = {
  method: 'qlora',
  hash: 'a1'.repeat(32),
  claim: { name: 'tune-phi-3-results', storageClassName: 'standard', sizeGiB: 20 },
  outputDirectory: '/mnt/results',
  isTrained: false,
  push: { image: 'registry.example/adapters/phi-3:1', secretName: 'push', patienceMs: 300_000 },
};

/** A Workspace that tunes; `over` replaces fields of `tuning`. */
export function tuningWorkspace(over: object = {}, metadata: Partial<Workspace['metadata']> = {}): Workspace {
  return workspace({ ...TUNING, tuning: { ...TUNING.tuning, ...over } }, { name: 'tune-phi-3', ...metadata });
}

/** Input of a Job that trains the Workspace above, unless told otherwise. */
export function trainingInput(over: Partial<TrainingInput> = {}): TrainingInput {
  return {
    workspace: tuningWorkspace(),
    model: PHI_3,
    candidate: ONE_V100,
    plan: { diskGiB: 87, tuning: TUNING_PLAN },
    revision: 1,
    configuration: CONFIGURATION,
    ...over,
  };
}
