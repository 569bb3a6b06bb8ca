/**
 * A strict stand-in for Azure Resource Manager as far as AKS agent pools go, over HTTPS: asynchronous operations, etags, locks, throttling, quota,
 * failed pools that stay, sizes, usages, prices, tokens. What it accepts the service accepts, as far as the published contract tells; what it
 * does not know is refused, and breaks `assertInvariants`. types.ts says how to use it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { selfSigned } from '../certificates';
import { Clock } from './clock';
import { breaches } from './invariants';
import { Machines } from './machines';
import { OutcomeScript } from './outcomes';
import { withDefaults } from './put-pool';
import { Ledger } from './quota';
import { Router } from './router';
import { requestMatcher, RequestScript } from './script';
import { ArmServer } from './server';
import { findVmSize, SIZES } from './sizes';
import { change, type Cluster, type Settings, type StoredPool, type World } from './state';
import { Tokens } from './tokens';
import type {
  AddOptions,
  ClusterSpec,
  ClusterState,
  FakeArm,
  FakeArmOptions,
  InvariantOptions,
  PoolProperties,
  RecordedRequest,
  RequestMatch,
  Timings,
} from './types';

export const DEFAULT_CLUSTER: ClusterSpec = { name: 'aks', resourceGroup: 'kaito', location: 'eastus' };
const DEFAULT_SUBSCRIPTION = '00000000-0000-0000-0000-00000000face';
const DEFAULT_TIMINGS: Timings = {
  createMs: 200,
  updateMs: 100,
  deleteMs: 100,
  nodesMs: 50,
  gpusMs: 50,
  operationRecordMs: 3_600_000,
};

/** Starts one on a free port of the loopback interface. */
export async function startFakeArm(options: FakeArmOptions = {}): Promise<FakeArm> {
  const folder = await mkdtemp(join(tmpdir(), 'fake-arm-'));
  const certificate = selfSigned();
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, certificate.certificate);
  const arm = new RunningArm(
    options,
    certificate.certificate,
    caFile,
    (script, changed) => new ArmServer(certificate, script, changed),
  );
  await arm.start();
  return arm;
}

class RunningArm implements FakeArm {
  readonly subscriptionId: string;
  readonly cluster: ClusterSpec;
  readonly clock: Clock;
  readonly script = new RequestScript();
  readonly operations = new OutcomeScript();
  readonly quota: Ledger;
  readonly prices = new Map<string, { readonly regular?: number; readonly spot?: number }>();
  readonly credential = new Tokens();
  readonly #world: World;
  readonly #server: ArmServer;
  readonly #router: Router;
  readonly #waiting = new Set<() => void>();
  readonly #foreign = new Set<string>();

