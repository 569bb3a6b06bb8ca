import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { gpuSizes } from '../presets/sizes';
import type { GpuSize } from '../presets/types';
import { kubectlApply, kubectlWaitForCrds } from './kubectl';
import { paths, type State } from './state';

/** The node pool that NodeClaims name in the label `karpenter.sh/nodepool`. */
export const NODE_POOL = 'kaito';

/** What NodeClaims name in `nodeClassRef`. */
export const NODE_CLASS = { group: 'karpenter.kwok.sh', kind: 'KWOKNodeClass', name: 'default' } as const;

const ZONES = ['local-1', 'local-2', 'local-3'];

/** Makes the cluster ready for Karpenter: its kinds, the node class and the node pool, and the file of instance types. */
export async function prepareKarpenter(dir: string, state: State): Promise<void> {
  await writeFile(paths(dir).instanceTypes, JSON.stringify(gpuSizes().map(instanceType), undefined, 1));
  const crds = path.join(state.programs['karpenter-kwok']?.folder ?? '', 'crds.yaml');
  await kubectlApply(dir, state, { files: [crds] });
  await kubectlWaitForCrds(dir, state);
  await kubectlApply(dir, state, { objects: [nodeClass(), nodePool()] });
}

function nodeClass(): object {
  const { group, kind, name } = NODE_CLASS;
  return { apiVersion: `${group}/v1alpha1`, kind, metadata: { name } };
}

/**
 * A pool that never buys or ends a machine by itself, so that what exists is what NodeClaims asked for.
 *
 * Its limit is reached from the start, so no pending pod gets a machine from it. Its disruption budget of nothing keeps machines
 * from being consolidated or replaced.
 */
function nodePool(): object {
  return {
    apiVersion: 'karpenter.sh/v1',
    kind: 'NodePool',
    metadata: { name: NODE_POOL },
    spec: {
      limits: { cpu: '0' },
      disruption: { consolidationPolicy: 'WhenEmpty', consolidateAfter: 'Never', budgets: [{ nodes: '0' }] },
      template: {
        spec: {
          expireAfter: 'Never',
          nodeClassRef: NODE_CLASS,
          requirements: [
            { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
            { key: 'karpenter.sh/capacity-type', operator: 'In', values: ['on-demand'] },
          ],
        },
      },
    },
  };
}

/** A size in the format of Karpenter's kwok provider. */
function instanceType(size: GpuSize): object {
  const { count, resourceName } = size.gpus;
  // Where the data files don't tell: the shape that clouds sell around a GPU, about 8 vCPUs and 64 GiB each.
  const cpu = size.vcpus ?? 8 * count;
  const memoryGiB = size.memoryGiB ?? 64 * count;
  return {
    name: size.instanceType,
    architecture: 'amd64',
    operatingSystems: ['linux'],
    resources: {
      cpu: String(cpu),
      memory: `${memoryGiB}Gi`,
      'ephemeral-storage': '2Ti',
      pods: '110',
      [resourceName]: String(count),
    },
    offerings: ZONES.map((zone) => ({
      Price: count, // only ever compared
      Available: true,
      Requirements: [
        { key: 'karpenter.sh/capacity-type', operator: 'In', values: ['on-demand'] },
        { key: 'topology.kubernetes.io/zone', operator: 'In', values: [zone] },
      ],
    })),
  };
}
