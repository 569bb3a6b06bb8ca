import { tunable } from './tunable';
import type { Model, NodeGpus, UnfitCode } from './types';

const GIB = 2 ** 30;

/** How much a training takes, beside its model: the figures come from `training_config.yaml`. */
export interface TuningOptions {
  readonly method: TuningMethod;
  /** `max_length`: tokens of a row; 1024 unless given. */
  readonly maxLength?: number;
  /** `per_device_train_batch_size`; 1 unless given. */
  readonly batchSize?: number;
  /** `r` of LoRA; 8 unless given. */
  readonly rank?: number;
  /** Type that weights are loaded as; bfloat16 unless given. */
  readonly torchDtype?: TuningDtype;
  /** Bits of a quantized weight with what belongs to it; of NF4 with double quantization unless given. For qlora only. */
  readonly quantizedBits?: number;
  /** `bf16` where it is set. Unless it is, the training program takes float16 on GPUs without bfloat16. */
  readonly bf16?: boolean;
  /** Activations are kept once a layer and computed anew; true unless given. */
  readonly gradientCheckpointing?: boolean;
}

export type TuningMethod = 'lora' | 'qlora';
export type TuningDtype = 'bfloat16' | 'float16' | 'float32';

/** Whether a model can be tuned on one node, each of whose GPUs holds the whole model. */
export type TuningFit =
  | {
      readonly fits: true;
      /** Needed of each GPU, bytes. */
      readonly perGpuBytes: number;
      readonly parts: TuningParts;
    }
  | { readonly fits: false; readonly code: TuningUnfitCode; readonly reason: string };

export type TuningUnfitCode = Extract<UnfitCode, 'unsupported-gpu' | 'gpu-too-small'> | 'not-tunable';

/** What the memory of each GPU is needed for, bytes. */
export interface TuningParts {
  readonly weights: number;
  /** Adapter, its gradients and the optimizer's state. */
  readonly adapter: number;
  readonly activations: number;
  /** CUDA context, libraries, buffers of the GPUs' exchange. */
  readonly overhead: number;
}

/** Defaults of TRL 1.16 (`SFTConfig`) and of KAITO's templates. */
const DEFAULTS = { maxLength: 1024, batchSize: 1, rank: 8 } as const;

/**
 * NF4 with its scales: one per 64 weights; with double quantization these are 8-bit, with a 32-bit scale per 256 of them (QLoRA,
 * arXiv 2305.14314, section 3: 0.5 and 0.127 bits a weight).
 */
export const QUANTIZED_BITS = { nf4: 4.5, nf4Double: 4.127, int8: 8 } as const;

const MEMORY = {
  /** Share of a GPU's memory that training may use: data sheets tell a few percent more than CUDA has, and the allocator leaves gaps. */
  usable: 0.9,
  /** CUDA context and cuBLAS about 1 GiB, NCCL's buffers for several GPUs. */
  overheadBytes: 1.5 * GIB,
  /** Of an adapter's parameter: itself, gradient, two moments of AdamW, the gradient's copy in DDP's bucket; 32 bits each (PEFT keeps adapters so). */
  adapterBytes: 5 * 4,
  /**
   * Inputs and outputs of a layer's seven linear maps, in hidden sizes, when all are adapted. Measured with PEFT 0.21: 20 for Llama-3.1's
   * shape, 25.2 for Qwen2.5-7B's, which has the widest MLP.
   */
  adaptedWidth: 26,
  /**
   * What one layer keeps for its backward pass for each token and hidden unit, and its gradients. Saved tensors of one layer under PEFT 0.21 with
   * bfloat16 autocast, measured: 48 (Phi-3), 54 (Llama-3.1), 68 (Qwen2.5-7B); half as much again for gradients.
   */
  layerBytes: 100,
  /**
   * The loss is computed in tiles of so many tokens and entries of the vocabulary (`TOKEN_CHUNK_SIZE` and `_CHUNKED_LOGPROB_CHUNK_SIZE` of TRL
   * 1.16), each pass with a buffer of its own, at most 32 bits wide; the gradient of the last layer's output is 32 bits wide, too.
   */
  tileTokens: 4096,
  tileWidth: 32_768,
  tileBytes: 2 * 4,
  outputGradientBytes: 4,
} as const;

/**
 * Largest `vocab_size` of an architecture's published models (Phi-4-mini, Llama-3, Mistral-Nemo, Qwen2.5, Qwen3), as model facts don't have
 * it. Others are taken to have Gemma's, the largest that is common.
 */
