/** PUT of an agent pool: creation, and change of what may be changed. */
import { readPoolBody } from './api-description';
import {
  ArmRefusal,
  bare,
  clusterBusy,
  insufficientFamilyQuota,
  invalidParameter,
  otherPoolBusy,
  poolBusy,
  preconditionFailed,
  type ErrorBody,
} from './errors';
import { quotaExceeded, vnetBusy } from './failures';
import { begin, operationUrl } from './operations';
import { LOW_PRIORITY, REGIONAL, type Shortage } from './quota';
import type { VmSize } from './sizes';
import { change, isAtRest, poolResource, type Cluster, type Operation, type StoredPool, type World } from './state';
import type { Answer, PoolProperties, RecordedRequest } from './types';
import { validateChange, validatePool, validateSubnet } from './validation';

/** https://learn.microsoft.com/azure/aks/quotas-skus-regions */
const MOST_POOLS = 100;
const SPOT = { 'kubernetes.azure.com/scalesetpriority': 'spot' };
const SPOT_TAINT = 'kubernetes.azure.com/scalesetpriority=spot:NoSchedule';

export function putPool(world: World, cluster: Cluster, name: string, request: RecordedRequest): Answer {
  const wanted = readPoolBody(request.body);
  const existing = cluster.pools.get(name);
  checkPreconditions(world, existing, name, request);
  checkLocks(world, cluster, name);
  checkCluster(cluster);
  return existing === undefined ? create(world, cluster, name, wanted) : update(world, cluster, existing, wanted);
}

function create(world: World, cluster: Cluster, name: string, wanted: PoolProperties): Answer {
  const { settings } = world;
  const size = validatePool(poolRequest(world, cluster, name, wanted));
  validateSubnet(name, wanted, cluster.spec);
  if (cluster.pools.size >= MOST_POOLS) {
    throw new ArmRefusal(
      invalidParameter(
        `The number of agent pools ${cluster.pools.size + 1} exceeds the maximum of ${MOST_POOLS} of a cluster.`,
      ),
    );
  }
  const count = wanted.count ?? 1;
  const doomed = checkQuota(world, cluster, wanted, size, count * size.vcpus) ?? checkVnet(cluster);
  const pool: StoredPool = {
    name,
    cluster: cluster.spec.name,
    properties: {},
    origin: 'client',
    nodes: [],
    machinesMade: 0,
  };
  change(pool, withDefaults(wanted, size, settings.associatesReservations));
  cluster.pools.set(name, pool);
  const operation = begin(world, cluster, pool, {
    kind: 'create',
    during: 'Creating',
    ms: settings.timings.createMs,
    onSuccess: (options) => world.machines.resize(cluster, pool, options),
    ...(doomed && { outcome: { kind: 'fails', error: doomed } }),
  });
  return accepted(world, cluster, pool, operation, 201);
}

function update(world: World, cluster: Cluster, pool: StoredPool, wanted: PoolProperties): Answer {
  const { settings } = world;
  const before = pool.properties;
  // What is left out is emptied; what cannot change, and the count, stays.
  const { nodeLabels: _labels, nodeTaints: _taints, tags: _tags, ...kept } = before;
  const size = validatePool(poolRequest(world, cluster, pool.name, { ...kept, ...wanted }));
  validateChange(before, wanted);
  const more = (wanted.count ?? before.count ?? 0) - (before.count ?? 0);
  const doomed = checkQuota(world, cluster, before, size, more * size.vcpus);
  change(pool, {
    nodeLabels: undefined,
    nodeTaints: undefined,
    tags: undefined,
    ...withSpot({ ...kept, ...wanted }),
  } as PoolProperties);
  const operation = begin(world, cluster, pool, {
    kind: 'update',
    during: more === 0 ? 'Updating' : 'Scaling',
    ms: settings.timings.updateMs,
    onSuccess: (options) => world.machines.resize(cluster, pool, options),
    ...(doomed && { outcome: { kind: 'fails', error: doomed } }),
  });
  return accepted(world, cluster, pool, operation, 200);
}

/** `If-Match` and `If-None-Match`; shared with DELETE. */
export function checkPreconditions(
  { settings }: World,
  existing: StoredPool | undefined,
  name: string,
  { headers }: RecordedRequest,
): void {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    throw new ArmRefusal(
      invalidParameter(`The value '${ifNoneMatch}' of If-None-Match is invalid; only * is supported.`),
    );
  }
  if (ifNoneMatch === '*' && existing !== undefined && settings.honoursIfNoneMatch) {
    throw new ArmRefusal(preconditionFailed(`The agent pool ${name} exists, and If-None-Match says that it must not.`));
  }
  const isMet = ifMatch === undefined || (existing !== undefined && [existing.properties.eTag, '*'].includes(ifMatch));
  if (!isMet) {
    throw new ArmRefusal(
      preconditionFailed(
        `The etag ${ifMatch} of the agent pool ${name} does not match the current one ${existing?.properties.eTag ?? '(none)'}.`,
      ),
    );
  }
}

const DOING: Readonly<Record<string, string>> = { create: 'create', delete: 'delete' };

