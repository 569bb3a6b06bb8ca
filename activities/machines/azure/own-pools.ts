/**
 * Which pools are ours. Only tags tell: labels are copied by people and by other controllers, names may be anybody's.
 */
import type { AgentPool } from '@azure/arm-containerservice';
import { POOL_OWNER, POOL_TAGS, type PoolVariant } from '../../../manifests/agent-pool';
import type { Owner } from '../provider';
import type { AzureConfiguration } from './configuration';

/** A pool that was bought for a Workspace of this cluster. */
export interface OwnPool {
  readonly name: string;
  readonly pool: AgentPool;
}

/** The pools of an owner, among all of the cluster. */
export function poolsOf(
  pools: readonly AgentPool[],
  owner: Owner,
  configuration: Pick<AzureConfiguration, 'clusterId'>,
): readonly OwnPool[] {
  return pools.flatMap((pool) => {
    const { name, tags = {} } = pool;
    const isOwners =
      name !== undefined &&
      isOurs(pool, configuration) &&
      tags[POOL_TAGS.namespace] === owner.namespace &&
      tags[POOL_TAGS.name] === owner.name &&
      owner.isOwned(tags[POOL_TAGS.workspaceUid]);
    return isOwners ? [{ name, pool }] : [];
  });
}

/** Whether a pool is one of this installation's, of whatever Workspace. */
export function isOurs({ tags = {} }: AgentPool, { clusterId }: Pick<AzureConfiguration, 'clusterId'>): boolean {
  return tags[POOL_TAGS.owner] === POOL_OWNER && tags[POOL_TAGS.clusterId] === clusterId;
}

/** Whether a pool is one of this installation's, and of this Workspace. */
export function isOf(
  pool: AgentPool,
  workspaceUid: string,
  configuration: Pick<AzureConfiguration, 'clusterId'>,
): boolean {
  return isOurs(pool, configuration) && pool.tags?.[POOL_TAGS.workspaceUid] === workspaceUid;
}

/** How far Azure is with a pool. Words that nobody has heard of mean that it is at it. */
export type PoolPhase = 'working' | 'succeeded' | 'failed' | 'deleting';

export function phaseOf({ provisioningState }: AgentPool): PoolPhase {
  switch (provisioningState?.toLowerCase()) {
    case 'succeeded':
      return 'succeeded';
    case 'failed':
    case 'canceled':
    case 'cancelled':
      return 'failed';
    case 'deleting':
      return 'deleting';
    default:
      return 'working';
  }
}

/** When the purchase began, milliseconds; undefined where the tag does not say. */
export function createdAtOf({ tags = {} }: AgentPool): number | undefined {
  const at = Date.parse(tags[POOL_TAGS.createdAt] ?? '');
  return Number.isNaN(at) ? undefined : at;
}

/** How the pool was bought. */
export function variantOf(pool: AgentPool): PoolVariant {
  const zone = pool.availabilityZones?.[0];
  return {
    instanceType: pool.vmSize ?? '',
    priority: pool.scaleSetPriority === 'Spot' ? 'Spot' : 'Regular',
    ...(zone !== undefined && { zone }),
    ...(pool.capacityReservationGroupID !== undefined && {
      capacityReservationGroupId: pool.capacityReservationGroupID,
    }),
  };
}
