/**
 * What a region offers: sizes, quota and prices. Read before anything is bought; when the service does not answer, nothing is known, and the purchase
 * itself has to tell.
 */
import { z } from 'zod';
import type { Logger } from '../../../kubernetes/logger';
import type { Arm } from './arm';
import type { AzureConfiguration } from './configuration';

/** A size, as the region offers it to the subscription. */
export interface OfferedSize {
  /** As Azure spells it. */
  readonly name: string;
  /** Of quota. */
  readonly family: string;
  readonly vcpus: number;
  readonly gpus: number;
  /** Zones where it may be bought. */
  readonly zones: readonly string[];
  /** The subscription may not use it in this region, and why. */
  readonly restriction?: string;
  readonly canBeSpot: boolean;
}

export interface Quota {
  readonly name: string;
  readonly limit: number;
  readonly used: number;
}

export interface Market {
  /** All sizes of the region; undefined where the list cannot be had now. */
  sizes(signal: AbortSignal): Promise<readonly OfferedSize[] | undefined>;
  /** By name in lower case; undefined where the list cannot be had now. */
  quotas(signal: AbortSignal): Promise<ReadonlyMap<string, Quota> | undefined>;
  /** Dollars an hour of one machine; undefined where the list does not say. */
  price(size: string, priority: 'Regular' | 'Spot', signal: AbortSignal): Promise<number | undefined>;
}

const SKU_API_VERSION = '2021-07-01';
const USAGE_API_VERSION = '2024-07-01';

/** Sizes and prices change within weeks; quota within minutes, so that is asked for each time. */
const FRESH_MS = 60 * 60_000;
/** A list that does not come is not waited for: the plan goes on without it. */
const PATIENCE_MS = 10_000;

const skuSchema = z.object({
  name: z.string(),
  family: z.string().default(''),
  resourceType: z.string(),
  locationInfo: z.array(z.object({ location: z.string(), zones: z.array(z.string()).nullish() })).nullish(),
  capabilities: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  restrictions: z
    .array(
      z.object({
        type: z.string().nullish(),
        reasonCode: z.string().nullish(),
        restrictionInfo: z.object({ zones: z.array(z.string()).nullish() }).nullish(),
      }),
    )
    .nullish(),
});

const usageSchema = z.object({
  name: z.object({ value: z.string() }),
  currentValue: z.number(),
  limit: z.number(),
});

const priceSchema = z.object({
  Items: z.array(
    z.object({
      retailPrice: z.number(),
      armSkuName: z.string(),
      productName: z.string(),
      skuName: z.string(),
      type: z.string(),
      unitOfMeasure: z.string(),
    }),
  ),
});

export function createMarket(
  arm: Pick<Arm, 'list' | 'publicJson'>,
  { location, priceEndpoint }: Pick<AzureConfiguration, 'location' | 'priceEndpoint'>,
  { logger, now }: { readonly logger: Logger; readonly now: () => Date },
): Market {
  const known = new Map<string, { readonly atMs: number; readonly value: unknown }>();

  /** Remembers what was answered for a while; what failed is asked again next time. */
  async function remembered<T>(key: string, read: () => Promise<T | undefined>): Promise<T | undefined> {
    const found = known.get(key);
    if (found !== undefined && now().getTime() - found.atMs < FRESH_MS) return found.value as T;
    const value = await read();
    if (value !== undefined) known.set(key, { atMs: now().getTime(), value });
    return value;
  }

  /** Undefined when it fails or takes too long, for whatever reason but the caller's. */
  async function openly<T>(
    what: string,
    signal: AbortSignal,
    read: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await read(AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]));
    } catch (error) {
      signal.throwIfAborted();
      logger.warn('planning goes on without a list of Azure', { what, error });
      return undefined;
    }
  }

  return {
    sizes: (signal) =>
      remembered('sizes', () =>
        openly('sizes', signal, async (brief) => {
          const query = { 'api-version': SKU_API_VERSION, $filter: `location eq '${location}'` };
          const all = z.array(skuSchema).parse(await arm.list('/providers/Microsoft.Compute/skus', query, brief));
          return all
            .filter(({ resourceType }) => resourceType === 'virtualMachines')
            .map((sku) => offeredSize(sku, location));
        }),
      ),

    quotas: (signal) =>
      openly('quotas', signal, async (brief) => {
        const path = `/providers/Microsoft.Compute/locations/${location}/usages`;
        const all = z.array(usageSchema).parse(await arm.list(path, { 'api-version': USAGE_API_VERSION }, brief));
        return new Map(
          all.map(({ name, limit, currentValue }) => [
            name.value.toLowerCase(),
            { name: name.value, limit, used: currentValue },
          ]),
        );
      }),

    async price(size, priority, signal) {
      if (priceEndpoint === undefined) return undefined;
      const items = await remembered(`price ${size}`, () =>
        openly('prices', signal, async (brief) => {
          const $filter = `serviceName eq 'Virtual Machines' and armRegionName eq '${location}' and armSkuName eq '${size}' and priceType eq 'Consumption'`;
          const url = `${priceEndpoint.replace(/\/$/, '')}/api/retail/prices?${new URLSearchParams({ $filter }).toString()}`;
          return priceSchema.parse(await arm.publicJson(url, brief)).Items;
        }),
      );
      return items?.find((item) => isPriceOf(item, priority))?.retailPrice;
    },
  };
}

function offeredSize(sku: z.output<typeof skuSchema>, location: string): OfferedSize {
  const capabilities = new Map(sku.capabilities?.map(({ name, value }) => [name, value]));
  const restrictions = sku.restrictions ?? [];
  const closedZones = restrictions
    .filter(({ type }) => type === 'Zone')
    .flatMap(({ restrictionInfo }) => restrictionInfo?.zones ?? []);
  const here = sku.locationInfo?.find((one) => one.location.toLowerCase() === location.toLowerCase());
  const closed = restrictions.find(({ type }) => type === 'Location');
  return {
    name: sku.name,
    family: sku.family,
    vcpus: Number(capabilities.get('vCPUs') ?? 0),
    gpus: Number(capabilities.get('GPUs') ?? 0),
    zones: (here?.zones ?? []).filter((zone) => !closedZones.includes(zone)).toSorted(),
    canBeSpot: capabilities.get('LowPriorityCapable')?.toLowerCase() === 'true',
    ...(closed !== undefined && { restriction: closed.reasonCode ?? 'restricted' }),
  };
}

/** Linux at the hourly price: the list has Windows, low priority and spot side by side. */
function isPriceOf(item: z.output<typeof priceSchema>['Items'][number], priority: 'Regular' | 'Spot'): boolean {
  if (item.type !== 'Consumption' || item.unitOfMeasure !== '1 Hour' || /windows/i.test(item.productName)) return false;
  if (/low priority/i.test(item.skuName)) return false;
  return /\bspot\b/i.test(item.skuName) === (priority === 'Spot');
}
