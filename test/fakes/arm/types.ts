/**
 * What a test sees of the fake Azure Resource Manager. Start it with `startFakeArm` (fake-arm.ts).
 *
 *     const arm = await startFakeArm({ nodes: kwokNodes(client) });
 *     arm.script.on('PUT', /agentPools/, 1).answer(throttled({ seconds: 2 }));
 *     arm.operations.on('create', (pool) => pool.properties.availabilityZones?.[0] === '1').fails(zonalAllocationFailed());
 *     // … run the product against arm.url, trusting arm.ca, with arm.credential …
 *     arm.assertInvariants({ nothingLeft: true });
 *     await arm.stop();
 */
import type { ArmClock } from './clock';
import type { ErrorBody, Refusal } from './errors';
import type { NodeMaker } from './nodes';
import type { VmSize } from './sizes';

/** `properties` of an agent pool, in the names of the wire. */
export interface PoolProperties {
  count?: number;
  vmSize?: string;
  type?: string;
  mode?: string;
  osType?: string;
  osSKU?: string;
  osDiskSizeGB?: number;
  osDiskType?: string;
  availabilityZones?: string[];
  scaleSetPriority?: string;
  scaleSetEvictionPolicy?: string;
  spotMaxPrice?: number;
  nodeLabels?: Record<string, string>;
  nodeTaints?: string[];
  tags?: Record<string, string>;
  vnetSubnetID?: string;
  capacityReservationGroupID?: string;
  provisioningState?: string | null;
  eTag?: string;
  status?: { provisioningError?: ErrorBody };
  [more: string]: unknown;
}

/** A pool as it is stored, and as GET shows it but for the envelope. */
export interface Pool {
  readonly name: string;
  readonly cluster: string;
  properties: PoolProperties;
  /** `client`: a PUT made it, or did so before the test. `test`: `addPool` made it, and it is somebody else's and only to be read. */
  readonly origin: 'client' | 'test';
  /** Names of its nodes, whether or not the cluster shows them already; like `properties`, replaced as a whole when they change. */
  nodes: readonly string[];
}

export interface ClusterSpec {
  readonly name: string;
  readonly resourceGroup: string;
  readonly location: string;
  /** The system pool's subnet; a pool must name one exactly if the system pool does. Default: a managed one. */
  readonly subnetId?: string;
  /** In a subnet of one's own, a pool created while another one is fails with VirtualNetworkNotInSucceededState. Default: false. */
  readonly vnetIsSerial?: boolean;
}

export interface ClusterState {
  readonly provisioningState?: string;
  readonly powerState?: 'Running' | 'Stopped';
  /** Node auto-provisioning: `Auto` or `Manual`. Default: `Manual`. */
  readonly nodeProvisioning?: 'Auto' | 'Manual';
}

/** Durations in milliseconds of the fake's clock. */
export interface Timings {
  /** PUT of a new pool until it is `Succeeded` or `Failed`. Default: 200. */
  readonly createMs: number;
  /** PUT of an existing pool. Default: 100. */
  readonly updateMs: number;
  /** Default: 100. */
  readonly deleteMs: number;
  /** `Succeeded` until the nodes are there. Default: 50. */
  readonly nodesMs: number;
  /** Node until its GPUs are allocatable. Default: 50. */
  readonly gpusMs: number;
  /** A finished operation's record is kept so long. Default: an hour. */
  readonly operationRecordMs: number;
}

