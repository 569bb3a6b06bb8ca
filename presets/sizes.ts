import { z } from 'zod';
import { DataFileError, readDataFile, shippedDataFile } from './data-file';
import type { GpuSize, NodeGpus } from './types';

const GIB = 2 ** 30;
const NVIDIA_GPU = 'nvidia.com/gpu';

const sizeSchema = z.strictObject({
  instanceType: z.string().min(1),
  gpus: z.int().positive(),
  product: z.string().min(1),
  gpuMemoryGiB: z.number().positive(),
  computeCapability: z.number().positive().optional(),
  /** Extended resource of GPUs that aren't NVIDIA's. */
  resourceName: z.string().min(1).optional(),
  nvme: z.boolean().optional(),
  vcpus: z.int().positive().optional(),
  memoryGiB: z.number().positive().optional(),
  retired: z.strictObject({ since: z.iso.date(), instead: z.array(z.string()).min(1) }).optional(),
});

const CLOUDS = ['azure', 'aws', 'arc'] as const;

let sizes: ReadonlyMap<string, GpuSize> | undefined;

function table(): ReadonlyMap<string, GpuSize> {
  return (sizes ??= loadSizes());
}

function loadSizes(): ReadonlyMap<string, GpuSize> {
  const all = new Map<string, GpuSize>();
  for (const cloud of CLOUDS) {
    const file = shippedDataFile(`gpu-sizes-${cloud}.json`);
    for (const entry of readDataFile(file, z.array(sizeSchema))) {
      const key = entry.instanceType.toLowerCase();
      if (all.has(key)) throw new DataFileError(`${file}: ${entry.instanceType} is listed twice`);
      all.set(key, sizeOf(cloud, entry));
    }
  }
  return all;
}

function sizeOf(cloud: GpuSize['cloud'], entry: z.output<typeof sizeSchema>): GpuSize {
  return {
    instanceType: entry.instanceType,
    cloud,
    gpus: {
      count: entry.gpus,
      memoryBytes: Math.floor(entry.gpuMemoryGiB * GIB),
      product: entry.product,
      resourceName: entry.resourceName ?? NVIDIA_GPU,
      ...(entry.computeCapability === undefined ? {} : { computeCapability: entry.computeCapability }),
    },
    nvme: entry.nvme ?? false,
    ...(entry.vcpus === undefined ? {} : { vcpus: entry.vcpus }),
    ...(entry.memoryGiB === undefined ? {} : { memoryGiB: entry.memoryGiB }),
    ...(entry.retired === undefined ? {} : { retired: entry.retired }),
  };
}

/** Every size of the data files, as ordered there: azure, aws, arc. */
export function gpuSizes(): readonly GpuSize[] {
  return [...table().values()];
}

/** The size of that name, in any case. */
export function findSize(instanceType: string): GpuSize | undefined {
  return table().get(instanceType.toLowerCase());
}

/** `Azure retired … on …; use … instead`, when the size is retired. */
export function retiredSizeMessage(size: GpuSize): string | undefined {
  if (size.retired === undefined) return undefined;
  const cloud = { azure: 'Azure', aws: 'AWS', arc: 'Azure Arc' }[size.cloud];
  return `${cloud} retired ${size.instanceType} on ${size.retired.since}; use ${size.retired.instead.join(' or ')} instead`;
}

const migSchema = z.array(z.strictObject({ profile: z.string().regex(/^\d+g\.[\d.]+gb$/), memoryGiB: z.number() }));
let slices: ReadonlyMap<string, NodeGpus> | undefined;

/** One MIG slice as a node's only GPU; `undefined` for a profile that NVIDIA doesn't have. */
export function migProfile(name: string): NodeGpus | undefined {
  slices ??= new Map(
    readDataFile(shippedDataFile('mig-profiles.json'), migSchema).map(({ profile, memoryGiB }) => [
      profile,
      { count: 1, memoryBytes: Math.floor(memoryGiB * GIB), resourceName: `nvidia.com/mig-${profile}` },
    ]),
  );
  return slices.get(name.toLowerCase());
}
