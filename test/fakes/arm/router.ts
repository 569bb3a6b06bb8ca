/** From a request to its answer: authentication, version, what is asked for, throttling. */
import { Bucket } from './bucket';
import { listSkus, listUsages } from './compute';
import { ArmRefusal, enveloped, notFound, throttled } from './errors';
import { operationBody, signature } from './operations';
import { abortPool, deleteMachines, deletePool, getCluster, getPool, listMachines, listPools } from './pool-requests';
import { listPrices, type Prices } from './prices';
import { putPool } from './put-pool';
import { poolResource, type Cluster, type World } from './state';
import { checkApiVersion, type Tokens } from './tokens';
import type { Answer, RecordedRequest } from './types';

/** Stable versions whose agent pools are alike as far as this fake goes. */
const CONTAINER_SERVICE_VERSIONS = ['2026-06-01', '2026-04-01', '2026-03-01', '2026-01-01', '2025-10-01'];
const SKU_VERSIONS = ['2021-07-01', '2019-04-01'];
const USAGE_VERSIONS = ['2025-04-01', '2024-11-01', '2024-07-01', '2024-03-01', '2023-09-01'];
const PRICE_PATH = '/api/retail/prices';
const SIZES_PATH = /^\/subscriptions\/([^/]+)\/providers\/Microsoft\.Compute\/(?:skus|locations\/([^/]+)\/usages)$/i;
const OPERATION_PATH =
  /^\/subscriptions\/([^/]+)\/providers\/Microsoft\.ContainerService\/locations\/([^/]+)\/(operations|operationresults)\/([^/]+)$/i;
const CLUSTER_PATH =
  /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.ContainerService\/managedClusters\/([^/]+)(\/.*)?$/i;
const POOL_PATH = /\/agentPools\/([^/]+)/i;

/** The agent pool that a path names. */
export function poolOfPath(path: string): string | undefined {
  return CLUSTER_PATH.test(path) ? POOL_PATH.exec(path)?.[1] : undefined;
}

export class Router {
  /** Requests for what the fake does not have: a test must hear of them. */
  readonly unknown: string[] = [];
  readonly #buckets = new Map<string, Bucket>();

  constructor(
    readonly world: World,
    readonly tokens: Tokens,
    readonly prices: Prices,
  ) {}

  answer(request: RecordedRequest): Answer {
    const { path, method } = request;
    if (method === 'GET' && path === PRICE_PATH) return listPrices(this.world, this.prices, request);
    if (method === 'POST' && /^\/[^/]+\/oauth2\/v2\.0\/token$/.test(path)) return this.tokens.give(request);
    const [, authority] = /^\/([^/]+)\/v2\.0\/\.well-known\/openid-configuration$/.exec(path) ?? [];
    if (method === 'GET' && authority !== undefined) return this.tokens.describe(`${this.world.url()}/${authority}`);
    this.tokens.check(request);
    const [, subscription] = /^\/subscriptions\/([^/]+)/i.exec(path) ?? [];
    const { subscriptionId } = this.world.settings;
    if (subscription !== undefined && subscription !== subscriptionId) {
      throw new ArmRefusal(notFound('SubscriptionNotFound', `The subscription '${subscription}' could not be found.`));
    }
    return this.#operation(request) ?? this.#compute(request) ?? this.#cluster(request) ?? this.#refuseUnknown(request);
  }

