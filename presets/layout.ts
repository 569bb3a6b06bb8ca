import type { Model } from './types';

/** How many GPUs share a layer, and how many stages follow each other. */
export interface Split {
  readonly tensorParallel: number;
  readonly pipelineParallel: number;
}

/**
 * Whether vLLM cuts this model's layers over `tensorParallel` GPUs. It wants the attention heads to divide evenly, and the key-value heads
 * either to divide evenly or to be repeated a whole number of times; MLA has one latent for all heads, which every GPU keeps whole.
 */
export function dividesOver(model: Model, tensorParallel: number): boolean {
  const heads = model.numAttentionHeads;
  if (heads !== undefined && heads % tensorParallel !== 0) return false;
  const kvHeads = model.attention === 'MLA' ? undefined : model.numKeyValueHeads;
  return kvHeads === undefined || kvHeads % tensorParallel === 0 || tensorParallel % kvHeads === 0;
}

/**
 * Tensor parallel inside a node, as wide as vLLM accepts; what is left of a node's GPUs, and all nodes, become pipeline stages.
 * `tensorParallel × pipelineParallel` is always `gpusPerNode × nodeCount`.
 */
export function splitOver(model: Model, gpusPerNode: number, nodeCount: number): Split {
  let tensorParallel = gpusPerNode;
  while (gpusPerNode % tensorParallel !== 0 || !dividesOver(model, tensorParallel)) tensorParallel -= 1;
  return { tensorParallel, pipelineParallel: (gpusPerNode / tensorParallel) * nodeCount };
}