const VOCABULARIES: Readonly<Record<string, number>> = {
  Phi3ForCausalLM: 200_064,
  LlamaForCausalLM: 128_256,
  MistralForCausalLM: 131_072,
  Qwen2ForCausalLM: 152_064,
  Qwen3ForCausalLM: 151_936,
};
const LARGEST_VOCABULARY = 262_144;

/** Experts are one tensor for all of them in transformers 5, not linear layers: bitsandbytes leaves them as they are. */
const MIXTURE_OF_EXPERTS = /Moe|MoE|Mixtral|Deepseek|GptOss|Dbrx|MiniMax|NemotronH|Jamba|Llama4/;

/** First NVIDIA generation with bfloat16 (Ampere). */
const BFLOAT16_CAPABILITY = 8.0;
/** The least that the image's libraries run on, as for serving (Volta). */
const MIN_CAPABILITY = 7.0;
/** bitsandbytes 0.50: LLM.int8 needs Turing; NF4 runs on all that the image runs on. */
const INT8_CAPABILITY = 7.5;

/** Whether a model can be tuned on one node of such GPUs, one process on each. Pure; an estimate that rather counts too much. */
export function tuningFit(model: Model, gpus: NodeGpus, options: TuningOptions): TuningFit {
  const untunable = tunable(model);
  if (untunable !== undefined) return { fits: false, code: 'not-tunable', reason: untunable };
  const unsupported = unsupportedGpu(gpus, options);
  if (unsupported !== undefined) return { fits: false, code: 'unsupported-gpu', reason: unsupported };

  const parts = partsOf(model, options);
  const perGpuBytes = sumOf(parts);
  if (perGpuBytes <= usable(gpus)) return { fits: true, perGpuBytes, parts };
  return { fits: false, code: 'gpu-too-small', reason: tooSmall(model, gpus, options, parts) };
}

/** Estimated memory of each GPU. */
function partsOf(model: Model, options: TuningOptions): TuningParts {
  const { maxLength, batchSize, rank } = { ...DEFAULTS, ...options };
  const tokens = maxLength * batchSize;
  const layers = model.numHiddenLayers ?? 1;
  const hidden = hiddenSize(model);
  const perToken = tokens * hidden;
  const whileOneLayerIsComputed = perToken * MEMORY.layerBytes + unpackedLayerBytes(model, options);
  const whileLossIsComputed =
    Math.min(tokens, MEMORY.tileTokens) * MEMORY.tileWidth * MEMORY.tileBytes + perToken * MEMORY.outputGradientBytes;
  // With checkpointing, of each layer only its input.
  const keptBytes = options.gradientCheckpointing === false ? MEMORY.layerBytes : dtypeBits(options) / 8;
  return {
    weights: weightsOf(model, options),
    adapter: layers * hidden * MEMORY.adaptedWidth * rank * MEMORY.adapterBytes,
    activations: layers * perToken * keptBytes + Math.max(whileOneLayerIsComputed, whileLossIsComputed),
    overhead: MEMORY.overheadBytes,
  };
}

function weightsOf(model: Model, options: TuningOptions): number {
  const parameters = parametersOf(model);
  const plain = (parameters * dtypeBits(options)) / 8;
  if (options.method === 'lora' || isMixtureOfExperts(model)) return plain;
  const embeddings = embeddingParameters(model);
  const bits = options.quantizedBits ?? QUANTIZED_BITS.nf4Double;
  return ((parameters - embeddings) * bits + embeddings * dtypeBits(options)) / 8;
}

/** While a quantized layer is computed, its weights are unpacked one by one; bounded by all of the layer. */
function unpackedLayerBytes(model: Model, options: TuningOptions): number {
  if (options.method === 'lora' || isMixtureOfExperts(model)) return 0;
  return ((parametersOf(model) / (model.numHiddenLayers ?? 1)) * dtypeBits(options)) / 8;
}

/** What can be tuned is published with 16 bits a weight; files of 32 bits are counted double. */
function parametersOf(model: Model): number {
  return model.weightsBytes / 2;
}

/** Heads times their size; where these aren't known, at most √(parameters / (12 × layers)), as no layer is smaller than 12 squares. */
function hiddenSize(model: Model): number {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, numHiddenLayers: layers = 1, attention } = model;
  const bound = Math.sqrt(parametersOf(model) / (12 * layers));
  if (attention === 'MLA' || heads === undefined || kvHeads === undefined || model.kvBytesPerToken === 0) return bound;
  // Keys and values, two bytes each.
  return (heads * model.kvBytesPerToken) / (4 * kvHeads * layers);
}

