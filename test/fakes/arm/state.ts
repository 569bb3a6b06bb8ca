import type { Clock } from './clock';
import type { ErrorBody } from './errors';
import type { Machines } from './machines';
import type { OutcomeScript } from './outcomes';
import type { Ledger } from './quota';
import type { VmSize } from './sizes';
import type { ClusterSpec, ClusterState, OperationKind, Pool, PoolProperties, Timings } from './types';

/** An asynchronous operation and, for a while after its end, its record. */
export interface Operation {
  readonly id: string;
  readonly kind: OperationKind;
  readonly cluster: string;
  readonly pool: string;
  readonly startMs: number;
  status: 'InProgress' | 'Succeeded' | 'Failed' | 'Canceled';
  endMs?: number;
  error?: ErrorBody;
  /** Keeps it from ending by itself. */
  halt: () => void;
}

export interface StoredPool extends Pool {
  /** Set while it runs. */
  operation?: Operation;
  /** For the names of its nodes; never used twice. */
  machinesMade: number;
}

export interface Cluster {
  readonly spec: ClusterSpec;
  readonly pools: Map<string, StoredPool>;
  state: Required<ClusterState>;
  /** What locks all of it, for example `Updating`. */
  busyWith?: string;
}

/** {@link FakeArmOptions}, complete. */
export interface Settings {
  readonly subscriptionId: string;
  readonly timings: Timings;
  readonly sizes: readonly VmSize[];
  readonly retryAfterSeconds: number | 'none';
  readonly operationHeader: 'azure-asyncoperation' | 'location' | 'none';
  readonly buckets: { readonly burst: number; readonly perMinute: number; readonly scope: 'cluster' | 'pool' };
  readonly honoursIfNoneMatch: boolean;
  readonly deleteWhileCreating: 'accepted' | 'refused';
  readonly locks: 'pool' | 'cluster';
  readonly familyQuotaShowsIn: 'answer' | 'operation';
  readonly pageSize: number;
  readonly associatesReservations: boolean;
}

/** What the handlers work on. */
export interface World {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly clusters: Map<string, Cluster>;
  readonly operations: Map<string, Operation>;
  readonly outcomes: OutcomeScript;
  readonly ledger: Ledger;
  readonly machines: Machines;
  /** The server's address. */
  readonly url: () => string;
  /** Something changed that a test may wait for. */
  readonly changed: () => void;
}

/** States in which nothing is under way. */
const AT_REST: readonly unknown[] = ['Succeeded', 'Failed', 'Canceled'];

export function isAtRest({ properties }: Pool): boolean {
  return AT_REST.includes(properties.provisioningState);
}

export function clusterPath({ subscriptionId }: Settings, { resourceGroup, name }: ClusterSpec): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.ContainerService/managedClusters/${name}`;
}

/** Where AKS puts the machines. */
export function nodeResourceGroup({ resourceGroup, name, location }: ClusterSpec): string {
  return `MC_${resourceGroup}_${name}_${location}`;
}

/** As GET shows a pool. */
export function poolResource(settings: Settings, cluster: ClusterSpec, { name, properties }: Pool): object {
  return {
    id: `${clusterPath(settings, cluster)}/agentPools/${name}`,
    name,
    type: 'Microsoft.ContainerService/managedClusters/agentPools',
    properties,
  };
}

let lastEtag = 0;

/** Changes a pool, which gives it another etag. */
export function change(pool: StoredPool, properties: PoolProperties): void {
  lastEtag += 1;
  const eTag = `00000000-0000-4000-8000-${String(lastEtag).padStart(12, '0')}`;
  pool.properties = Object.fromEntries(
    Object.entries({ ...pool.properties, ...properties, eTag }).filter(([, value]) => value !== undefined),
  );
}
