import { cacheBytes, tokensIn, withCacheOptions } from './kv-cache';
import { splitOver, type Split } from './layout';
import type { Fit, Layout, Model, NodeGpus, UnfitCode } from './types';

const GIB = 2 ** 30;

/** KAITO's figures; docs/presets.md says where each comes from and what is known to be rough. */
const ESTIMATE = {
  /** Share of a GPU's memory that the estimate may use. */
  utilization: 0.84,
  /** Weights in memory, relative to the files. */
  weightExpansion: 1.02,
  /** Each GPU: CUDA context, activations, CUDA graphs. */
  overheadBytes: 2.3 * GIB,
  /** Further overhead, relative to the weights on the GPU. */
  weightOverhead: 0.05,
  /** Context that has to fit when the user names none. */
  contextTokens: 2048,
  /** A predicted context is a multiple of this. */
  contextStep: 256,
} as const;

/** As the data files and as NVIDIA's node labels write it; not the A100, not the A10G. */
const A10 = /^NVIDIA[ -]A10$/;
/** The least that vLLM's kernels run on (NVIDIA Volta). */
const MIN_COMPUTE_CAPABILITY = 7.0;

export interface FitOptions {
  /** Context that has to fit, tokens: the user's `max-model-len`. Without it, the longest that fits is predicted. */
  readonly contextTokens?: number;
  /** The most nodes there can be: own nodes, or a fixed count. */
  readonly nodeCount?: number;
  /** The user's vLLM options; some change how much cache a token takes. */
  readonly config?: Readonly<Record<string, string>>;
}

/** Whether, and how, a model fits nodes of one kind. Pure; the same in admission, plan and tests. */
export function fit(described: Model, node: NodeGpus, options: FitOptions = {}): Fit {
  const model = withCacheOptions(described, options.config ?? {});
  const gpuProblem = unsupportedGpu(node);
  if (gpuProblem !== undefined) return unfit('unsupported-gpu', gpuProblem);

  const asked = options.contextTokens;
  if (asked !== undefined && asked > model.maxModelLen) {
    return unfit(
      'context-too-long',
      `max-model-len ${asked} exceeds model's maximum supported context window ${model.maxModelLen} (ModelTokenLimit)`,
    );
  }

  const contextTokens = Math.min(asked ?? ESTIMATE.contextTokens, model.maxModelLen);
  const need = estimateNodes(model, node, contextTokens);
  if ('reason' in need) return need;

  if (isSlice(node) && need.nodes > 1) return unfit('slice-too-small', sliceTooSmall(model, node, contextTokens));
  if (options.nodeCount !== undefined && need.nodes > options.nodeCount) {
    return unfit('too-few-nodes', `needs ${need.nodes} nodes of ${gpusText(node)}, there are ${options.nodeCount}`);
  }

  const layout = layoutOf(model, node, need.nodes, contextTokens);
  return {
    fits: true,
    layout,
    maxModelLen: asked ?? longestContext(model, node, layout),
    gpuMemoryUtilization: gpuMemoryUtilization(node),
  };
}

/** What vLLM is told to use of a GPU; an A10 of a virtual machine has less to give than it says. */
export function gpuMemoryUtilization(node: NodeGpus): number {
  return A10.test(node.product ?? '') ? 0.82 : ESTIMATE.utilization;
}

export interface NodeNeed {
  readonly nodes: number;
  readonly gpus: number;
  /** Room for weights on each GPU, bytes. */
  readonly roomBytes: number;
}