export interface FakeArmOptions {
  readonly subscriptionId?: string;
  /** Default: one cluster, {@link DEFAULT_CLUSTER}. */
  readonly clusters?: readonly ClusterSpec[];
  /** `{scale: 60}`: a minute passes in a second. `manual`: only `arm.clock.advance` lets time pass. Default: `{scale: 1}`. */
  readonly clock?: 'manual' | { readonly scale: number };
  readonly timings?: Partial<Timings>;
  /** Default: the sizes of sizes.ts. */
  readonly sizes?: readonly VmSize[];
  /** Makes nodes in a cluster. Default: nodes are only noted. */
  readonly nodes?: NodeMaker;
  /**
   * Sent with every answer about an unfinished operation. Default: 1. `none`: absent, for quick tests with an
   * `updateIntervalInMs` of their own; 0 is no use, the SDK takes it for absent.
   */
  readonly retryAfterSeconds?: number | 'none';
  /** How a client learns the state of an operation; `none`: only by reading the pool. Default: `azure-asyncoperation`. */
  readonly operationHeader?: 'azure-asyncoperation' | 'location' | 'none';
  /** PUTs of agent pools: burst, and refill per minute of the clock. Default: 20, 1, for a whole cluster. */
  readonly buckets?: { readonly burst?: number; readonly perMinute?: number; readonly scope?: 'cluster' | 'pool' };
  /** Whether `If-None-Match: *` is heeded; not known of the real service. Default: true. */
  readonly honoursIfNoneMatch?: boolean;
  /** DELETE of a pool that is being created: it takes over, or is refused with 409. Default: `accepted`. */
  readonly deleteWhileCreating?: 'accepted' | 'refused';
  /** What an operation on a pool keeps others from: that pool, or all of the cluster. Default: `pool`. */
  readonly locks?: 'pool' | 'cluster';
  /** Where a shortage of the family's quota shows: in the answer to PUT, or as the operation's failure. Default: `answer`. */
  readonly familyQuotaShowsIn?: 'answer' | 'operation';
  /** Pools and sizes per page of a list. Default: 50. */
  readonly pageSize?: number;
  /** Whether a pool that names a capacity reservation group is associated with it. Default: true. */
  readonly associatesReservations?: boolean;
}

/** A request as it arrived, and how it was answered. */
export interface RecordedRequest {
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed JSON; undefined where there was none. */
  readonly body: unknown;
  /** Name of the agent pool that the path names. */
  readonly pool?: string;
  /** When it came, milliseconds since the epoch, real time. */
  readonly atMs: number;
  /** 0 until answered, and where the connection was cut. */
  status: number;
  answeredAtMs?: number;
  /** As sent, in seconds from the answer on; undefined without the header. */
  retryAfterSeconds?: number;
  /** Path of the operation that it began. */
  operationPath?: string;
  /** The server's own bucket was empty, so this was refused. */
  throttledByBucket?: boolean;
}

/** By the last part of the path (a pool's name), by a pattern of the whole path, or by anything. */
export type RequestMatch = string | RegExp | ((request: RecordedRequest) => boolean);

/** Which of the requests or operations that match, counted from 1: one of them, from the first to the second, or each. Default: each. */
export type Turn = number | readonly [from: number, to: number] | 'every';

export interface Script {
  /**
   * Rules for requests that match, oldest rule first; `*` is any method.
   */
  on(method: string, match: RequestMatch, turn?: Turn): RuleBuilder;
  /** Ends all rules. */
  clear(): void;
}

