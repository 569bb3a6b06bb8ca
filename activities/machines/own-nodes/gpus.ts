import { CauseError } from '../../../api/causes';
import type { NodeGpus } from '../../../api/model';
import type { Workspace } from '../../../api/workspace';
import type { Node } from '../../../kubernetes/objects';
import { migProfile } from '../../../presets/sizes';
import { GPU_LABELS } from './observe';

const MIB = 2 ** 20;

/**
 * The GPUs of the matching nodes, by NVIDIA's labels; they must be alike, as one layout serves all. Throws a CauseError that names the node and
 * the label that is missing or differs.
 */
export function ownGpus(workspace: Workspace, nodes: readonly Node[]): NodeGpus {
  const [first, ...others] = nodes;
  if (first === undefined) throw new RangeError('ownGpus needs a node');
  const gpus = gpusOf(first);
  for (const node of others) {
    const other = gpusOf(node);
    for (const fact of ['product', 'count', 'memoryBytes'] as const) {
      if (other[fact] === gpus[fact]) continue;
      throw new CauseError({
        cause: 'InvalidInput',
        message: `resource.labelSelector: nodes '${first.metadata.name}' and '${node.metadata.name}' differ in GPU ${fact}: ${gpus[fact]} and ${other[fact]}`,
        remedy: 'Narrow the selector to nodes with the same GPUs.',
      });
    }
  }
  return partitioned(workspace, gpus);
}

function gpusOf({ metadata: { name, labels = {} } }: Node): Required<NodeGpus> {
  const missing = Object.values(GPU_LABELS).filter((label) => labels[label] === undefined);
  if (missing.length > 0) {
    throw new CauseError({
      cause: 'NoMatchingNodes',
      message: `failed to get GPU facts of node '${name}': labels ${missing.join(', ')} are missing`,
      remedy: 'Install NVIDIA’s GPU feature discovery, which sets these labels, or set them by hand.',
    });
  }
  const count = numberOf(name, GPU_LABELS.count, labels);
  const memoryBytes = numberOf(name, GPU_LABELS.memory, labels) * MIB;
  return {
    count,
    memoryBytes,
    product: (labels[GPU_LABELS.product] ?? '').replaceAll('-', ' '),
    resourceName: 'nvidia.com/gpu',
  } as Required<NodeGpus>;
}

function numberOf(node: string, label: string, labels: Readonly<Record<string, string>>): number {
  const value = Number(labels[label]);
  if (Number.isInteger(value) && value > 0) return value;
  throw new CauseError({
    cause: 'InvalidInput',
    message: `node '${node}': label ${label} is '${labels[label]}', which is no positive whole number`,
    remedy: 'Correct the label; retry with the annotation kaito.sh/retry.',
  });
}

/** A MIG slice, or some of the whole GPUs, of each node. */
function partitioned({ resource: { partition } }: Workspace, gpus: NodeGpus): NodeGpus {
  if (partition === undefined) return gpus;
  if (partition.mode === 'accelerator') return { ...gpus, count: Math.min(partition.count ?? gpus.count, gpus.count) };
  const profile = partition.profile ?? '';
  const slice = migProfile(profile);
  if (slice === undefined) {
    throw new CauseError({
      cause: 'InvalidInput',
      message: `resource.partition.profile: unknown MIG profile '${profile}'`,
      remedy: 'Name a profile as nvidia-smi mig -lgip lists them, for example 1g.10gb.',
    });
  }
  return slice;
}