  constructor(
    options: FakeArmOptions,
    readonly ca: string,
    readonly caFile: string,
    createServer: (script: RequestScript, changed: () => void) => ArmServer,
  ) {
    const changed = (): void => this.#waiting.forEach((look) => look());
    const settings = complete(options);
    const [first = DEFAULT_CLUSTER, ...others] = options.clusters ?? [];
    this.subscriptionId = settings.subscriptionId;
    this.cluster = first;
    this.clock = new Clock(options.clock ?? { scale: 1 });
    const clusters = new Map([first, ...others].map((spec) => [spec.name, newCluster(spec, settings)]));
    this.quota = new Ledger(settings.sizes, () => [...clusters.values()].flatMap(({ pools }) => [...pools.values()]));
    this.#server = createServer(this.script, changed);
    this.#world = {
      settings,
      clock: this.clock,
      clusters,
      operations: new Map(),
      outcomes: this.operations,
      ledger: this.quota,
      machines: new Machines(settings, this.clock, options.nodes),
      url: () => this.url,
      changed,
    };
    this.#router = new Router(this.#world, this.credential, this.prices);
    for (const cluster of clusters.values()) for (const name of cluster.pools.keys()) this.#foreign.add(name);
  }

  get url(): string {
    return this.#server.url;
  }

  get requests(): readonly RecordedRequest[] {
    return this.#server.requests;
  }

  async start(): Promise<void> {
    await this.#server.start(this.#router);
  }

  requestsOf(method: string, match: RequestMatch = /./): readonly RecordedRequest[] {
    return this.requests.filter(requestMatcher(method, match));
  }

  pools(cluster?: string): readonly StoredPool[] {
    return [...this.#cluster(cluster).pools.values()];
  }

  pool(name: string, cluster?: string): StoredPool | undefined {
    return this.#cluster(cluster).pools.get(name);
  }

  addPool(name: string, properties: PoolProperties = {}, { cluster, owned, withNodes }: AddOptions = {}): StoredPool {
    if (owned !== true) this.#foreign.add(name);
    const origin = owned === true ? 'client' : 'test';
    const pool = add(this.#cluster(cluster), name, properties, this.#world.settings, origin);
    if (withNodes === true) this.#world.machines.resize(this.#cluster(cluster), pool, {});
    return pool;
  }

  changePool(name: string, properties: PoolProperties, cluster?: string): void {
    const pool = this.#existing(name, cluster);
    change(pool, properties);
    if (properties.count !== undefined) this.#world.machines.resize(this.#cluster(cluster), pool, {});
    this.#world.changed();
  }

  async evict(name: string, cluster?: string): Promise<void> {
    const pool = this.#existing(name, cluster);
    change(pool, { count: 0 });
    await this.#world.machines.removeAll(pool);
    this.#world.changed();
  }

  async setGpus(pool: string, count: number): Promise<void> {
    await this.#world.machines.setGpus(this.#existing(pool), count);
  }

  async setReady(
    pool: string,
    ready: boolean,
    { nodes = this.#existing(pool).nodes, since = new Date() }: { nodes?: readonly string[]; since?: Date } = {},
  ): Promise<void> {
    await this.#world.machines.setReady(nodes, ready, since);
  }

  beginClusterOperation(state: string, cluster?: string): () => void {
    const one = this.#cluster(cluster);
    one.busyWith = state;
    one.state = { ...one.state, provisioningState: state };
    return () => {
      delete one.busyWith;
      one.state = { ...one.state, provisioningState: 'Succeeded' };
    };
  }

  setCluster(state: ClusterState, cluster?: string): void {
    const one = this.#cluster(cluster);
    one.state = { ...one.state, ...state };
  }

  rotateToken(): void {
    this.credential.rotate();
  }

  clientRestarted(): void {
    this.#server.log.push({ kind: 'restart' });
  }

  forgetOperations(): void {
    this.#world.operations.clear();
  }

  async until(what: string, condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const finish = (end: () => void): void => {
        clearTimeout(timeout);
        this.#waiting.delete(look);
        end();
      };
      const look = (): void => {
        if (condition()) finish(resolve);
      };
      const timeout = setTimeout(
        () => finish(() => reject(new Error(`not within ${timeoutMs} ms: ${what}`))),
        timeoutMs,
      );
      this.#waiting.add(look);
      look();
    });
  }

  assertInvariants(options: InvariantOptions = {}): void {
    const found = breaches(
      {
        requests: this.requests,
        pools: [...this.#world.clusters.values()].flatMap(({ pools }) => [...pools.values()]),
        foreign: this.#foreign,
        log: this.#server.log,
        unknown: this.#router.unknown,
        errors: [...this.#server.errors, ...this.#world.machines.failures],
      },
      options,
    );
    if (found.length > 0) throw new Error(`${found.length} invariants of Azure do not hold:\n- ${found.join('\n- ')}`);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    this.clock.stop();
    await this.#world.machines.stop();
    await rm(join(this.caFile, '..'), { recursive: true, force: true });
  }

  #cluster(name = this.cluster.name): Cluster {
    const cluster = this.#world.clusters.get(name);
    if (cluster === undefined) throw new Error(`no cluster "${name}" was given to startFakeArm`);
    return cluster;
  }

  #existing(name: string, cluster?: string): StoredPool {
    const pool = this.pool(name, cluster);
    if (pool === undefined) throw new Error(`there is no pool "${name}"`);
    return pool;
  }
}

function complete({ buckets, timings, ...options }: FakeArmOptions): Settings {
  return {
    subscriptionId: options.subscriptionId ?? DEFAULT_SUBSCRIPTION,
    timings: { ...DEFAULT_TIMINGS, ...timings },
    sizes: options.sizes ?? SIZES,
    retryAfterSeconds: options.retryAfterSeconds ?? 1,
    operationHeader: options.operationHeader ?? 'azure-asyncoperation',
    buckets: { burst: 20, perMinute: 1, scope: 'cluster', ...buckets },
    honoursIfNoneMatch: options.honoursIfNoneMatch ?? true,
    deleteWhileCreating: options.deleteWhileCreating ?? 'accepted',
    locks: options.locks ?? 'pool',
    familyQuotaShowsIn: options.familyQuotaShowsIn ?? 'answer',
    pageSize: options.pageSize ?? 50,
    associatesReservations: options.associatesReservations ?? true,
  };
}

/** With the pool that every cluster has. */
function newCluster(spec: ClusterSpec, settings: Settings): Cluster {
  const cluster: Cluster = {
    spec,
    pools: new Map(),
    state: { provisioningState: 'Succeeded', powerState: 'Running', nodeProvisioning: 'Manual' },
  };
  const system = { mode: 'System', vmSize: 'Standard_D4s_v5', count: 1 };
  add(cluster, 'system', system, settings, 'test');
  return cluster;
}

function add(
  { spec, pools }: Cluster,
  name: string,
  properties: PoolProperties,
  settings: Settings,
  origin: StoredPool['origin'],
): StoredPool {
  const { vmSize = 'Standard_NC24ads_A100_v4' } = properties;
  const size = findVmSize(settings.sizes, vmSize);
  const pool: StoredPool = { name, cluster: spec.name, properties: {}, origin, nodes: [], machinesMade: 0 };
  const subnet = spec.subnetId === undefined ? {} : { vnetSubnetID: spec.subnetId };
  const whole = { ...subnet, ...properties, vmSize };
  change(pool, { provisioningState: 'Succeeded', ...(size === undefined ? whole : withDefaults(whole, size, true)) });
  pools.set(name, pool);
  return pool;
}
