/**
 * What the rest of the product needs to know of a model, a GPU size and the fit of one on the other.
 */

/** Facts of one model, from the catalogue or from the Hugging Face hub. Small enough to travel through a workflow. */
export interface Model {
  /** Hugging Face id as published, e.g. `microsoft/Phi-3-mini-4k-instruct`. */
  readonly id: string;
  /** Last segment of the id, lower case: the served model name, e.g. `phi-3-mini-4k-instruct`. */
  readonly shortName: string;
  /** Commit of the hub repository, when the preset pins one. */
  readonly revision?: string;
  /** Image that carries the weights under /workspace/tfs/weights; then nothing is downloaded from the hub. */
  readonly image?: string;
  readonly architectures: readonly string[];
  /** Weight files of the repository, bytes. */
  readonly weightsBytes: number;
  /** Longest context, tokens. */
  readonly maxModelLen: number;
  /** Key-value cache of one token over all layers, bytes; how it splits over GPUs depends on `attention`. */
  readonly kvBytesPerToken: number;
  readonly attention: 'MHA' | 'GQA' | 'MQA' | 'MLA' | 'hybrid';
  readonly numHiddenLayers?: number;
  readonly numAttentionHeads?: number;
  readonly numKeyValueHeads?: number;
  /** Layers that look back only `window` tokens, where that is known; all others keep every token. */
  readonly sliding?: { readonly layers: number; readonly window: number };
  /** Space for the weights on a node, GiB. */
  readonly diskGiB: number;
  readonly quantization?: { readonly method: string; readonly bits?: number };
  /** vLLM flags that belong to the model (parsers, formats, dtype …): name without dashes → value; '' is a bare flag. */
  readonly vllmFlags: Readonly<Record<string, string>>;
  /** Environment that belongs to the model. */
  readonly env: Readonly<Record<string, string>>;
  /** Patience of the startup probe, seconds. */
  readonly startupSeconds: number;
  /** The hub asks for a token. */
  readonly gated: boolean;
  readonly supportsTuning: boolean;
}

/** The GPUs of one node, whatever tells it: a size of the data files, or the labels of an own node. */
export interface NodeGpus {
  /** GPUs of a node. */
  readonly count: number;
  /** Memory of one GPU, bytes. */
  readonly memoryBytes: number;
  /** As NVIDIA's labels and vLLM name it, e.g. `NVIDIA A10`. */
  readonly product?: string;
  /** Extended resource that pods ask for; `nvidia.com/gpu` unless MIG. */
  readonly resourceName: string;
  /** CUDA compute capability, e.g. 8.6; decides whether vLLM runs and whether it can use bfloat16. */
  readonly computeCapability?: number;
}

/** One GPU size of a cloud, from the data files. */
export interface GpuSize {
  readonly instanceType: string;
  readonly cloud: 'azure' | 'aws' | 'arc';
  readonly gpus: NodeGpus;
  /** Local NVMe disk for weights. */
  readonly nvme: boolean;
  readonly vcpus?: number;
  readonly memoryGiB?: number;
  /** The cloud no longer offers it: date (ISO) and what to take instead. */
  readonly retired?: { readonly since: string; readonly instead: readonly string[] };
}

/** How vLLM is spread over the machines. */
export interface Layout {
  readonly nodeCount: number;
  readonly gpusPerNode: number;
  readonly tensorParallel: number;
  readonly dataParallel: number;
  readonly pipelineParallel: number;
}

/** Whether, and how, a model fits nodes of one kind. `reason` says why not, or is empty. */
export type Fit =
  | {
      readonly fits: true;
      readonly layout: Layout;
      readonly maxModelLen: number;
      readonly gpuMemoryUtilization: number;
    }
  | { readonly fits: false; readonly reason: string; readonly code: UnfitCode };

/** Why a model doesn't fit, for programs; `reason` is for people. */
export type UnfitCode =
  /** The GPUs aren't NVIDIA's, or too old for vLLM. */
  | 'unsupported-gpu'
  /** The context asked for is longer than the model's. */
  | 'context-too-long'
  /** Not even overhead and context fit one GPU. */
  | 'gpu-too-small'
  /** A MIG slice has to hold the whole model. */
  | 'slice-too-small'
  /** More nodes are needed than there are. */
  | 'too-few-nodes'
  /** vLLM can't cut the model into that many pieces. */
  | 'indivisible';