/**
 * Input and output embeddings, which stay as they are. No more than the vocabulary's bound, and no more than the layers leave: attention of
 * 2 + 2 × key-value heads / heads squares of the hidden size, and a gated MLP of at least 8 (Phi-3's; no common model has a narrower one).
 */
function embeddingParameters(model: Model): number {
  const hidden = hiddenSize(model);
  const known = model.architectures.map((name) => VOCABULARIES[name]).find((size) => size !== undefined);
  const share = (model.numKeyValueHeads ?? 0) / (model.numAttentionHeads ?? 1);
  const layers = (model.numHiddenLayers ?? 1) * hidden ** 2 * (2 + 2 * share + 8);
  const rest = Math.max(parametersOf(model) - layers, 0);
  return Math.min(2 * (known ?? LARGEST_VOCABULARY) * hidden, rest);
}

function dtypeBits({ torchDtype }: TuningOptions): number {
  return torchDtype === 'float32' ? 32 : 16;
}

function isMixtureOfExperts(model: Model): boolean {
  return model.architectures.some((name) => MIXTURE_OF_EXPERTS.test(name));
}

function unsupportedGpu(gpus: NodeGpus, options: TuningOptions): string | undefined {
  const product = gpus.product ?? 'the GPU';
  if (!gpus.resourceName.startsWith('nvidia.com/')) {
    return `${product} offers ${gpus.resourceName}; models are tuned on NVIDIA GPUs only`;
  }
  // Own nodes may not tell it; then the libraries do.
  const capability = gpus.computeCapability;
  if (capability === undefined) return undefined;
  const has = `${product} has CUDA compute capability ${capability.toFixed(1)}`;
  if (capability < MIN_CAPABILITY) return `${has}, tuning needs ${MIN_CAPABILITY.toFixed(1)}`;
  if (options.bf16 === true && capability < BFLOAT16_CAPABILITY) {
    return `${has}, TrainingArguments.bf16 needs ${BFLOAT16_CAPABILITY.toFixed(1)}: choose a newer GPU, or leave bf16 out to train in float16`;
  }
  if (options.method === 'qlora' && options.quantizedBits === QUANTIZED_BITS.int8 && capability < INT8_CAPABILITY) {
    return `${has}, load_in_8bit needs ${INT8_CAPABILITY.toFixed(1)}: choose a newer GPU or load_in_4bit`;
  }
  return undefined;
}

function tooSmall(model: Model, gpus: NodeGpus, options: TuningOptions, parts: TuningParts): string {
  const { weights, adapter, activations, overhead } = parts;
  return (
    `${model.shortName} by ${options.method} needs about ${gib(sumOf(parts))} on each GPU (weights ${gib(weights)}, adapter ${gib(adapter)}, ` +
    `activations ${gib(activations)}, overhead ${gib(overhead)}), ${gpus.product ?? 'the GPU'} has ${gib(gpus.memoryBytes)}, ` +
    `${gib(usable(gpus))} of it usable: choose a size with larger GPUs${alternatives(model, gpus, options)}`
  );
}

/** What else would fit these GPUs: quantized weights, or the rows of the defaults. */
function alternatives(model: Model, gpus: NodeGpus, options: TuningOptions): string {
  const { maxLength: _maxLength, batchSize: _batchSize, ...atDefaults } = options;
  const ways = [
    { way: 'method qlora', changed: { ...options, method: 'qlora' as const }, applies: options.method === 'lora' },
    {
      way: `max_length ${DEFAULTS.maxLength} with per_device_train_batch_size ${DEFAULTS.batchSize}`,
      changed: atDefaults,
      applies: true,
    },
  ];
  return ways
    .filter(({ applies }) => applies)
    .map(({ way, changed }) => ({ way, bytes: sumOf(partsOf(model, changed)) }))
    .filter(({ bytes }) => bytes <= usable(gpus))
    .map(({ way, bytes }) => `, or ${way} (about ${gib(bytes)})`)
    .join('');
}

function usable(gpus: NodeGpus): number {
  return gpus.memoryBytes * MEMORY.usable;
}

function sumOf({ weights, adapter, activations, overhead }: TuningParts): number {
  return Math.ceil(weights + adapter + activations + overhead);
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