export interface RuleBuilder {
  /** Answers instead of the server; nothing else happens, but that a PUT takes its place in the bucket (unless with 429). */
  answer(refusal: Refusal): Rule;
  /** Cuts the connection; the server never sees the request. */
  reset(): Rule;
  /** The request has its effect, then the connection is cut instead of the answer. */
  resetAfterEffect(): Rule;
  /** The request has its effect, and is answered so much later, in real milliseconds. */
  delay(ms: number): Rule;
  /** The request has its effect; what is answered may then be changed. */
  alter(change: (answer: Answer) => Answer): Rule;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface Rule {
  /** How many requests it met. */
  readonly hits: number;
  /** Resolves once it has met so many requests. Default: 1. */
  met(times?: number): Promise<void>;
  /** Ends it. */
  remove(): void;
}

export type OperationKind = 'create' | 'update' | 'delete' | 'abort' | 'deleteMachines';

/** By a pool's name, a pattern of names, or anything about it; for updates the pool is as it shall become. */
export type PoolMatch = string | RegExp | ((pool: Pool) => boolean);

export interface Outcomes {
  /** How operations that start from now on will end; the newest that matches is taken. */
  on(kind: OperationKind, match: PoolMatch, turn?: Turn): OutcomeBuilder;
  /** Everything succeeds again. */
  clear(): void;
}

export interface OutcomeBuilder {
  /** `nodes`: so many machines came all the same. Default: as many as before. */
  fails(error: ErrorBody, options?: { readonly afterMs?: number; readonly nodes?: number }): Rule;
  /** Default error: AKSOperationPreempted. */
  cancels(options?: { readonly afterMs?: number; readonly error?: ErrorBody }): Rule;
  /** Runs until an abort or a deletion ends it. */
  neverEnds(): Rule;
  succeeds(options: SuccessOptions): Rule;
}

export interface SuccessOptions {
  readonly afterMs?: number;
  /** So many nodes register, whatever the pool's count. Default: all. */
  readonly nodes?: number;
  /** So many GPUs per node become allocatable. Default: the size's. */
  readonly gpus?: number;
  /** What GET then says of the state, where it is not `Succeeded`. */
  readonly provisioningState?: string | null;
}

export interface Quota {
  /** `cores`: the region's total; `lowPriorityCores`: spot; else a family. `used`: by others than the pools here. */
  set(name: string, quota: { readonly limit: number; readonly used?: number }): void;
  /** `used` includes what pools hold. */
  get(name: string): { readonly limit: number; readonly used: number };
}

export interface InvariantOptions {
  /** No pool of a client is left. Default: not asked. */
  readonly nothingLeft?: boolean;
  /** The server's bucket may have refused requests. Default: it may not. */
  readonly mayBeThrottled?: boolean;
  /** What of a PUT's body must be the same every time, where not all of it. */
  readonly comparable?: (body: unknown) => unknown;
}

export interface AddOptions {
  readonly cluster?: string;
  /** The product made it in an earlier life, so it may be changed and must not be left. Default: somebody else's, only to be read. */
  readonly owned?: boolean;
  /** Its nodes appear, `nodesMs` from now. Default: false. */
  readonly withNodes?: boolean;
}

export interface FakeArm {
  /** `https://127.0.0.1:…`, for endpoint, prices (`/api/retail/prices`) and tokens alike. */
  readonly url: string;
  /** The certificate to trust, PEM; and as a file, for NODE_EXTRA_CA_CERTS. */
  readonly ca: string;
  readonly caFile: string;
  readonly subscriptionId: string;
  readonly cluster: ClusterSpec;
  readonly clock: ArmClock;
  readonly script: Script;
  readonly operations: Outcomes;
  readonly quota: Quota;
  /** Dollars an hour by size; a size without one is unknown to the price list. */
  readonly prices: Map<string, { readonly regular?: number; readonly spot?: number }>;
  /** What `@azure/core-auth` calls a TokenCredential; gives the token that is valid when asked. */
  readonly credential: { getToken(): Promise<{ token: string; expiresOnTimestamp: number }> };
  /** Every request so far. */
  readonly requests: readonly RecordedRequest[];
  /** Requests by method, for the pool of that name or for any pool. */
  requestsOf(method: string, match?: RequestMatch): readonly RecordedRequest[];
  /** Pools that exist, of the first cluster or of the named one. */
  pools(cluster?: string): readonly Pool[];
  pool(name: string, cluster?: string): Pool | undefined;
  /** A pool that exists already; `Succeeded`, if not told otherwise. */
  addPool(name: string, properties?: PoolProperties, options?: AddOptions): Pool;
  /** As if somebody had changed it in the portal: gets a new etag, and other nodes where the count differs. */
  changePool(name: string, change: PoolProperties, cluster?: string): void;
  /** Spot eviction: nodes vanish, the count is 0. */
  evict(name: string, cluster?: string): Promise<void>;
  /** So many GPUs per node from now on, for a device plugin that is late or dies. */
  setGpus(pool: string, count: number): Promise<void>;
  /** Its nodes, or the named ones of them, fall ill or get well. `since`: what the condition says of its last change. Default: now. */
  setReady(
    pool: string,
    ready: boolean,
    options?: { readonly nodes?: readonly string[]; readonly since?: Date },
  ): Promise<void>;
  /** Begins an operation of the whole cluster (`Updating`, `Upgrading`, `Stopping`, …) that locks it; call the result to end it. */
  beginClusterOperation(state: string, cluster?: string): () => void;
  /** What GET says about the cluster; at first `Succeeded` and `Running`. */
  setCluster(state: ClusterState, cluster?: string): void;
  /** Tokens given so far become invalid. */
  rotateToken(): void;
  /** From now on a client need not know what the server told it earlier: its process was killed. */
  clientRestarted(): void;
  /** Removes all records of operations, as time does. */
  forgetOperations(): void;
  /** Resolves when the condition, looked at after each request and each event, holds; fails after `timeoutMs` (real). Default: 10 s. */
  until(what: string, condition: () => boolean, timeoutMs?: number): Promise<void>;
  /** Throws an Error that lists every breach. */
  assertInvariants(options?: InvariantOptions): void;
  /** Closes connections, ends timers, takes all nodes away. */
  stop(): Promise<void>;
}
