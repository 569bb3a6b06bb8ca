import type { AgentPool } from '@azure/arm-containerservice';
import type { OwnedMachines } from '../../../api/sweep';
import { POOL_TAGS } from '../../../manifests/agent-pool';
import type { Sweeping } from '../provider';
import type { AzureDependencies } from './dependencies';
import { createdAtOf, isOurs, isOf } from './own-pools';
import { removePool } from './remove-pool';

/** Pools that carry our tags, whoever they were bought for. */
export function createSweeping(deps: AzureDependencies): Sweeping {
  const { arm, market, configuration } = deps;
  return {
    owned: async (signal) => (await arm.pools(signal)).flatMap((pool) => owned(deps, pool)),
    async pricePerHour({ instanceType, isSpot, count }, signal) {
      const price = await market.price(instanceType, isSpot ? 'Spot' : 'Regular', signal);
      return price === undefined ? undefined : price * count;
    },
    async remove({ name, identity, workspace }, context) {
      const pool = await arm.pool(name, context.signal);
      if (pool === undefined) return 'gone';
      if (!isOf(pool, workspace.uid, configuration) || identityOf(pool) !== identity) return 'not ours';
      await removePool(deps, name, context);
      return 'gone';
    },
  };
}

function owned({ configuration }: AzureDependencies, pool: AgentPool): readonly OwnedMachines[] {
  const { name, tags = {}, vmSize = '', count = 0 } = pool;
  const { [POOL_TAGS.workspaceUid]: uid, [POOL_TAGS.namespace]: namespace, [POOL_TAGS.name]: workspace } = tags;
  const isWhole = name !== undefined && uid !== undefined && namespace !== undefined && workspace !== undefined;
  if (!isWhole || !isOurs(pool, configuration)) return [];
  const createdAt = createdAtOf(pool);
  return [
    {
      provider: 'azure',
      kind: 'agent pool',
      name,
      identity: identityOf(pool),
      workspace: { namespace, name: workspace, uid },
      instanceType: vmSize,
      count,
      isSpot: pool.scaleSetPriority === 'Spot',
      ...(createdAt !== undefined && { createdTime: new Date(createdAt).toISOString() }),
    },
  ];
}

/** Names come again when the same is bought again; the time of the purchase does not. */
function identityOf({ tags = {} }: AgentPool): string {
  return tags[POOL_TAGS.createdAt] ?? '';
}
