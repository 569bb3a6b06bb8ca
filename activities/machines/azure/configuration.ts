import type { AgentPoolConfiguration } from '../../../manifests/agent-pool';

/** What an installation decides about agent pools of AKS. Plain data, made by the workers' configuration schema. */
export interface AzureConfiguration extends AgentPoolConfiguration {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly clusterName: string;
  /** Region of the cluster, as Azure writes it: `eastus`. */
  readonly location: string;
  /** Address of Azure Resource Manager; another one in clouds of their own. Default there: `https://management.azure.com`. */
  readonly endpoint: string;
  /** What tokens are asked for; `https://management.azure.com` in the public cloud. */
  readonly audience: string;
  /** Address of the price list, `https://prices.azure.com`; left out where a cloud has none. */
  readonly priceEndpoint?: string;
  /** Changes of pools that the service lets through; as measured: 20 at once, then one a minute. */
  readonly buckets: { readonly burst: number; readonly perMinute: number };
  /** Pools that may be under creation at once. */
  readonly creatingAtOnce: number;
  readonly deadlines: AzureDeadlines;
  /** How often a pool or an operation is looked at, where Azure does not say; milliseconds. */
  readonly pollMs: number;
  /** Zones to try, in this order, where the Workspace does not name one; left out or empty: wherever the region has room. */
  readonly zones?: readonly string[];
  /** Capacity that is reserved already, by size: resource IDs of capacity reservation groups. Tried first. */
  readonly capacityReservations?: Readonly<Record<string, string>>;
}

/** How long each phase of a pool's life may take, milliseconds. */
export interface AzureDeadlines {
  /** From the first request until Azure has taken it. Time that Azure asks to wait does not count. */
  readonly acceptedMs: number;
  /** Until the pool is `Succeeded`. */
  readonly poolMs: number;
  /** Until all its nodes have registered. */
  readonly registeredMs: number;
  /** Until they are Ready and as many GPUs are allocatable as the size has. */
  readonly gpusMs: number;
  /** How long PodDisruptionBudgets are respected when a pool goes; 0: not at all. */
  readonly drainMs: number;
}