/** Who is at work keeps others away; shared with DELETE, which may take over a creation. */
export function checkLocks(
  { settings }: World,
  cluster: Cluster,
  name: string,
  except: (pool: StoredPool) => boolean = () => false,
): void {
  if (cluster.busyWith !== undefined) throw new ArmRefusal(clusterBusy(cluster.busyWith));
  for (const pool of cluster.pools.values()) {
    if (pool.operation === undefined || except(pool)) continue;
    if (pool.name === name) throw new ArmRefusal(poolBusy(name, DOING[pool.operation.kind] ?? 'update'));
    if (settings.locks === 'cluster') {
      throw new ArmRefusal(otherPoolBusy(pool.name, pool.properties.provisioningState ?? 'Updating'));
    }
  }
}

function checkCluster({ spec, state }: Cluster): void {
  const { provisioningState, powerState } = state;
  if (powerState === 'Running' && provisioningState === 'Succeeded') return;
  const message =
    powerState === 'Stopped'
      ? `Operation is not allowed: managed cluster ${spec.name} is stopped. Start it first.`
      : `Operation is not allowed: managed cluster ${spec.name} is in state ${provisioningState}.`;
  throw new ArmRefusal(
    bare(provisioningState === 'Succeeded' || provisioningState === 'Failed' ? 400 : 409, {
      code: 'OperationNotAllowed',
      message,
    }),
  );
}

/** Refuses, or gives what the operation will fail with: the family shows at once, the rest when machines are asked for. */
function checkQuota(
  { ledger, settings }: World,
  { spec }: Cluster,
  { scaleSetPriority }: PoolProperties,
  size: VmSize,
  need: number,
): ErrorBody | undefined {
  const [shortage] = ledger.shortages(size, scaleSetPriority === 'Spot', need);
  if (shortage === undefined) return undefined;
  const { name, limit, used } = shortage;
  if (name === size.family && settings.familyQuotaShowsIn === 'answer') {
    throw new ArmRefusal(insufficientFamilyQuota(need, Math.max(0, limit - used), name, spec.location));
  }
  return quotaExceeded(nameInMessages(shortage), { location: spec.location, ...shortage });
}

function nameInMessages({ name }: Shortage): string {
  if (name === REGIONAL) return 'Total Regional';
  return name === LOW_PRIORITY ? 'LowPriorityCores' : name;
}

function checkVnet({ spec, pools }: Cluster): ErrorBody | undefined {
  const isBusy = [...pools.values()].some((pool) => !isAtRest(pool) && pool.operation?.kind === 'create');
  return spec.subnetId !== undefined && spec.vnetIsSerial === true && isBusy ? vnetBusy(spec.subnetId) : undefined;
}

function poolRequest({ settings }: World, { spec }: Cluster, name: string, properties: PoolProperties) {
  const { subscriptionId, sizes } = settings;
  return { name, properties, cluster: spec, subscriptionId, sizes };
}

/** What the service fills in. */
export function withDefaults(wanted: PoolProperties, size: VmSize, associatesReservations: boolean): PoolProperties {
  const osDiskSizeGB = wanted.osDiskSizeGB === undefined || wanted.osDiskSizeGB === 0 ? 128 : wanted.osDiskSizeGB;
  const { capacityReservationGroupID, ...rest } = wanted;
  const isAssociated = associatesReservations && size.reservable && capacityReservationGroupID !== undefined;
  return withSpot({
    count: 1,
    type: 'VirtualMachineScaleSets',
    mode: 'User',
    osType: 'Linux',
    osSKU: 'Ubuntu',
    osDiskType: osDiskSizeGB <= size.ephemeralGiB ? 'Ephemeral' : 'Managed',
    kubeletDiskType: 'OS',
    maxPods: 110,
    enableAutoScaling: false,
    enableNodePublicIP: false,
    orchestratorVersion: '1.34',
    currentOrchestratorVersion: '1.34.2',
    nodeImageVersion: 'AKSUbuntu-2204gen2containerd-202611.01.0',
    powerState: { code: 'Running' },
    upgradeSettings: { maxSurge: '10%' },
    ...(size.gpus > 0 && { gpuProfile: { driver: 'Install' } }),
    ...rest,
    osDiskSizeGB,
    ...(isAssociated && { capacityReservationGroupID }),
  });
}

function withSpot(properties: PoolProperties): PoolProperties {
  if (properties.scaleSetPriority !== 'Spot') return properties;
  return {
    scaleSetEvictionPolicy: 'Delete',
    spotMaxPrice: -1,
    ...properties,
    nodeLabels: { ...properties.nodeLabels, ...SPOT },
    nodeTaints: [...new Set([...(properties.nodeTaints ?? []), SPOT_TAINT])],
  };
}

function accepted(world: World, { spec }: Cluster, pool: StoredPool, operation: Operation, status: number): Answer {
  return {
    status,
    headers: operationHeaders(world, operation),
    body: structuredClone(poolResource(world.settings, spec, pool)),
  };
}

/** Where to ask for the operation, and when. */
export function operationHeaders(world: World, operation: Operation): Readonly<Record<string, string>> {
  const { operationHeader, retryAfterSeconds } = world.settings;
  // Only the pool that a PUT made can be read in place of the operation.
  const header =
    operationHeader === 'none' && operation.kind !== 'create' && operation.kind !== 'update'
      ? 'azure-asyncoperation'
      : operationHeader;
  return {
    ...(header === 'azure-asyncoperation' && { 'azure-asyncoperation': operationUrl(world, operation, 'operations') }),
    ...((header === 'location' || (header === 'azure-asyncoperation' && operation.kind === 'delete')) && {
      location: operationUrl(world, operation, 'operationresults'),
    }),
    ...(retryAfterSeconds !== 'none' && { 'retry-after': String(retryAfterSeconds) }),
  };
}
