import { createHash } from 'node:crypto';

import type { MachineNode, NodeMaker } from './nodes';
import { findVmSize } from './sizes';
import { nodeResourceGroup, type Cluster, type Settings, type StoredPool } from './state';
import type { SuccessOptions } from './types';
import type { Clock } from './clock';

/** The machines of all pools: makes nodes of what an operation promised, and takes them away. */
export class Machines {
  /** What failed to be done to nodes; a test must hear of it. */
  readonly failures: unknown[] = [];
  /** One thing at a time for each node. */
  readonly #doing = new Map<string, Promise<void>>();
  readonly #timers = new Map<string, () => void>();
  readonly #present = new Set<string>();
  #isStopped = false;

  constructor(
    readonly settings: Settings,
    readonly clock: Clock,
    readonly maker: NodeMaker | undefined,
  ) {}

  /** Brings the pool to its count; nodes come and go later, by the clock. */
  resize(cluster: Cluster, pool: StoredPool, { nodes, gpus }: SuccessOptions): void {
    const count = nodes ?? pool.properties.count ?? 0;
    while (pool.nodes.length > count) void this.remove(pool, pool.nodes.at(-1) ?? '');
    while (pool.nodes.length < count) this.#add(cluster, pool, gpus);
  }

  /** Resolves when the node is gone. */
  async remove(pool: StoredPool, name: string): Promise<void> {
    pool.nodes = pool.nodes.filter((one) => one !== name);
    this.#timers.get(name)?.();
    this.#timers.delete(name);
    if (!this.#present.delete(name)) return;
    await this.#do(name, () => this.maker?.vanish(name));
  }

  async removeAll(pool: StoredPool): Promise<void> {
    await Promise.all(pool.nodes.map((name) => this.remove(pool, name)));
  }

  async setGpus({ nodes }: StoredPool, count: number): Promise<void> {
    await Promise.all(nodes.map((name) => this.#do(name, () => this.maker?.setGpus(name, count))));
  }

  async setReady(nodes: readonly string[], ready: boolean, since: Date): Promise<void> {
    await Promise.all(nodes.map((name) => this.#do(name, () => this.maker?.setReady(name, ready, since))));
  }

  /** Takes away all that appeared; throws what failed since the invariants were looked at last. */
  async stop(): Promise<void> {
    for (const cancel of this.#timers.values()) cancel();
    const known = this.failures.length;
    await Promise.all([...this.#present].map((name) => this.#do(name, () => this.maker?.vanish(name))));
    this.#isStopped = true;
    await Promise.all(this.#doing.values());
    const failures = this.failures.slice(known);
    if (failures.length > 0) throw new AggregateError(failures, 'nodes of the fake could not be taken away');
  }

  #add(cluster: Cluster, pool: StoredPool, gpus: number | undefined): void {
    const node = this.#describe(cluster, pool, pool.machinesMade);
    pool.machinesMade += 1;
    pool.nodes = [...pool.nodes, node.name];
    const size = findVmSize(this.settings.sizes, pool.properties.vmSize ?? '');
    const { nodesMs, gpusMs } = this.settings.timings;
    this.#later(node.name, nodesMs, () => {
      this.#present.add(node.name);
      void this.#do(node.name, () => this.maker?.appear(node));
      const count = gpus ?? size?.gpus ?? 0;
      if (count === 0) return;
      this.#later(node.name, gpusMs, () => void this.#do(node.name, () => this.maker?.setGpus(node.name, count)));
    });
  }

  #later(name: string, ms: number, run: () => void): void {
    this.#timers.set(name, this.clock.after(ms, run));
  }

  #do(name: string, what: () => Promise<void> | undefined): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    const next = (this.#doing.get(name) ?? Promise.resolve()).then(what).catch((error: unknown) => {
      this.failures.push(error);
    });
    const done = next.then(() => undefined);
    this.#doing.set(name, done);
    return done;
  }

  #describe({ spec }: Cluster, { name, properties }: StoredPool, index: number): MachineNode {
    const hash = createHash('sha256').update(spec.name).digest().readUInt32BE() % 100_000_000;
    const scaleSet = `aks-${name}-${String(hash).padStart(8, '0')}-vmss`;
    const nodeName = `${scaleSet}${index.toString(36).padStart(6, '0')}`;
    const group = nodeResourceGroup(spec);
    const size = findVmSize(this.settings.sizes, properties.vmSize ?? '');
    const { availabilityZones: zones = [], scaleSetPriority, mode = 'User', osSKU = 'Ubuntu' } = properties;
    const zone = zones.length === 0 ? '0' : `${spec.location}-${zones[index % zones.length]}`;
    const isSpot = scaleSetPriority === 'Spot';
    const spot = { 'kubernetes.azure.com/scalesetpriority': 'spot' };
    const accelerator = { accelerator: 'nvidia', 'kubernetes.azure.com/accelerator': 'nvidia' };
    return {
      name: nodeName,
      pool: name,
      providerId: `azure:///subscriptions/${this.settings.subscriptionId}/resourceGroups/${group.toLowerCase()}/providers/Microsoft.Compute/virtualMachineScaleSets/${scaleSet}/virtualMachines/${index}`,
      labels: {
        ...properties.nodeLabels,
        agentpool: name,
        'kubernetes.azure.com/agentpool': name,
        'kubernetes.azure.com/cluster': group,
        'kubernetes.azure.com/mode': mode.toLowerCase(),
        'kubernetes.azure.com/role': 'agent',
        'kubernetes.azure.com/os-sku': osSKU,
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/os': 'linux',
        'kubernetes.io/hostname': nodeName,
        'node.kubernetes.io/instance-type': size?.name ?? '',
        'topology.kubernetes.io/region': spec.location,
        'topology.kubernetes.io/zone': zone,
        ...((size?.gpus ?? 0) > 0 ? accelerator : {}),
        ...(isSpot ? spot : {}),
      },
      taints: [
        ...new Set([
          ...(properties.nodeTaints ?? []),
          ...(isSpot ? ['kubernetes.azure.com/scalesetpriority=spot:NoSchedule'] : []),
        ]),
      ],
      cpus: size?.vcpus ?? 0,
      memoryGiB: size?.memoryGiB ?? 0,
    };
  }
}
