/**
 * The plan before anything is bought: what would fail anyhow fails here, without a request that changes anything, and says what is needed, what there
 * is, and what to do.
 */
import type { AgentPool, ManagedCluster } from '@azure/arm-containerservice';
import { wait } from './wait';
import type { InFlight } from '../../../api/coordination';
import { CauseError } from '../../../api/causes';
import type { PoolVariant } from '../../../manifests/agent-pool';
import { findSize, retiredSizeMessage } from '../../../presets/sizes';
import type { AzureConfiguration } from './configuration';
import type { FailureClass, FailureScope } from './error-catalogue';
import type { Verdict } from './errors';
import type { Market, OfferedSize, Quota } from './market';
import type { Wishes } from './wishes';

/** AKS's own limit. */
const MOST_POOLS = 100;
const QUOTA_LINK = 'https://aka.ms/AzureQuota';
const REGIONAL = 'cores';
const SPOT = 'lowprioritycores';

/** Judges what has nothing to do with the size. Throws a CauseError. Returns the subnet that the pool has to name. */
export function checkCluster(
  cluster: ManagedCluster,
  pools: readonly AgentPool[],
  { clusterName, subnetId }: AzureConfiguration,
): string | undefined {
  const power = cluster.powerState?.code ?? 'Running';
  const state = cluster.provisioningState ?? '';
  if (power.toLowerCase() !== 'running' || /^(deleting|stopping|stopped)$/i.test(state)) {
    throw new CauseError({
      cause: 'ClusterNotRunning',
      message: `cluster ${clusterName} is ${power}, ${state}: it takes no agent pools`,
      remedy: `Start the cluster (az aks start --name ${clusterName}); the Workspace goes on by itself.`,
    });
  }
  if (pools.length >= MOST_POOLS) {
    throw new CauseError({
      cause: 'Quota',
      message: `cluster ${clusterName} has ${pools.length} agent pools; AKS allows ${MOST_POOLS}`,
      remedy: 'Delete agent pools that nobody uses (az aks nodepool list), or use another cluster.',
    });
  }
  const system = pools.find(({ mode }) => mode === 'System');
  const own = system?.vnetSubnetID;
  if (system !== undefined && own === undefined && subnetId !== undefined) {
    throw new CauseError({
      cause: 'InvalidInput',
      message: `the configuration names the subnet ${subnetId}, but agent pool ${system.name} of cluster ${clusterName} is in a managed one: all pools have to be`,
      remedy: 'Remove the subnet from the configuration.',
    });
  }
  return subnetId ?? own;
}

/** What is known of a size before it is bought. */
export interface SizeFacts {
  /** As Azure spells it. */
  readonly instanceType: string;
  readonly family: string;
  /** Of one machine. */
  readonly vcpus: number;
  readonly offered?: OfferedSize;
}

/** The size as the region offers it, or why it does not. */
export async function checkSize(
  market: Market,
  instanceType: string,
  location: string,
  signal: AbortSignal,
): Promise<SizeFacts | Verdict> {
  const known = findSize(instanceType);
  const retired = known && retiredSizeMessage(known);
  if (retired !== undefined) {
    return refusal(
      'size',
      'subscription',
      'SizeRetired',
      'Capacity',
      `${instanceType}: ${retired}`,
      'Name another size in resource.instanceType or instanceTypes.',
    );
  }
  const sizes = await market.sizes(signal);
  const offered = sizes?.find(({ name }) => name.toLowerCase() === instanceType.toLowerCase());
  if (sizes !== undefined && offered === undefined) {
    const near = similar(instanceType, sizes);
    const instead = near.length === 0 ? '' : `; similar ones there: ${near.join(', ')}`;
    return refusal(
      'size',
      'subscription',
      'SizeUnknown',
      'Capacity',
      `${location} has no size ${instanceType}${instead}`,
      'Correct the size, or add another to resource.instanceTypes.',
    );
  }
  if (offered?.restriction !== undefined) {
    return refusal(
      'size',
      'subscription',
      offered.restriction,
      'Capacity',
      `the subscription may not use ${offered.name} in ${location} (${offered.restriction})`,
      'Ask Azure’s support for access to the size, or add another to resource.instanceTypes.',
    );
  }
  return {
    instanceType: offered?.name ?? known?.instanceType ?? instanceType,
    family: offered?.family ?? '',
    vcpus: offered?.vcpus ?? known?.vcpus ?? 0,
    ...(offered !== undefined && { offered }),
  };
}

export interface VariantCheck {
  readonly market: Market;
  readonly size: SizeFacts;
  readonly variant: PoolVariant;
  readonly nodeCount: number;
  readonly wishes: Wishes;
  readonly location: string;
  readonly workspaceUid: string;
  /** What others create just now. */
  readonly inFlight: () => Promise<readonly InFlight[]>;
  readonly progress: (message: string) => void;
  readonly pollMs: number;
}

/** Why a variant is not worth a try; undefined: nothing is known against it. */
export async function checkVariant(check: VariantCheck, signal: AbortSignal): Promise<Verdict | undefined> {
  const { size, variant, location } = check;
  const { offered, instanceType } = size;
  if (variant.priority === 'Spot' && offered?.canBeSpot === false) {
    return refusal(
      'size',
      'spot',
      'SpotNotOffered',
      'Capacity',
      `${instanceType} cannot be bought as a spot machine`,
      'Set resource.capacityType to on-demand, or add another size.',
    );
  }
  if (variant.zone !== undefined && offered?.zones.includes(variant.zone) === false) {
    const zones = offered.zones.length === 0 ? 'none' : offered.zones.join(', ');
    return refusal(
      'zone',
      'zone',
      'ZoneNotOffered',
      'Capacity',
      `${instanceType} is not offered in zone ${variant.zone} of ${location}; zones that have it: ${zones}`,
      'Select another zone, or none.',
    );
  }
  return (await checkPrice(check, signal)) ?? (await checkQuota(check, signal));
}

