import type { NodeClassProfile } from './configuration';

const ON_DEMAND = 'on-demand';

/**
 * Karpenter providers that are known to work. An installation names one and may override any field.
 *
 * Capacity type: a claim that names none may be given spot capacity, which ends a serving model at any moment; so it has to be asked for,
 * by resource.capacityType, or by the label karpenter.sh/capacity-type in the Workspace's labelSelector.
 */
export const NODE_CLASS_PROFILES = {
  /** Azure's gpu-provisioner, KAITO's default: one AKS agent pool for each claim. It sizes the OS disk by the request for `storage`. */
  'gpu-provisioner': {
    group: 'kaito.sh',
    kind: 'KaitoNodeClass',
    name: 'default',
    instanceTypeKeys: ['node.kubernetes.io/instance-type', 'karpenter.azure.com/sku-name'],
    requirements: [{ key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }],
    diskResource: 'storage',
    requestGpus: true,
    buysSpot: false,
  },
  /** Azure's Karpenter (node auto-provisioning). The AKSNodeClass sizes the disk. */
  'azure-karpenter': {
    group: 'karpenter.azure.com',
    kind: 'AKSNodeClass',
    name: 'default',
    instanceTypeKeys: ['node.kubernetes.io/instance-type'],
    requirements: [
      { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
      { key: 'karpenter.sh/capacity-type', operator: 'In', values: [ON_DEMAND] },
      { key: 'karpenter.azure.com/placement-scope', operator: 'In', values: ['regional'] },
    ],
    requestGpus: true,
    buysSpot: true,
  },
  /** AWS's Karpenter. The EC2NodeClass sizes the disk. */
  'aws-karpenter': {
    group: 'karpenter.k8s.aws',
    kind: 'EC2NodeClass',
    name: 'default',
    instanceTypeKeys: ['node.kubernetes.io/instance-type'],
    requirements: [
      { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
      { key: 'karpenter.sh/capacity-type', operator: 'In', values: [ON_DEMAND] },
      { key: 'karpenter.k8s.aws/instance-gpu-count', operator: 'Gt', values: ['0'] },
    ],
    requestGpus: true,
    buysSpot: true,
  },
  /** Karpenter's core with simulated nodes: the local environment. */
  kwok: {
    group: 'karpenter.kwok.sh',
    kind: 'KWOKNodeClass',
    name: 'default',
    instanceTypeKeys: ['node.kubernetes.io/instance-type'],
    requirements: [{ key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }],
    requestGpus: true,
    buysSpot: true,
  },
} as const satisfies Record<string, NodeClassProfile>;

export type NodeClassProfileName = keyof typeof NODE_CLASS_PROFILES;
