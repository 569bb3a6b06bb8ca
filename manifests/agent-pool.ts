import type { AgentPool } from '@azure/arm-containerservice';
import { CauseError } from '../api/causes';
import { ANNOTATION_NODE_IMAGE_FAMILY, LABEL_WORKSPACE_NAMESPACE } from '../api/labels';
import type { Workspace } from '../api/workspace';
import { sha256 } from './digest';
import { machineFor } from './node-selection';
import { ownLabels } from './objects';

/** What an Azure installation decides about its pools. Plain data. */
export interface AgentPoolConfiguration {
  /** Tells this cluster from others that share a subscription: part of names and tags. */
  readonly clusterId: string;
  /** Subnet of the pools' nodes; only for clusters in a virtual network of the user's own. */
  readonly subnetId?: string;
  /** Unless the Workspace's annotation says otherwise. */
  readonly nodeImageFamily?: string;
}

/** One way to buy a size. What is left out is Azure's to choose. */
export interface PoolVariant {
  readonly instanceType: string;
  readonly priority: 'Regular' | 'Spot';
  /** One zone; left out: wherever the region has room. */
  readonly zone?: string;
  /** Left out: ephemeral where the size's cache holds it, a managed disk otherwise. */
  readonly osDiskType?: 'Managed';
  /** Resource ID of a group of capacity that is paid for already. */
  readonly capacityReservationGroupId?: string;
}

/** Names one pool; the same purchase has the same name, whoever tries it and however often. */
export interface PoolPurchase {
  readonly variant: PoolVariant;
  /** 0 at first, one more where the name is taken: by a pool on its way out, or by somebody else's. */
  readonly round: number;
}

/** Tags are the proof of ownership: labels are copied by people and by other controllers. Tag names can't hold `/`. */
export const POOL_TAGS = {
  owner: 'kaito-owner',
  clusterId: 'kaito-cluster-id',
  workspaceUid: 'kaito-workspace-uid',
  namespace: 'kaito-workspace-namespace',
  name: 'kaito-workspace-name',
  attempt: 'kaito-attempt',
  createdAt: 'kaito-created-at',
} as const;

/** Value of the tag `kaito-owner`. */
export const POOL_OWNER = 'kaito-temporal';

/** Tells the nodes of our pools from those of gpu-provisioner, which carry the same labels otherwise. */
export const LABEL_MACHINE_PROVIDER = 'kaito.sh/machine-provider';

/** `k`, 7 characters of the Workspace and 4 of the purchase: agent pools may have 12 of a-z and 0-9. */
export function agentPoolName(clusterId: string, workspaceUid: string, { variant, round }: PoolPurchase): string {
  const { instanceType, priority, zone = '', osDiskType = '', capacityReservationGroupId = '' } = variant;
  const what = [
    workspaceUid,
    instanceType.toLowerCase(),
    priority,
    zone,
    osDiskType,
    capacityReservationGroupId,
    round,
  ];
  return `k${base36(`${clusterId}/${workspaceUid}`, 7)}${base36(what.join('/'), 4)}`;
}

function base36(text: string, length: number): string {
  return BigInt(`0x${sha256(text)}`)
    .toString(36)
    .slice(0, length);
}

/** Azure's limits of an operating system disk, GiB. */
const DISK_GIB = { least: 30, most: 2_048 } as const;

/** Keys that AKS keeps to itself; a pool that names one is refused. */
const RESERVED_LABEL = /(^|\.)kubernetes\.azure\.com\/|(^|\.)(kubernetes|k8s)\.io\//;
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;

/**
 * The agent pool that buys all machines of a Workspace. Labels are KAITO's and gpu-provisioner's, but for `karpenter.sh/nodepool`: with it,
 * gpu-provisioner takes a pool without a NodeClaim for garbage, and deletes it.
 *
 * Throws a CauseError InvalidInput for what Azure would refuse.
 */
