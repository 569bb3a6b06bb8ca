/**
 * What an installation decides, from environment variables: one schema, from which docs/configuration.md is generated. Temporal's own settings
 * (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, TLS, API key) are read by `@temporalio/envconfig`, Kubernetes' by the usual kubeconfig rules.
 */
import { z } from 'zod';
import type { MachineConfiguration, WorkloadConfiguration } from '../manifests/configuration';
import { NODE_CLASS_PROFILES, type NodeClassProfileName } from '../manifests/node-class-profiles';
import type { MachineDeadlines, TuningConfiguration } from '../activities/dependencies';
import type { PayloadKeysOptions } from './encryption/keys';
import type { AzureConfiguration } from '../activities/machines/azure/configuration';
import { privateHostProblem } from '../activities/tuning/addresses';
import { azureConfiguration, azureVariables } from './azure-configuration';
import { count, duration, httpPort, list, text } from './configuration-fields';

const profileNames = Object.keys(NODE_CLASS_PROFILES) as [NodeClassProfileName, ...NodeClassProfileName[]];

/** Every variable, by its name. */
export const configurationSchema = z.object({
  KAITO_TASK_QUEUE: text('Temporal task queue of the worker.', 'kaito'),
  KAITO_MACHINES: z.enum(['karpenter', 'azure']).default('karpenter').meta({
    description: 'Who buys machines: whatever serves NodeClaims, or the worker itself as agent pools of AKS.',
    default: 'karpenter',
  }),
  KAITO_NODE_CLASS_PROFILE: z
    .enum(profileNames)
    .default('gpu-provisioner')
    .meta({ description: 'Which provider serves NodeClaims.', default: 'gpu-provisioner' }),
  KAITO_NODE_CLASS_NAME: text('NodeClass to use instead of the profile’s.'),
  KAITO_NODE_CLASS_NAMES_ALLOWED: list(
    'Further NodeClasses that a Workspace may name by annotation, separated by commas.',
  ),
  KAITO_NODE_POOL: text('Value of the label karpenter.sh/nodepool of NodeClaims.', 'kaito'),
  KAITO_NODE_IMAGE_FAMILY: text('Node image family, unless the Workspace’s annotation names one.', 'ubuntu'),
  KAITO_TERMINATION_GRACE_PERIOD: z
    .string()
    .regex(/^([0-9]+(s|m|h))+$/, 'write for example 5m')
    .default('5m')
    .meta({ description: 'How long a node may drain before it is taken down.', default: '5m' }),
  KAITO_RUNTIME_IMAGE: text('Image of the model server.', 'kaito-temporal/runtime:0.1.0'),
  KAITO_PULLER_IMAGE: text('Image of the program that fetches adapter images.', 'kaito-temporal/runtime:0.1.0'),
  KAITO_IMAGE_PULL_SECRETS: list('Secrets to pull the runtime image with, separated by commas.'),
  KAITO_PUSHER_IMAGE: text('Image of the program that pushes adapters; the runtime image unless set.'),
  KAITO_INSECURE_REGISTRIES: list(
    'Registries (host:port) that images are copied from and pushed to over plain HTTP, separated by commas.',
  ),
  KAITO_IMAGE_VOLUMES: z.enum(['true', 'false']).default('false').meta({
    description:
      'Whether weights of images are mounted as image volumes instead of being copied; all nodes need Kubernetes 1.35 and containerd 2.1.',
    default: 'false',
  }),
  KAITO_NETWORK_POLICIES: z.enum(['true', 'false']).default('false').meta({
    description: 'Whether each Workspace gets a NetworkPolicy (docs/pod-security.md).',
    default: 'false',
  }),
  KAITO_HUB_ENDPOINT: text('Mirror of the Hugging Face hub that pods download from.'),
  KAITO_DATASET_PRIVATE_HOSTS: list(
    'Hosts (name, name:port or CIDR) in private networks that datasets may be downloaded from, separated by commas.',
    privateHostProblem,
  ),
  KAITO_TUNING_STORAGE_CLASS: text(
    'StorageClass of the volumes that keep checkpoints and adapters; the default one unless set.',
  ),
  KAITO_TUNING_VOLUME_GIB: count('Size of these volumes, GiB.', 20),
  KAITO_TUNING_PUSH_PATIENCE: duration('How long the training’s machines are kept for a push that is not done.', '5m'),
  KAITO_NVME_STORAGE_CLASS: text('StorageClass of local NVMe disks, where the cluster has one.'),
  KAITO_CLOUD: z
    .enum(['azure', 'aws', 'other'])
    .default('other')
    .meta({ description: 'The cloud that sizes are bought from; its retired sizes are refused.', default: 'other' }),
  ...azureVariables,
  KAITO_QUOTAS_FILE: text(
    'File that says how many machines namespaces may have, and what these may cost (docs/tenants.md).',
  ),
  KAITO_DEADLINE_LAUNCHED: duration('Longest time until a machine is launched.', '15m'),
  KAITO_DEADLINE_REGISTERED: duration('Longest time from launch until its node registers.', '15m'),
  KAITO_DEADLINE_INITIALIZED: duration('Longest time from registration until the node is initialized.', '15m'),
  KAITO_DEADLINE_GPUS: duration('Longest time from then until its GPUs are allocatable.', '15m'),
  KAITO_RETRY_FIRST: duration('Delay before the second attempt of a failed step; doubled for each further one.', '1s'),
  KAITO_RETRY_MOST: duration('Longest delay between attempts.', '30s'),
  KAITO_RESYNC: duration('How often Workspaces and workflows are compared.', '1m'),
  KAITO_SWEEP_INTERVAL: duration('How often machines are looked for whose Workspace is gone.', '10m'),
  KAITO_SWEEP_GRACE: duration('How long such machines are left alone after they were first seen.', '15m'),
  KAITO_TEMPORAL_API_KEY_FILE: text(
    'File with the API key of Temporal, read again when it changes; instead of TEMPORAL_API_KEY.',
  ),
  KAITO_PAYLOAD_KEYS: text(
    'Folder with the keys that what Temporal stores is encrypted with, one file each; see docs/security.md. Nothing is encrypted unless set.',
  ),
  KAITO_PAYLOAD_KEY: text(
    'The key to encrypt with, by its file’s name; the only one unless set. none: encrypt no more, and go on reading what is encrypted.',
  ),
  KAITO_TEMPORAL_UI: text('Address of the Temporal UI, for links in the status.'),
  KAITO_PRESETS_DIR: text('Folder with further catalogue files.'),
  KAITO_CACHED_WORKFLOWS: count('Workflows that the worker keeps in memory, about 0.5 MiB each.', 1000, 10),
  KAITO_WORKFLOW_BUNDLE: text('File made by npm run build:workflows; workflow code is bundled at start unless set.'),
  KAITO_WORKER_VERSIONING: z.enum(['true', 'false']).default('false').meta({
    description:
      'Whether workers have versions, so that old and new code can run side by side; Temporal 1.29.1 or newer. See docs/upgrade.md.',
    default: 'false',
  }),
  KAITO_BUILD_ID: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,63}$/, 'write 1 to 63 letters, digits, _ or -')
    .optional()
    .meta({ description: 'Version of the workers; unless set, a hash of the workflow code.' }),
  KAITO_HTTP_PORT: httpPort,
  KAITO_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('info')
    .meta({ description: 'Least severe log lines that are written.', default: 'info' }),
});

