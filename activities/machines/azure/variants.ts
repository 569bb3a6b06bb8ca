/**
 * The ways to buy one size, in order: reserved capacity, then zone by zone, for each priority. A machine without its ephemeral disk is tried only
 * where Azure says that the disk is in the way.
 */
import type { PoolVariant } from '../../../manifests/agent-pool';
import type { FailureClass } from './error-catalogue';
import type { Verdict } from './errors';
import type { AzureConfiguration } from './configuration';
import type { Wishes } from './wishes';

/** A variant that failed, and why. */
export interface Tried {
  readonly variant: PoolVariant;
  readonly verdict: Verdict;
}

/** How often the same is tried when it failed for reasons that have nothing to do with the size. */
const MOST_TRIES: Partial<Record<FailureClass, number>> = { conflict: 5, internal: 2 };

/** In the order to try. */
export function variantsOf(
  instanceType: string,
  wishes: Wishes,
  { zones = [], capacityReservations = {} }: Pick<AzureConfiguration, 'zones' | 'capacityReservations'>,
): readonly PoolVariant[] {
  const group = Object.entries(capacityReservations).find(
    ([size]) => size.toLowerCase() === instanceType.toLowerCase(),
  )?.[1];
  // Zones of the configuration are a preference: where none has room, the region may.
  const places = wishes.zones ?? (zones.length === 0 ? [undefined] : [...zones, undefined]);
  const priorities = {
    'on-demand': ['Regular'],
    spot: ['Spot'],
    'spot-then-on-demand': ['Spot', 'Regular'],
  } as const;
  return priorities[wishes.capacityType].flatMap((priority) => {
    const plain = places.map((zone) => ({ instanceType, priority, ...(zone !== undefined && { zone }) }));
    if (group === undefined || priority === 'Spot') return plain;
    // A reservation is of its own zone or of none; it is paid for, so it comes first.
    const place = wishes.zones?.length === 1 ? { zone: wishes.zones[0] ?? '' } : {};
    return [{ instanceType, priority, ...place, capacityReservationGroupId: group }, ...plain];
  });
}

/** What to try next; undefined when nothing is worth it. */
export function nextVariant(variants: readonly PoolVariant[], tried: readonly Tried[]): PoolVariant | undefined {
  const last = tried.at(-1);
  if (last?.verdict.scope === 'disk' && last.variant.osDiskType === undefined) {
    return { ...last.variant, osDiskType: 'Managed' };
  }
  return variants.find((variant) => !tried.some((one) => rulesOut(one, variant, tried)));
}

function rulesOut({ variant: failed, verdict }: Tried, variant: PoolVariant, tried: readonly Tried[]): boolean {
  const isSame = describe(variant) === describe(failed);
  const { priority, zone } = failed;
  switch (verdict.scope) {
    case 'subscription':
      return true;
    case 'family':
    case 'region':
      return variant.priority === 'Regular';
    case 'spot':
      return variant.priority === 'Spot';
    case 'size':
      return variant.priority === priority && (zone === undefined || variant.zone === zone);
    case 'zone':
      return variant.priority === priority && variant.zone === zone;
    case 'placement':
    case 'disk':
    case 'reservation':
      return isSame;
    case 'request': {
      const tries = tried.filter(
        (one) => one.verdict.scope === 'request' && describe(one.variant) === describe(variant),
      );
      return isSame && tries.length >= (MOST_TRIES[verdict.class] ?? 1);
    }
  }
}

/** For people, and to tell variants apart: `spot, zone 2`. */
export function describe({ priority, zone, osDiskType, capacityReservationGroupId }: PoolVariant): string {
  return [
    priority === 'Spot' ? 'spot' : 'on-demand',
    ...(zone === undefined ? [] : [`zone ${zone}`]),
    ...(osDiskType === undefined ? [] : ['managed disk']),
    ...(capacityReservationGroupId === undefined ? [] : ['reserved']),
  ].join(', ');
}