export function agentPool(input: {
  readonly workspace: Workspace;
  readonly purchase: PoolPurchase;
  readonly nodeCount: number;
  /** Space for the weights on a machine, GiB. */
  readonly diskGiB: number;
  readonly createdAt: Date;
  readonly configuration: AgentPoolConfiguration;
}): AgentPool & { readonly nodeLabels: Record<string, string>; readonly tags: Record<string, string> } {
  const { workspace, purchase, nodeCount, diskGiB, createdAt, configuration } = input;
  const { variant } = purchase;
  const { namespace, name, uid } = workspace.metadata;
  const osSKU = osSkuOf(workspace, configuration);

  return {
    typePropertiesType: 'VirtualMachineScaleSets',
    mode: 'User',
    vmSize: variant.instanceType,
    count: nodeCount,
    osType: 'Linux',
    osSKU,
    osDiskSizeGB: diskSize(diskGiB),
    ...(variant.osDiskType !== undefined && { osDiskType: variant.osDiskType }),
    ...(variant.zone !== undefined && { availabilityZones: [variant.zone] }),
    ...(variant.priority === 'Spot' && {
      scaleSetPriority: 'Spot',
      scaleSetEvictionPolicy: 'Delete',
      // Up to the on-demand price: what a Workspace may cost is judged before it is bought.
      spotMaxPrice: -1,
    }),
    ...(variant.capacityReservationGroupId !== undefined && {
      capacityReservationGroupID: variant.capacityReservationGroupId,
    }),
    ...(configuration.subnetId !== undefined && { vnetSubnetID: configuration.subnetId }),
    nodeLabels: checkedLabels({
      ...machineFor(workspace).labels,
      ...ownLabels(workspace),
      [LABEL_WORKSPACE_NAMESPACE]: namespace,
      [LABEL_MACHINE_PROVIDER]: 'azure',
      'kaito.sh/machine-type': 'gpu',
      'kaito.sh/creation-timestamp': `${createdAt.toISOString().slice(0, 19).replaceAll(':', '-')}Z`,
    }),
    nodeTaints: ['sku=gpu:NoSchedule'],
    tags: {
      [POOL_TAGS.owner]: POOL_OWNER,
      [POOL_TAGS.clusterId]: configuration.clusterId,
      [POOL_TAGS.workspaceUid]: uid,
      [POOL_TAGS.namespace]: namespace,
      [POOL_TAGS.name]: name,
      [POOL_TAGS.attempt]: String(purchase.round),
      [POOL_TAGS.createdAt]: createdAt.toISOString(),
    },
  };
}

function osSkuOf({ metadata }: Workspace, { nodeImageFamily }: AgentPoolConfiguration): 'Ubuntu' | 'AzureLinux' {
  const wanted = metadata.annotations?.[ANNOTATION_NODE_IMAGE_FAMILY]?.trim() ?? nodeImageFamily ?? 'ubuntu';
  if (wanted.toLowerCase() === 'azurelinux') return 'AzureLinux';
  if (wanted.toLowerCase() === 'ubuntu') return 'Ubuntu';
  throw new CauseError({
    cause: 'InvalidInput',
    message: `annotation ${ANNOTATION_NODE_IMAGE_FAMILY}: '${wanted}' is no operating system of GPU nodes on AKS`,
    remedy: `Set the annotation ${ANNOTATION_NODE_IMAGE_FAMILY} to ubuntu or azurelinux, or remove it.`,
  });
}

function diskSize(diskGiB: number): number {
  const size = Math.max(Math.ceil(diskGiB), DISK_GIB.least);
  if (size <= DISK_GIB.most) return size;
  throw new CauseError({
    cause: 'InvalidInput',
    message: `the weights need a disk of ${size} GiB; an operating system disk on Azure holds ${DISK_GIB.most} GiB at most`,
    remedy: 'Choose a smaller model, or nodes of your own with larger disks.',
  });
}

function checkedLabels(labels: Record<string, string>): Record<string, string> {
  for (const [key, value] of Object.entries(labels)) {
    const wrong = RESERVED_LABEL.test(key)
      ? 'has a prefix that AKS keeps to itself'
      : !LABEL_KEY.test(key)
        ? 'is no label key'
        : !LABEL_VALUE.test(value)
          ? `has the value '${value}', which is no label value`
          : undefined;
    if (wrong === undefined) continue;
    throw new CauseError({
      cause: 'InvalidInput',
      message: `resource.labelSelector: '${key}' ${wrong}, so no pool can be bought whose nodes match`,
      remedy: 'Remove this label from resource.labelSelector, or use nodes of your own.',
    });
  }
  return labels;
}