export interface Configuration {
  readonly taskQueue: string;
  readonly machines: MachineConfiguration;
  readonly workload: WorkloadConfiguration;
  /** Present where the cluster is named. */
  readonly azure?: AzureConfiguration;
  readonly deadlines: MachineDeadlines;
  readonly tuning: TuningConfiguration;
  readonly retryDelays: { readonly firstMs: number; readonly mostMs: number };
  readonly resyncMs: number;
  readonly sweep: { readonly intervalMs: number; readonly graceMs: number };
  readonly quotasFile?: string;
  readonly temporalUi?: string;
  readonly apiKeyFile?: string;
  readonly payloadKeys?: PayloadKeysOptions;
  readonly cachedWorkflows: number;
  readonly versioning: { readonly isOn: boolean; readonly buildId?: string };
  /** File with the workflow code. */
  readonly workflowBundle?: string;
  /** Undefined: no port is opened. */
  readonly httpPort?: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** Reads the configuration; throws one error that names every wrong variable, its value's problem and what is allowed. */
export function readConfiguration(environment: Readonly<Record<string, string | undefined>>): Configuration {
  const given = Object.fromEntries(
    Object.keys(configurationSchema.shape)
      .map((name) => [name, environment[name]] as const)
      .filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = configurationSchema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`);
    throw new Error(`configuration:\n${problems.join('\n')}`);
  }
  const values = parsed.data;
  if (values.KAITO_PAYLOAD_KEY !== undefined && values.KAITO_PAYLOAD_KEYS === undefined) {
    throw new Error(
      'configuration:\n  KAITO_PAYLOAD_KEY: names a key, and KAITO_PAYLOAD_KEYS no folder; set both or neither',
    );
  }
  const profile = NODE_CLASS_PROFILES[values.KAITO_NODE_CLASS_PROFILE];
  const azure = azureConfiguration(values, values.KAITO_MACHINES === 'azure');
  return {
    taskQueue: values.KAITO_TASK_QUEUE,
    machines: {
      buyer: values.KAITO_MACHINES,
      nodeClass: { ...profile, name: values.KAITO_NODE_CLASS_NAME ?? profile.name },
      allowedNodeClassNames: values.KAITO_NODE_CLASS_NAMES_ALLOWED,
      terminationGracePeriod: values.KAITO_TERMINATION_GRACE_PERIOD,
      nodePool: values.KAITO_NODE_POOL,
      nodeImageFamily: values.KAITO_NODE_IMAGE_FAMILY,
    },
    workload: {
      runtimeImage: values.KAITO_RUNTIME_IMAGE,
      adapterPullerImage: values.KAITO_PULLER_IMAGE,
      imagePullSecrets: values.KAITO_IMAGE_PULL_SECRETS,
      cloud: azure === undefined ? values.KAITO_CLOUD : 'azure',
      imageVolumes: values.KAITO_IMAGE_VOLUMES === 'true',
      insecureRegistries: values.KAITO_INSECURE_REGISTRIES,
      networkPolicies: values.KAITO_NETWORK_POLICIES === 'true',
      datasetPrivateHosts: values.KAITO_DATASET_PRIVATE_HOSTS,
      ...(values.KAITO_PUSHER_IMAGE !== undefined && { pusherImage: values.KAITO_PUSHER_IMAGE }),
      ...(values.KAITO_HUB_ENDPOINT !== undefined && { hubEndpoint: values.KAITO_HUB_ENDPOINT }),
      ...(values.KAITO_NVME_STORAGE_CLASS !== undefined && { nvmeStorageClass: values.KAITO_NVME_STORAGE_CLASS }),
    },
    ...(azure !== undefined && { azure }),
    deadlines: {
      launchedMs: values.KAITO_DEADLINE_LAUNCHED,
      registeredMs: values.KAITO_DEADLINE_REGISTERED,
      initializedMs: values.KAITO_DEADLINE_INITIALIZED,
      gpusAllocatableMs: values.KAITO_DEADLINE_GPUS,
    },
    tuning: {
      volumeGiB: values.KAITO_TUNING_VOLUME_GIB,
      pushPatienceMs: values.KAITO_TUNING_PUSH_PATIENCE,
      ...(values.KAITO_TUNING_STORAGE_CLASS !== undefined && { storageClassName: values.KAITO_TUNING_STORAGE_CLASS }),
    },
    retryDelays: { firstMs: values.KAITO_RETRY_FIRST, mostMs: values.KAITO_RETRY_MOST },
    resyncMs: values.KAITO_RESYNC,
    sweep: { intervalMs: values.KAITO_SWEEP_INTERVAL, graceMs: values.KAITO_SWEEP_GRACE },
    cachedWorkflows: values.KAITO_CACHED_WORKFLOWS,
    versioning: {
      isOn: values.KAITO_WORKER_VERSIONING === 'true',
      ...(values.KAITO_BUILD_ID !== undefined && { buildId: values.KAITO_BUILD_ID }),
    },
    logLevel: values.KAITO_LOG_LEVEL,
    ...(values.KAITO_HTTP_PORT !== 'off' && { httpPort: values.KAITO_HTTP_PORT }),
    ...(values.KAITO_WORKFLOW_BUNDLE !== undefined && { workflowBundle: values.KAITO_WORKFLOW_BUNDLE }),
    ...(values.KAITO_QUOTAS_FILE !== undefined && { quotasFile: values.KAITO_QUOTAS_FILE }),
    ...(values.KAITO_TEMPORAL_API_KEY_FILE !== undefined && { apiKeyFile: values.KAITO_TEMPORAL_API_KEY_FILE }),
    ...(values.KAITO_PAYLOAD_KEYS !== undefined && {
      payloadKeys: {
        folder: values.KAITO_PAYLOAD_KEYS,
        ...(values.KAITO_PAYLOAD_KEY !== undefined && { current: values.KAITO_PAYLOAD_KEY }),
      },
    }),
    ...(values.KAITO_TEMPORAL_UI !== undefined && { temporalUi: values.KAITO_TEMPORAL_UI }),
  };
}
