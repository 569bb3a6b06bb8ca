import { CauseError } from '../api/causes';
import { fit, type FitOptions } from './estimator';
import type { PlannedManifest } from './manifest';
import { findSize, gpuSizes, migProfile, retiredSizeMessage } from './sizes';
import { tuningFit, type TuningOptions } from './tuning-fit';
import type { GpuSize, Model, NodeGpus } from './types';

const GIB = 2 ** 30;

/** What would happen with one size. Numbers are null where the model doesn't fit. */
interface PlannedCandidate {
  readonly instanceType: string;
  readonly fits: boolean;
  readonly nodeCount: number | null;
  readonly gpusPerNode: number;
  readonly tensorParallel: number | null;
  readonly dataParallel: number | null;
  readonly pipelineParallel: number | null;
  readonly maxModelLen: number | null;
  /** Of a tuning only: memory that it needs of each GPU. */
  readonly neededGpuMemoryGiB?: number | null;
  /** Why not; for a size that fits, what else to know, or empty. */
  readonly reason: string;
}

export interface Plan {
  readonly model: {
    readonly id: string;
    readonly weightsBytes: number;
    readonly weightsGiB: number;
    readonly diskGiB: number;
    readonly kvBytesPerToken: number;
    readonly maxModelLen: number;
  };
  readonly candidates: readonly PlannedCandidate[];
}

/**
 * Says for each size whether and how the model fits: the sizes named, in their order; without any, all sizes, best first.
 *
 * @throws CauseError (InvalidInput) when a size is unknown.
 */
export function planOf(model: Model, manifest: PlannedManifest, sizes = manifest.instanceTypes): Plan {
  return {
    model: {
      id: model.id,
      weightsBytes: model.weightsBytes,
      weightsGiB: Math.round((model.weightsBytes / GIB) * 100) / 100,
      diskGiB: model.diskGiB,
      kvBytesPerToken: model.kvBytesPerToken,
      maxModelLen: model.maxModelLen,
    },
    candidates: candidates(model, manifest, sizes, judgeOf(model, manifest)),
  };
}

/** What becomes of the model on a node of such GPUs. */
type Judge = (instanceType: string, gpus: NodeGpus) => PlannedCandidate;

function judgeOf(model: Model, { config, tuning }: PlannedManifest): Judge {
  if (tuning !== undefined) return (instanceType, gpus) => tuningCandidate(model, instanceType, gpus, tuning);
  const options: FitOptions = {
    config: config.vllm,
    ...(config.maxModelLen === undefined ? {} : { contextTokens: config.maxModelLen }),
  };
  return (instanceType, gpus) => candidate(model, instanceType, gpus, options);
}

function candidates(
  model: Model,
  manifest: PlannedManifest,
  names: readonly string[],
  judge: Judge,
): readonly PlannedCandidate[] {
  if (manifest.partition?.mode === 'mig') {
    const profile = manifest.partition.profile ?? '';
    const slice = migProfile(profile);
    if (slice === undefined) throw invalid(`resource.partition.profile: "${profile}" is no MIG profile of NVIDIA`);
    return [judge(`mig-${profile}`, slice)];
  }
  if (names.length > 0) return named(names, judge);
  const parts = manifest.partition?.mode === 'accelerator' ? manifest.partition.count : undefined;
  return gpuSizes()
    .filter((size) => size.gpus.count >= (parts ?? 1))
    .map((size) => (parts === undefined ? size : { ...size, gpus: { ...size.gpus, count: parts } }))
    .map((size) => ({ size, plan: onSize(size, judge) }))
    .sort(byWorth)
    .map(({ plan }) => plan);
}

/** A size that nobody knows is ruled out, as the worker does it; only if no other is named is it bad input. */
function named(names: readonly string[], judge: Judge): readonly PlannedCandidate[] {
  if (names.every((name) => findSize(name) === undefined)) throw invalid(`resource.instanceType: ${unknown(names)}`);
  return names.map((name) => {
    const size = findSize(name);
    return size === undefined ? unfitting(name, 0, unknown([name])) : onSize(size, judge);
  });
}

function unknown(names: readonly string[]): string {
  return `Unsupported instance type ${names.join(', ')}; its GPUs aren't known`;
}

function onSize(size: GpuSize, judge: Judge): PlannedCandidate {
  const plan = judge(size.instanceType, size.gpus);
  const retired = retiredSizeMessage(size);
  return retired === undefined ? plan : { ...plan, reason: [plan.reason, retired].filter(Boolean).join('; ') };
}

function candidate(model: Model, instanceType: string, gpus: NodeGpus, options: FitOptions): PlannedCandidate {
  const result = fit(model, gpus, options);
  if (!result.fits) return unfitting(instanceType, gpus.count, result.reason);
  const { nodeCount, tensorParallel, dataParallel, pipelineParallel } = result.layout;
  return {
    instanceType,
    fits: true,
    nodeCount,
    gpusPerNode: gpus.count,
    tensorParallel,
    dataParallel,
    pipelineParallel,
    maxModelLen: result.maxModelLen,
    reason: '',
  };
}

/** One node, each of whose GPUs holds the model and trains on its part of the rows. */
function tuningCandidate(model: Model, instanceType: string, gpus: NodeGpus, options: TuningOptions): PlannedCandidate {
  const result = tuningFit(model, gpus, options);
  if (!result.fits) return { ...unfitting(instanceType, gpus.count, result.reason), neededGpuMemoryGiB: null };
  return {
    instanceType,
    fits: true,
    nodeCount: 1,
    gpusPerNode: gpus.count,
    tensorParallel: 1,
    dataParallel: gpus.count,
    pipelineParallel: 1,
    maxModelLen: null,
    neededGpuMemoryGiB: Math.round((result.perGpuBytes / GIB) * 10) / 10,
    reason: '',
  };
}

function unfitting(instanceType: string, gpusPerNode: number, reason: string): PlannedCandidate {
  return {
    instanceType,
    fits: false,
    nodeCount: null,
    gpusPerNode,
    tensorParallel: null,
    dataParallel: null,
    pipelineParallel: null,
    maxModelLen: null,
    reason,
  };
}

interface Sized {
  readonly size: GpuSize;
  readonly plan: PlannedCandidate;
}

/** What fits and can still be bought first; then the fewest nodes; then the least GPU memory, the nearest thing to a price. */
function byWorth(a: Sized, b: Sized): number {
  return (
    Number(b.plan.fits) - Number(a.plan.fits) ||
    Number(a.size.retired !== undefined) - Number(b.size.retired !== undefined) ||
    (a.plan.nodeCount ?? 0) - (b.plan.nodeCount ?? 0) ||
    a.size.gpus.count * a.size.gpus.memoryBytes - b.size.gpus.count * b.size.gpus.memoryBytes
  );
}

function invalid(message: string): CauseError {
  return new CauseError({ cause: 'InvalidInput', message });
}