  #operation(request: RecordedRequest): Answer | undefined {
    const [, , , kind, id = ''] = OPERATION_PATH.exec(request.path) ?? [];
    if (kind === undefined || request.method !== 'GET') return undefined;
    const { operations, settings, clusters } = this.world;
    const operation = operations.get(id);
    if (operation === undefined) {
      throw new ArmRefusal(notFound('NotFound', `The entity was not found: operation ${id}.`));
    }
    if (
      request.query.getAll('api-version').join() !== '2016-03-30' ||
      request.query.get('s') !== signature(operation)
    ) {
      this.unknown.push(
        `${request.method} ${request.path}?${request.query.toString()} is not the address that was given`,
      );
      throw new ArmRefusal(
        enveloped(400, { code: 'InvalidParameter', message: 'The address of the operation was changed.' }),
      );
    }
    const isRunning = operation.status === 'InProgress';
    const headers =
      isRunning && settings.retryAfterSeconds !== 'none' ? { 'retry-after': String(settings.retryAfterSeconds) } : {};
    if (kind.toLowerCase() === 'operations') return { status: 200, headers, body: operationBody(operation) };
    if (isRunning) return { status: 202, headers };
    if (operation.status !== 'Succeeded') return { status: 400, headers, body: { error: operation.error } };
    const cluster = clusters.get(operation.cluster);
    const pool = cluster?.pools.get(operation.pool);
    return cluster === undefined || pool === undefined
      ? { status: 204, headers }
      : { status: 200, headers, body: poolResource(settings, cluster.spec, pool) };
  }

  #compute(request: RecordedRequest): Answer | undefined {
    const [whole, , location] = SIZES_PATH.exec(request.path) ?? [];
    if (whole === undefined || request.method !== 'GET') return undefined;
    const regions = [...this.world.clusters.values()].map(({ spec }) => spec.location);
    if (location !== undefined && !regions.some((region) => same(region, location))) {
      const message = `No registered resource provider found for location '${location}'. The supported locations are '${regions.join(', ')}'.`;
      throw new ArmRefusal(enveloped(400, { code: 'NoRegisteredProviderFound', message }));
    }
    if (location === undefined) {
      checkApiVersion(request, 'Microsoft.Compute', SKU_VERSIONS);
      return listSkus(this.world, request);
    }
    checkApiVersion(request, 'Microsoft.Compute', USAGE_VERSIONS);
    return listUsages(this.world, request);
  }

  #cluster(request: RecordedRequest): Answer | undefined {
    const [whole, , group = '', name = '', rest = ''] = CLUSTER_PATH.exec(request.path) ?? [];
    if (whole === undefined) return undefined;
    checkApiVersion(request, 'Microsoft.ContainerService', CONTAINER_SERVICE_VERSIONS);
    const clusters = [...this.world.clusters.values()];
    if (!clusters.some(({ spec }) => same(spec.resourceGroup, group))) {
      throw new ArmRefusal(notFound('ResourceGroupNotFound', `Resource group '${group}' could not be found.`));
    }
    const cluster = clusters.find(({ spec }) => same(spec.resourceGroup, group) && same(spec.name, name));
    if (cluster === undefined) {
      const resource = `Microsoft.ContainerService/managedClusters/${name}`;
      throw new ArmRefusal(
        notFound('ResourceNotFound', `The Resource '${resource}' under resource group '${group}' was not found.`),
      );
    }
    const [, pool, action = ''] = /^\/agentPools\/([^/]+)(\/.*)?$/i.exec(rest) ?? [];
    if (pool !== undefined) return this.#pool(request, cluster, pool, action.toLowerCase());
    if (request.method !== 'GET') return undefined;
    if (rest === '') return getCluster(this.world, cluster);
    return /^\/agentPools$/i.test(rest) ? listPools(this.world, cluster, request) : undefined;
  }

  #pool(request: RecordedRequest, cluster: Cluster, pool: string, action: string): Answer | undefined {
    const { world } = this;
    switch (`${request.method} ${action}`) {
      case 'PUT ':
        this.#throttle(request, cluster, pool);
        return putPool(world, cluster, pool, request);
      case 'GET ':
        return getPool(world, cluster, pool);
      case 'DELETE ':
        return deletePool(world, cluster, pool, request);
      case 'POST /abort':
        return abortPool(world, cluster, pool);
      case 'POST /deletemachines':
        return deleteMachines(world, cluster, pool, request);
      case 'GET /machines':
        return listMachines(world, cluster, pool, request);
      default:
        return undefined;
    }
  }

  /** For a request that the script answers: the service would have counted it, too, unless it was to be throttled. */
  count(request: RecordedRequest, status: number): void {
    const [, , , name = ''] = CLUSTER_PATH.exec(request.path) ?? [];
    if (request.method === 'PUT' && request.pool !== undefined && status !== 429)
      this.#take(request, name, request.pool);
  }

  #throttle(request: RecordedRequest, { spec }: Cluster, pool: string): void {
    const taken = this.#take(request, spec.name, pool);
    if (taken === 'taken') return;
    throw new ArmRefusal(throttled({ seconds: Math.max(1, Math.ceil(taken.waitMs / 1_000)) }, request.path));
  }

  #take(request: RecordedRequest, cluster: string, pool: string): ReturnType<Bucket['take']> {
    const { burst, perMinute, scope } = this.world.settings.buckets;
    const key = scope === 'cluster' ? cluster : `${cluster}/${pool}`;
    const bucket = this.#buckets.get(key) ?? new Bucket(this.world.clock, burst, perMinute);
    this.#buckets.set(key, bucket);
    const taken = bucket.take();
    if (taken !== 'taken') request.throttledByBucket = true;
    return taken;
  }

  #refuseUnknown({ method, path }: RecordedRequest): never {
    this.unknown.push(`${method} ${path} is not part of the fake`);
    throw new ArmRefusal(notFound('InvalidResourceType', `The resource type could not be found: ${method} ${path}.`));
  }
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
