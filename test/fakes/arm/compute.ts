/** `Microsoft.Compute`: what sizes there are, and how much of the quota is used. */
import { ArmRefusal, enveloped } from './errors';
import { page } from './pool-requests';
import { LOW_PRIORITY, REGIONAL } from './quota';
import type { VmSize } from './sizes';
import type { World } from './state';
import type { Answer, RecordedRequest } from './types';

const LOCALIZED: Readonly<Record<string, string>> = {
  [REGIONAL]: 'Total Regional vCPUs',
  [LOW_PRIORITY]: 'Total Regional Low-priority vCPUs',
};

export function listUsages(world: World, request: RecordedRequest): Answer {
  const usages = world.ledger.names().map((name) => {
    const { limit, used } = world.ledger.get(name);
    return {
      unit: 'Count',
      currentValue: used,
      limit,
      name: { value: name, localizedValue: LOCALIZED[name] ?? `${name} vCPUs` },
    };
  });
  return page(world, request, usages);
}

export function listSkus(world: World, request: RecordedRequest): Answer {
  const filter = request.query.get('$filter');
  const [, location] = filter === null ? [] : (/^location eq '([A-Za-z0-9]+)'$/.exec(filter) ?? []);
  if (filter !== null && location === undefined) {
    throw new ArmRefusal(
      enveloped(400, {
        code: 'InvalidFilter',
        message: `The $filter "${filter}" is not supported; only "location eq '…'" is.`,
      }),
    );
  }
  const regions = [...world.clusters.values()].map(({ spec }) => spec.location);
  const skus = world.settings.sizes.flatMap((size) => {
    const locations = (size.locations ?? [...new Set(regions)]).filter(
      (one) => location === undefined || one === location.toLowerCase(),
    );
    return locations.map((one) => sku(size, one));
  });
  // The list is of all that Compute sells, not of sizes alone.
  const disk = { resourceType: 'disks', name: 'Premium_LRS', tier: 'Premium', size: 'P10', locations: regions };
  return page(world, request, [{ ...disk, locationInfo: [], capabilities: [], restrictions: [] }, ...skus]);
}

function sku(size: VmSize, location: string): object {
  const zoneRestriction = Array.isArray(size.restricted)
    ? [
        {
          type: 'Zone',
          values: [location],
          restrictionInfo: { locations: [location], zones: size.restricted as readonly string[] },
          reasonCode: 'NotAvailableForSubscription',
        },
      ]
    : [];
  const locationRestriction =
    size.restricted === 'location'
      ? [
          {
            type: 'Location',
            values: [location],
            restrictionInfo: { locations: [location] },
            reasonCode: 'NotAvailableForSubscription',
          },
        ]
      : [];
  const capabilities: Readonly<Record<string, string | undefined>> = {
    vCPUs: String(size.vcpus),
    vCPUsAvailable: String(size.vcpus),
    MemoryGB: String(size.memoryGiB),
    GPUs: size.gpus > 0 ? String(size.gpus) : undefined,
    LowPriorityCapable: spelt(size.lowPriorityCapable),
    CapacityReservationSupported: spelt(size.reservable),
    PremiumIO: 'True',
    EphemeralOSDiskSupported: spelt(size.ephemeralGiB > 0),
    CachedDiskBytes: String(size.ephemeralGiB * 2 ** 30),
    MaxResourceVolumeMB: String(size.ephemeralGiB * 1_024),
    CpuArchitectureType: 'x64',
    HyperVGenerations: 'V1,V2',
  };
  return {
    resourceType: 'virtualMachines',
    name: size.name,
    tier: 'Standard',
    size: size.name.replace('Standard_', ''),
    family: size.family,
    locations: [location],
    locationInfo: [{ location, zones: size.zones, zoneDetails: [] }],
    capabilities: Object.entries(capabilities).flatMap(([name, value]) =>
      value === undefined ? [] : [{ name, value }],
    ),
    restrictions: [...locationRestriction, ...zoneRestriction],
  };
}

function spelt(yes: boolean): string {
  return yes ? 'True' : 'False';
}
