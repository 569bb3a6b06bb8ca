/** Whether the service would take a pool: names, sizes, zones, labels, taints, tags, disk, spot, reservation. Throws its refusal. */
import {
  ArmRefusal,
  bare,
  diskTooLarge,
  enveloped,
  invalidParameter,
  sizeNotAllowed,
  sizeNotSupported,
  zoneNotSupported,
  type Refusal,
} from './errors';
import { findVmSize, type VmSize } from './sizes';
import type { ClusterSpec, PoolProperties } from './types';

export interface PoolRequest {
  readonly name: string;
  readonly properties: PoolProperties;
  readonly cluster: ClusterSpec;
  readonly subscriptionId: string;
  readonly sizes: readonly VmSize[];
}

/** The size that the pool names. */
export function validatePool(request: PoolRequest): VmSize {
  const { name, properties } = request;
  if (!/^[a-z][a-z0-9]{0,11}$/.test(name)) {
    refuse(
      invalidParameter(
        `The agent pool name '${name}' is invalid. It must start with a lowercase letter, have max length of 12, and only have characters a-z0-9.`,
        'name',
      ),
    );
  }
  const size = validateSize(request);
  validateCount(properties);
  validateZones(request, size);
  validateDisk(properties, size);
  validateSpot(properties, size);
  validateLabels(properties.nodeLabels ?? {});
  for (const taint of properties.nodeTaints ?? []) validateTaint(taint);
  validateTags(properties.tags ?? {});
  const group = properties.capacityReservationGroupID;
  if (
    group !== undefined &&
    !/^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Compute\/capacityReservationGroups\/[^/]+$/i.test(
      group,
    )
  ) {
    refuse(
      invalidParameter(
        `The value '${group}' of capacityReservationGroupID is not a resource ID.`,
        'properties.capacityReservationGroupID',
      ),
    );
  }
  return size;
}

function validateSize({ properties, cluster, subscriptionId, sizes }: PoolRequest): VmSize {
  const { vmSize, type } = properties;
  if (type !== undefined && type !== 'VirtualMachineScaleSets') {
    refuse(invalidParameter(`Agent pools of type '${type}' are not offered here.`, 'properties.type'));
  }
  if (vmSize === undefined)
    refuse(invalidParameter('Required parameter agentPoolProfile.vmSize is missing (null).', 'properties.vmSize'));
  const size = findVmSize(sizes, vmSize);
  if (size === undefined || !(size.locations ?? [cluster.location]).includes(cluster.location)) {
    return refuse(sizeNotSupported(vmSize, subscriptionId, cluster.location));
  }
  return size.restricted === 'location' ? refuse(sizeNotAllowed(vmSize, cluster.location)) : size;
}

function validateCount({
  count = 1,
  mode = 'User',
  enableAutoScaling = false,
  minCount,
  maxCount,
}: PoolProperties): void {
  const least = mode === 'System' ? 1 : 0;
  if (count < least || count > 1_000) {
    refuse(
      invalidParameter(
        `The value of parameter agentPoolProfile.count is invalid: ${count}. It must be from ${least} to 1000.`,
        'properties.count',
      ),
    );
  }
  if (!enableAutoScaling && (minCount !== undefined || maxCount !== undefined)) {
    refuse(
      invalidParameter('minCount and maxCount must not be set when enableAutoScaling is false.', 'properties.minCount'),
    );
  }
}

function validateZones({ name, properties, cluster }: PoolRequest, size: VmSize): void {
  const { availabilityZones: zones = [] } = properties;
  const restricted = Array.isArray(size.restricted) ? (size.restricted as readonly string[]) : [];
  const offered = size.zones.filter((zone) => !restricted.includes(zone));
  const missing = zones.filter((zone) => !offered.includes(zone));
  if (missing.length > 0) refuse(zoneNotSupported(missing, name, cluster.location, offered));
}

function validateDisk({ osDiskSizeGB = 0, osDiskType }: PoolProperties, size: VmSize): void {
  if (osDiskSizeGB !== 0 && (osDiskSizeGB < 30 || osDiskSizeGB > 2_048)) {
    refuse(
      invalidParameter(
        `The value of parameter agentPoolProfile.osDiskSizeGB is invalid: ${osDiskSizeGB}. It must be 0 or from 30 to 2048.`,
        'properties.osDiskSizeGB',
      ),
    );
  }
  const wanted = osDiskSizeGB === 0 ? 128 : osDiskSizeGB;
  if (osDiskType === 'Ephemeral' && wanted > size.ephemeralGiB)
    refuse(diskTooLarge(size.name, size.ephemeralGiB, wanted));
}

function validateSpot(
  { scaleSetPriority, scaleSetEvictionPolicy, spotMaxPrice, mode }: PoolProperties,
  size: VmSize,
): void {
  if (scaleSetPriority !== 'Spot') {
    if (scaleSetEvictionPolicy !== undefined || spotMaxPrice !== undefined) {
      refuse(
        invalidParameter(
          'scaleSetEvictionPolicy and spotMaxPrice must not be set unless scaleSetPriority is Spot.',
          'properties.scaleSetPriority',
        ),
      );
    }
    return;
  }
  if (mode === 'System')
    refuse(invalidParameter('A system agent pool must not be of priority Spot.', 'properties.mode'));
  if (!size.lowPriorityCapable)
    refuse(invalidParameter(`The VM size ${size.name} is not available with priority Spot.`, 'properties.vmSize'));
  const isPrice =
    spotMaxPrice === undefined ||
    spotMaxPrice === -1 ||
    (spotMaxPrice > 0 && /^\d+(\.\d{1,5})?$/.test(String(spotMaxPrice)));
  if (!isPrice) {
    refuse(
      invalidParameter(
        `The value of spotMaxPrice is invalid: ${spotMaxPrice}. It must be -1 or greater than 0 with up to 5 decimals.`,
        'properties.spotMaxPrice',
      ),
    );
  }
}