async function checkPrice(
  { market, size, variant, nodeCount, wishes, location }: VariantCheck,
  signal: AbortSignal,
): Promise<Verdict | undefined> {
  const { maxPricePerHour: most } = wishes;
  if (most === undefined) return undefined;
  const what = `${nodeCount} × ${size.instanceType}${variant.priority === 'Spot' ? ' as spot' : ''} in ${location}`;
  const { instanceType } = size;
  const total = await priceOf(market, { instanceType, priority: variant.priority, nodeCount }, signal);
  const scope = variant.priority === 'Spot' ? 'spot' : 'family';
  if (total === undefined) {
    return refusal(
      'size',
      scope,
      'PriceUnknown',
      'PriceTooHigh',
      `the price of ${what} is not known, and resource.maxPricePerHour is ${most}`,
      'Remove resource.maxPricePerHour to buy at any price, or name a size with a listed price.',
    );
  }
  if (total <= most) return undefined;
  return refusal(
    'size',
    scope,
    'PriceTooHigh',
    'PriceTooHigh',
    `${what} costs ${total} USD an hour; resource.maxPricePerHour is ${most}`,
    'Raise resource.maxPricePerHour, or add a cheaper size to resource.instanceTypes.',
  );
}

/** Of all machines, USD an hour by the public list, without the noise of binary fractions; undefined where it is not known. */
export async function priceOf(
  market: Pick<Market, 'price'>,
  {
    instanceType,
    priority,
    nodeCount,
  }: Pick<PoolVariant, 'instanceType' | 'priority'> & { readonly nodeCount: number },
  signal: AbortSignal,
): Promise<number | undefined> {
  const one = await market.price(instanceType, priority, signal);
  return one && Math.round(one * nodeCount * 1e4) / 1e4;
}

/** Waits while others are about to use what is needed; whether they will is only known when they are done. */
async function checkQuota(check: VariantCheck, signal: AbortSignal): Promise<Verdict | undefined> {
  const { market, size, variant, nodeCount, workspaceUid, progress, pollMs } = check;
  const need = size.vcpus * nodeCount;
  const isSpot = variant.priority === 'Spot';
  const names = isSpot ? [SPOT] : [size.family.toLowerCase(), REGIONAL];
  for (;;) {
    const quotas = await market.quotas(signal);
    if (quotas === undefined || need === 0) return undefined;
    const short = names
      .map((name) => quotas.get(name))
      .find((quota) => quota !== undefined && quota.used + need > quota.limit);
    if (short !== undefined) return shortage(check, short, need);

    const others = (await check.inFlight()).filter(
      (one) => one.workspaceUid !== workspaceUid && (one.priority === 'spot') === isSpot,
    );
    const tight = names
      .map((name) => ({ name, quota: quotas.get(name) }))
      .find(({ name, quota }) => {
        const sharing = others.filter(
          ({ family }) => name === SPOT || name === REGIONAL || family.toLowerCase() === name,
        );
        const held = sharing.reduce((sum, { vcpus }) => sum + vcpus, 0);
        return quota !== undefined && quota.used + held + need > quota.limit;
      });
    if (tight === undefined) return undefined;
    progress(`waiting to see what ${others.length} other Workspaces leave of the quota ${tight.name}`);
    await wait(pollMs, signal);
  }
}

function shortage(
  { size, variant, nodeCount, location }: VariantCheck,
  { name, limit, used }: Quota,
  need: number,
): Verdict {
  const scope = name.toLowerCase() === SPOT ? 'spot' : name.toLowerCase() === REGIONAL ? 'region' : 'family';
  const left = Math.max(limit - used, 0);
  const titles = { spot: 'Total Regional Spot vCPUs', region: 'Total Regional vCPUs', family: name } as const;
  const title = titles[scope];
  const other = {
    spot: 'allow on-demand machines',
    region: 'use a smaller size',
    family: 'add a size of another family to resource.instanceTypes',
  } as const;
  return refusal(
    'quota',
    scope,
    'QuotaShort',
    'Quota',
    `${nodeCount} × ${size.instanceType}${variant.priority === 'Spot' ? ' as spot' : ''} need ${need} vCPUs of the quota ${title} in ${location}: ${left} are left (limit ${limit}, in use ${used})`,
    `Ask for a limit of ${used + need} or more of ${title} in ${location} (${QUOTA_LINK}), or ${other[scope]}.`,
  );
}

function refusal(
  failureClass: FailureClass,
  scope: FailureScope,
  code: string,
  cause: 'Quota' | 'Capacity' | 'PriceTooHigh',
  message: string,
  remedy: string,
): Verdict {
  return { class: failureClass, scope, code, ttlMs: 0, failure: { cause, message, remedy } };
}

/** Sizes with GPUs whose names begin alike: `Standard_ND96asr_A100_v4` is `Standard_ND96asr_v4`. */
function similar(instanceType: string, sizes: readonly OfferedSize[]): readonly string[] {
  const [start] = /^standard_n[a-z]+\d+/i.exec(instanceType) ?? [];
  if (start === undefined) return [];
  return sizes
    .filter(({ name, gpus }) => gpus > 0 && name.toLowerCase().startsWith(start.toLowerCase()))
    .map(({ name }) => name)
    .slice(0, 5);
}
