/** The variables of the provider of AKS agent pools. */
import { z } from 'zod';
import type { AzureConfiguration } from '../activities/machines/azure/configuration';
import { COORDINATOR_DEFAULTS } from '../activities/machines/azure/coordination/open-coordinator';
import { count, duration, list, text } from './configuration-fields';

const PUBLIC_CLOUD = 'https://management.azure.com';
/** Value of KAITO_AZURE_PRICE_ENDPOINT where there is no price list. */
const NONE = 'none';

const PLACE = [
  'KAITO_AZURE_SUBSCRIPTION_ID',
  'KAITO_AZURE_RESOURCE_GROUP',
  'KAITO_AZURE_CLUSTER_NAME',
  'KAITO_AZURE_LOCATION',
] as const;

export const azureVariables = {
  KAITO_AZURE_SUBSCRIPTION_ID: text(
    'Subscription of the AKS cluster; with the next three it tells where pools are bought.',
  ),
  KAITO_AZURE_RESOURCE_GROUP: text('Resource group of the AKS cluster.'),
  KAITO_AZURE_CLUSTER_NAME: text('Name of the AKS cluster.'),
  KAITO_AZURE_LOCATION: text('Region of the AKS cluster, as Azure writes it, for example eastus.'),
  KAITO_AZURE_ENDPOINT: text(
    'Address of Azure Resource Manager; other clouds than the public one have their own.',
    PUBLIC_CLOUD,
  ),
  KAITO_AZURE_AUDIENCE: text('What tokens are asked for; other clouds have their own.', PUBLIC_CLOUD),
  KAITO_AZURE_PRICE_ENDPOINT: text(
    'Address of the public price list; none where a cloud has none.',
    'https://prices.azure.com',
  ),
  KAITO_AZURE_SUBNET_ID: text(
    'Subnet of the pools’ nodes, for clusters in a virtual network of your own; that of the system pool unless set.',
  ),
  KAITO_AZURE_ZONES: list('Zones to try, in this order, before any; separated by commas.'),
  KAITO_AZURE_CAPACITY_RESERVATIONS: list(
    'Capacity reservation groups to buy from first: SIZE=RESOURCE-ID, separated by commas.',
  ).superRefine((entries, context) => {
    for (const entry of entries) {
      if (/^[^=\s]+=\/subscriptions\/\S+$/.test(entry)) continue;
      const message = `'${entry}' is not SIZE=RESOURCE-ID; write for example Standard_NC24ads_A100_v4=/subscriptions/…/capacityReservationGroups/NAME`;
      context.addIssue({ code: 'custom', message });
    }
  }),
  KAITO_AZURE_PUT_BURST: count(
    'Changes of pools that Azure lets through at once after a quiet time.',
    COORDINATOR_DEFAULTS.burst,
  ),
  KAITO_AZURE_PUT_PER_MINUTE: z.coerce
    .number()
    .positive()
    .default(COORDINATOR_DEFAULTS.perMinute)
    .meta({
      description: 'Changes of pools that Azure lets through each minute in the long run.',
      default: String(COORDINATOR_DEFAULTS.perMinute),
    }),
  KAITO_AZURE_CREATING_AT_ONCE: count('Pools that may be under creation at once.', COORDINATOR_DEFAULTS.creatingAtOnce),
  KAITO_AZURE_DEADLINE_ACCEPTED: duration('Longest time until Azure has taken on the creation of a pool.', '10m'),
  KAITO_AZURE_DEADLINE_POOL: duration('Longest time until the pool is created, drivers included.', '45m'),
  KAITO_AZURE_DEADLINE_REGISTERED: duration('Longest time from then until all its nodes have registered.', '10m'),
  KAITO_AZURE_DEADLINE_GPUS: duration('Longest time from then until all GPUs of the size are allocatable.', '15m'),
  KAITO_AZURE_DEADLINE_DRAIN: duration(
    'How long PodDisruptionBudgets are respected when a pool is released; 1ms overrules them at once.',
    '10m',
  ),
  KAITO_AZURE_POLL: duration('How often a pool is looked at, where Azure does not say when.', '10s'),
};

type Values = z.output<z.ZodObject<typeof azureVariables>>;

/** Undefined where no cluster is named. Throws for one that is named in part, or not at all though `isBuyer`. */
export function azureConfiguration(
  values: Values & { readonly KAITO_NODE_IMAGE_FAMILY?: string | undefined },
  isBuyer: boolean,
): AzureConfiguration | undefined {
  const place = PLACE.map((name) => values[name]);
  const missing = PLACE.filter((_, index) => place[index] === undefined);
  if (missing.length === PLACE.length && !isBuyer) return undefined;
  if (missing.length > 0) {
    const why = isBuyer ? 'KAITO_MACHINES is azure' : 'the others are set';
    throw new Error(`configuration:\n${missing.map((name) => `  ${name}: is not set, but ${why}`).join('\n')}`);
  }
  const [subscriptionId = '', resourceGroup = '', clusterName = '', location = ''] = place;
  const reservations = values.KAITO_AZURE_CAPACITY_RESERVATIONS.map((entry): [string, string] => {
    const [size = '', ...id] = entry.split('=');
    return [size, id.join('=')];
  });
  const { KAITO_AZURE_PRICE_ENDPOINT: priceEndpoint, KAITO_AZURE_SUBNET_ID: subnetId } = values;
  const { KAITO_NODE_IMAGE_FAMILY: nodeImageFamily } = values;
  return {
    subscriptionId,
    resourceGroup,
    clusterName,
    location,
    clusterId: `${subscriptionId}/${resourceGroup}/${clusterName}`.toLowerCase(),
    endpoint: values.KAITO_AZURE_ENDPOINT,
    audience: values.KAITO_AZURE_AUDIENCE,
    ...(priceEndpoint !== NONE && { priceEndpoint }),
    ...(subnetId !== undefined && { subnetId }),
    ...(nodeImageFamily !== undefined && { nodeImageFamily }),
    zones: values.KAITO_AZURE_ZONES,
    capacityReservations: Object.fromEntries(reservations),
    buckets: { burst: values.KAITO_AZURE_PUT_BURST, perMinute: values.KAITO_AZURE_PUT_PER_MINUTE },
    creatingAtOnce: values.KAITO_AZURE_CREATING_AT_ONCE,
    deadlines: {
      acceptedMs: values.KAITO_AZURE_DEADLINE_ACCEPTED,
      poolMs: values.KAITO_AZURE_DEADLINE_POOL,
      registeredMs: values.KAITO_AZURE_DEADLINE_REGISTERED,
      gpusMs: values.KAITO_AZURE_DEADLINE_GPUS,
      drainMs: values.KAITO_AZURE_DEADLINE_DRAIN,
    },
    pollMs: values.KAITO_AZURE_POLL,
  };
}