const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const DOMAIN = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const RESERVED_DOMAINS = ['kubernetes.azure.com', 'kubernetes.io'];
const SPOT_TAINT = 'kubernetes.azure.com/scalesetpriority=spot:NoSchedule';

function validateLabels(labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    validateKey(key, 'label', 'properties.nodeLabels');
    if (value !== '' && !NAME.test(value)) {
      refuse(
        invalidParameter(
          `The value '${value}' of node label '${key}' is invalid: at most 63 of A-Za-z0-9._- are allowed, beginning and ending with a letter or digit.`,
          'properties.nodeLabels',
        ),
      );
    }
  }
}

function validateTaint(taint: string): void {
  if (taint === SPOT_TAINT) return;
  const [, key, value, effect] = /^([^=:]+)=([^=:]*):([^=:]+)$/.exec(taint) ?? [];
  const isWhole = key !== undefined && value !== undefined && (value === '' || NAME.test(value));
  if (!isWhole || !['NoSchedule', 'PreferNoSchedule', 'NoExecute'].includes(effect ?? '')) {
    refuse(
      invalidParameter(
        `The node taint '${taint}' is invalid. It must be key=value:effect, with effect NoSchedule, PreferNoSchedule or NoExecute.`,
        'properties.nodeTaints',
      ),
    );
  }
  validateKey(key ?? '', 'taint', 'properties.nodeTaints');
}

function validateKey(key: string, what: string, target: string): void {
  const slash = key.indexOf('/');
  const domain = slash < 0 ? undefined : key.slice(0, slash);
  if (domain !== undefined && RESERVED_DOMAINS.includes(domain)) {
    refuse(invalidParameter(`The node ${what} '${key}' is not allowed: the prefix '${domain}/' is reserved.`, target));
  }
  if ((domain !== undefined && !DOMAIN.test(domain)) || !NAME.test(key.slice(slash + 1))) {
    refuse(invalidParameter(`The key '${key}' of a node ${what} is invalid.`, target));
  }
}

/** ARM's rules for tags of any resource. */
function validateTags(tags: Readonly<Record<string, string>>): void {
  const entries = Object.entries(tags);
  if (entries.length > 50)
    refuse(enveloped(400, { code: 'InvalidTags', message: `${entries.length} tags are given; 50 are allowed.` }));
  for (const [key, value] of entries) {
    if (/[<>%&\\?/]/.test(key)) {
      refuse(
        enveloped(400, {
          code: 'InvalidTagNameCharacters',
          message: `The tag names '${key}' have reserved characters '<,>,%,&,\\,?,/' or control characters.`,
        }),
      );
    }
    if (key.length > 512 || value.length > 256) {
      refuse(
        enveloped(400, {
          code: 'InvalidTagLength',
          message: `The tag '${key}' is too long: names have up to 512 characters, values up to 256.`,
        }),
      );
    }
  }
}

const IMMUTABLE = [
  'vmSize',
  'availabilityZones',
  'scaleSetPriority',
  'scaleSetEvictionPolicy',
  'spotMaxPrice',
  'osDiskType',
  'osDiskSizeGB',
  'osType',
  'vnetSubnetID',
  'capacityReservationGroupID',
  'gpuInstanceProfile',
  'type',
] as const;

/** An update may leave these out, but not change them. */
export function validateChange(before: PoolProperties, after: PoolProperties): void {
  for (const key of IMMUTABLE) {
    const [was, wanted] = [before[key], after[key]];
    if (wanted === undefined || JSON.stringify(was)?.toLowerCase() === JSON.stringify(wanted).toLowerCase()) continue;
    refuse(
      bare(400, {
        code: 'PropertyChangeNotAllowed',
        message: `Changing property 'properties.${key}' is not allowed.`,
        target: `properties.${key}`,
      }),
    );
  }
}

/** All pools of a cluster are in managed subnets, or each names its own. */
export function validateSubnet(name: string, { vnetSubnetID }: PoolProperties, { subnetId }: ClusterSpec): void {
  if (subnetId === undefined && vnetSubnetID !== undefined) {
    refuse(
      invalidParameter(
        `Cannot use a custom subnet because agent pool system is using a managed subnet. Please omit the vnetSubnetID parameter from the request.`,
        'properties.vnetSubnetID',
      ),
    );
  }
  if (subnetId !== undefined && vnetSubnetID === undefined) {
    refuse(
      invalidParameter(
        `The Agentpool ${name} does not have subnet defined, please set subnet for all agentpools.`,
        'properties.vnetSubnetID',
      ),
    );
  }
}

function refuse(refusal: Refusal): never {
  throw new ArmRefusal(refusal);
}