/** How many nodes hold weights and `contextTokens` of key-value cache. */
export function estimateNodes(model: Model, node: NodeGpus, contextTokens: number): NodeNeed | (Fit & { fits: false }) {
  const oneNode = splitOver(model, node.count, 1);
  const available = node.memoryBytes * ESTIMATE.utilization;
  // Spread over one node's GPUs only, however many nodes there are: the first and last stage also hold the embeddings.
  const kv = cacheBytes(model, node, oneNode, contextTokens);
  const fixed = ESTIMATE.overheadBytes + kv;
  if (available <= fixed) {
    return unfit(
      'gpu-too-small',
      `GPU memory ${gib(node.memoryBytes)} is too small, needs at least ${gib(fixed / ESTIMATE.utilization)} a GPU ` +
        `(overhead ${gib(ESTIMATE.overheadBytes)}, KV cache of ${contextTokens} tokens ${gib(kv)}); ` +
        'take a size with more GPU memory or a shorter max-model-len',
    );
  }
  const roomBytes = (available - fixed) / (1 + ESTIMATE.weightOverhead);
  const gpus = Math.trunc((model.weightsBytes * ESTIMATE.weightExpansion) / roomBytes) + 1;
  return { nodes: Math.ceil(gpus / node.count), gpus, roomBytes };
}

/** One replica on each GPU when a single GPU is more than enough; else the model is split over all of them. */
function layoutOf(model: Model, node: NodeGpus, nodeCount: number, contextTokens: number): Layout {
  const replicas =
    nodeCount === 1 &&
    node.count > 1 &&
    model.weightsBytes * 2 < node.memoryBytes &&
    contextRoom(model, node, WHOLE) >= cacheBytes(model, node, WHOLE, contextTokens);
  return replicas
    ? { nodeCount, gpusPerNode: node.count, dataParallel: node.count, ...WHOLE }
    : { nodeCount, gpusPerNode: node.count, dataParallel: 1, ...splitOver(model, node.count, nodeCount) };
}

const WHOLE: Split = { tensorParallel: 1, pipelineParallel: 1 };

/** The longest context that the layout has room for, up to the model's own limit; vLLM measures the real one when it starts. */
export function longestContext(model: Model, node: NodeGpus, split: Split): number {
  const tokens = tokensIn(model, node, split, contextRoom(model, node, split));
  if (tokens >= model.maxModelLen) return model.maxModelLen;
  return Math.max(0, Math.floor(tokens / ESTIMATE.contextStep) * ESTIMATE.contextStep);
}

/** Bytes of a GPU that are left for key-value cache. */
function contextRoom(model: Model, node: NodeGpus, split: Split): number {
  const weights = (model.weightsBytes * ESTIMATE.weightExpansion) / (split.tensorParallel * split.pipelineParallel);
  return node.memoryBytes * ESTIMATE.utilization - weights * (1 + ESTIMATE.weightOverhead) - ESTIMATE.overheadBytes;
}

function unsupportedGpu(node: NodeGpus): string | undefined {
  const product = node.product ?? 'the GPU';
  if (!node.resourceName.startsWith('nvidia.com/')) {
    return `${product} offers ${node.resourceName}; models are served on NVIDIA GPUs only`;
  }
  if (node.computeCapability !== undefined && node.computeCapability < MIN_COMPUTE_CAPABILITY) {
    return `${product} has CUDA compute capability ${node.computeCapability.toFixed(1)}, vLLM needs ${MIN_COMPUTE_CAPABILITY.toFixed(1)}`;
  }
  return undefined;
}

function isSlice(node: NodeGpus): boolean {
  return node.resourceName.startsWith('nvidia.com/mig-');
}

function sliceTooSmall(model: Model, node: NodeGpus, contextTokens: number): string {
  const weights = model.weightsBytes * ESTIMATE.weightExpansion;
  const overhead =
    ESTIMATE.overheadBytes + weights * ESTIMATE.weightOverhead + cacheBytes(model, node, WHOLE, contextTokens);
  return (
    `model needs ${gib(weights + overhead)} (weights ${gib(weights)}, overhead ${gib(overhead)}) but MIG profile ` +
    `${node.resourceName.replace('nvidia.com/mig-', '')} provides ${gib(node.memoryBytes)}, ` +
    `${gib(node.memoryBytes * ESTIMATE.utilization)} of it usable; a model has to fit one slice`
  );
}

function gpusText(node: NodeGpus): string {
  return `${node.count} × ${node.product ?? 'GPU'} ${gib(node.memoryBytes)}`;
}

function gib(bytes: number): string {
  return `${Number((bytes / GIB).toFixed(2))} GiB`;
}

function unfit(code: UnfitCode, reason: string): Fit & { fits: false } {
  return { fits: false, code, reason };
}
