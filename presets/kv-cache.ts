import type { Split } from './layout';
import type { Model, NodeGpus } from './types';

const GIB = 2 ** 30;

/** The user's vLLM options that leave sliding windows without effect on the cache: every layer then keeps every token. */
const KEEP_ALL_TOKENS = ['disable-hybrid-kv-cache-manager', 'kv-transfer-config'];

/** The model as the user's vLLM options make it cache. */
export function withCacheOptions(model: Model, config: Readonly<Record<string, string>>): Model {
  const { sliding, ...rest } = model;
  const keepsAll = KEEP_ALL_TOKENS.some((option) => option in config);
  return {
    ...rest,
    ...(sliding === undefined || keepsAll ? {} : { sliding }),
    kvBytesPerToken: isHalved(model, config['kv-cache-dtype']) ? model.kvBytesPerToken / 2 : model.kvBytesPerToken,
  };
}

/**
 * fp8 takes one byte per element instead of two. Models whose own flags ask for fp8 have a layout of their own for it, and stay at KAITO's
 * figure, which is too high.
 */
function isHalved(model: Model, dtype: string | undefined): boolean {
  return (dtype?.startsWith('fp8') ?? false) && model.vllmFlags['kv-cache-dtype'] === undefined;
}

/** Bytes on each GPU that a context of `tokens` takes. */
export function cacheBytes(model: Model, node: NodeGpus, split: Split, tokens: number): number {
  const { growing, bounded, bound } = cacheOf(model, node, split);
  return growing * tokens + bounded * Math.min(tokens, bound);
}

/** The longest context whose cache takes no more than `bytes` on each GPU; Infinity for a model without a cache. */
export function tokensIn(model: Model, node: NodeGpus, split: Split, bytes: number): number {
  const { growing, bounded, bound } = cacheOf(model, node, split);
  const whileAllGrow = bytes / (growing + bounded);
  return Math.trunc(whileAllGrow <= bound ? whileAllGrow : (bytes - bounded * bound) / growing);
}

interface Cache {
  /** Bytes per token of the layers that keep every token. */
  readonly growing: number;
  /** Bytes per token of the layers with a sliding window, which keep at most `bound` tokens. */
  readonly bounded: number;
  readonly bound: number;
}

function cacheOf(model: Model, node: NodeGpus, split: Split): Cache {
  const perToken = model.kvBytesPerToken / sharers(model, split.tensorParallel) / split.pipelineParallel;
  const { sliding, numHiddenLayers: layers } = model;
  if (sliding === undefined || layers === undefined) return { growing: perToken, bounded: 0, bound: 0 };
  const full = layers - sliding.layers;
  const group = groupSize(full, sliding.layers);
  const perLayer = perToken / layers;
  return {
    growing: perLayer * Math.ceil(full / group) * group,
    bounded: perLayer * Math.ceil(sliding.layers / group) * group,
    // The last window of what is computed, and the chunk being computed.
    bound: sliding.window - 1 + batchedTokens(node),
  };
}

/** Over how many GPUs the cache of one layer is spread: not at all for MLA, and no further than there are key-value heads. */
function sharers(model: Model, tensorParallel: number): number {
  if (model.attention === 'MLA') return 1;
  return Math.min(tensorParallel, model.numKeyValueHeads ?? tensorParallel);
}

/** vLLM allocates layers of a kind in groups of one size and pads the last group; so does the estimate. */
function groupSize(full: number, sliding: number): number {
  const [fewer, more] = [Math.min(full, sliding), Math.max(full, sliding)];
  return fewer === 0 || more < fewer * 1.5 ? more : fewer;
}

/** Default of vLLM's server for `max-num-batched-tokens`. */
function batchedTokens(node: NodeGpus): number {
  const isLarge = node.memoryBytes >= 70 * GIB && !node.product?.includes('A100');
  return isLarge ? 8192 : 2048;
}
