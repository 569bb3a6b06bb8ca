import { negated } from './inference-config';
import type { Layout, Model, NodeGpus } from './types';

/** Where weights are downloaded to: the mount of the weights volume. */
export const WEIGHTS_DIRECTORY = '/workspace/weights';
/** Where nodes with weights baked in keep them. */
const LOCAL_WEIGHTS_DIRECTORY = '/opt/kaito/models';
/** bfloat16 needs NVIDIA Ampere or newer. */
const BFLOAT16_CAPABILITY = 8.0;

export interface VllmOptions {
  readonly model: Model;
  readonly layout: Layout;
  /** From the fit: share of the GPU's memory. */
  readonly gpuMemoryUtilization: number;
  /** Name in the API's requests and answers. */
  readonly servedModelName: string;
  /** Adapters are served beside the model. */
  readonly adapters: boolean;
  /** The user's options (inference_config.yaml); they win. */
  readonly config: Readonly<Record<string, string>>;
  /** Annotation `kaito.sh/performance-mode`. */
  readonly performanceMode?: 'balanced' | 'interactivity' | 'throughput';
  /** Annotation `kaito.sh/use-local-weights`: the node's image holds the weights. */
  readonly localWeights?: boolean;
  /** The GPUs, where known: old ones have no bfloat16. */
  readonly gpus?: NodeGpus;
}

/**
 * Flags of `vllm serve`: name without dashes → value; '' is a bare flag. The model itself is the flag `model`. Sorted by name, so that the
 * same input always gives the same command line. The user's options replace ours, whichever way round a flag is spelt (`x`, `no-x`).
 */
export function vllmFlags(options: VllmOptions): Readonly<Record<string, string>> {
  const { model, layout, config } = options;
  const flags: Record<string, string> = {
    ...model.vllmFlags,
    ...sourceFlags(options),
    ...layoutFlags(layout),
    dtype: dtypeOn(options.gpus, model.vllmFlags['dtype'] ?? 'auto'),
    'gpu-memory-utilization': String(options.gpuMemoryUtilization),
    'max-model-len': 'auto',
    'served-model-name': options.servedModelName,
    ...(options.adapters ? { 'enable-lora': '' } : {}),
    ...(options.performanceMode === undefined || options.performanceMode === 'balanced'
      ? {}
      : { 'performance-mode': options.performanceMode }),
  };
  for (const [name, value] of Object.entries(config)) {
    delete flags[negated(name)];
    flags[name] = value;
  }
  return Object.fromEntries(Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sourceFlags({ model, localWeights }: VllmOptions): Record<string, string> {
  if (localWeights) {
    return {
      model: `${LOCAL_WEIGHTS_DIRECTORY}/${model.id.toLowerCase().replaceAll('/', '-')}`,
      'load-format': 'runai_streamer',
    };
  }
  return {
    model: model.id,
    'download-dir': WEIGHTS_DIRECTORY,
    // The tokenizer follows `revision` by itself; remote code doesn't.
    ...(model.revision === undefined ? {} : { revision: model.revision, 'code-revision': model.revision }),
  };
}

function layoutFlags(layout: Layout): Record<string, string> {
  return {
    'tensor-parallel-size': String(layout.tensorParallel),
    ...(layout.dataParallel > 1 ? { 'data-parallel-size': String(layout.dataParallel) } : {}),
    ...(layout.pipelineParallel > 1 ? { 'pipeline-parallel-size': String(layout.pipelineParallel) } : {}),
    // KAITO switches this fusion off everywhere; it exists only between GPUs that share a layer.
    ...(layout.tensorParallel > 1 ? { 'compilation-config.pass_config.fuse_allreduce_rms': 'False' } : {}),
  };
}

/** vLLM refuses an explicit bfloat16 on GPUs without it and names float16 as the way out. */
function dtypeOn(gpus: NodeGpus | undefined, dtype: string): string {
  const capability = gpus?.computeCapability;
  return dtype === 'bfloat16' && capability !== undefined && capability < BFLOAT16_CAPABILITY ? 'float16' : dtype;
}
