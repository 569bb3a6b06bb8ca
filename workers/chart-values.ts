/**
 * What charts/kaito-temporal accepts as values: one schema, from which the chart's values.schema.json is generated. Every variable of the
 * configuration is part of it, so that a new one can be set through the chart without more ado. Defaults are in values.yaml.
 */
import { z } from 'zod';
import { quotaFileSchema } from '../activities/quotas/limits';
import { configurationSchema } from './configuration';

const text = (description: string) => z.string().meta({ description });
const flag = (description: string) => z.boolean().meta({ description });
const count = (description: string, least = 0) => z.int().min(least).meta({ description });
/** Objects whose form is Kubernetes' own: the API server judges them. */
const kubernetes = (description: string) => z.record(z.string(), z.unknown()).meta({ description });
const kubernetesList = (description: string) =>
  z.array(z.record(z.string(), z.unknown())).meta({ description: `${description}, as in a pod’s specification.` });
const labels = (description: string) => z.record(z.string(), z.string()).meta({ description });

/** All values have defaults: none has to be given, none may be misspelt. */
const group = <S extends z.ZodRawShape>(shape: S, description: string) =>
  z.strictObject(shape).partial().meta({ description });

const secretKey = (description: string) =>
  group({ secretName: text('Name of the Secret, in the release’s namespace.'), key: text('Its key.') }, description);

const image = (description: string) =>
  group(
    {
      repository: text('Registry and repository.'),
      tag: text('Tag; the chart’s appVersion where the image is the product’s and this is empty.'),
      digest: z
        .string()
        .regex(/^(sha256:[0-9a-f]{64})?$/)
        .meta({ description: 'sha256:…; goes before the tag.' }),
      pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
    },
    description,
  );

const serviceAccount = group(
  {
    name: text('Default: release and role.'),
    annotations: labels('Annotations of the ServiceAccount.'),
  },
  'The ServiceAccount of the pods; its role is bound to it.',
);

const process = (description: string) =>
  group(
    {
      replicas: count('Pods of this role.', 1),
      resources: kubernetes('Requests and limits.'),
      serviceAccount,
      podLabels: labels('Further labels of the pods.'),
      podAnnotations: labels('Further annotations of the pods.'),
      nodeSelector: labels('Nodes to run on.'),
      tolerations: kubernetesList('Tolerations'),
      affinity: kubernetes('Affinity, as in a pod’s specification.'),
      topologySpreadConstraints: kubernetesList('Default: spread over nodes; topologySpreadConstraints'),
      priorityClassName: text('PriorityClass of the pods.'),
      terminationGracePeriodSeconds: count('What the process has to hand over its work and end.', 30),
      podDisruptionBudget: group(
        { enabled: flag('Whether there is one.'), maxUnavailable: z.union([z.int().min(0), z.string()]) },
        'How many pods of this role may be evicted at a time.',
      ),
      env: kubernetesList('Further environment variables'),
      volumes: kubernetesList('Further volumes'),
      volumeMounts: kubernetesList('Further volume mounts'),
    },
    description,
  );

const persistence = group(
  {
    enabled: flag('Off: everything that Temporal knows is lost with its pod.'),
    size: text('Size of the volume.'),
    storageClassName: text('StorageClass; the cluster’s default where empty.'),
  },
  'The volume of Temporal’s database; it outlives the release.',
);

const temporal = group(
  {
    address: z
      .string()
      .regex(/^(([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})?$/)
      .meta({ description: 'host:port of the frontend; the small server’s where empty.' }),
    namespace: z.string().min(1).meta({ description: 'Namespace within Temporal.' }),
    apiKey: secretKey('An API key, from a Secret.'),
    tls: group(
      {
        enabled: flag('TLS without client certificates; an API key and certificates imply it.'),
        serverName: text('Name that the server’s certificate must have, where it is not the address’s.'),
        ca: secretKey('Certificates to trust, as PEM; those of the system where there is no Secret.'),
        clientCertificateSecretName: text('A Secret of type kubernetes.io/tls: who we are.'),
      },
      'TLS to Temporal.',
    ),
    payloadKeys: group(
      {
        secretName: text('A Secret with one key to each entry, made by openssl rand -base64 32.'),
        current: text('The entry to encrypt with; the only one where empty. none: encrypt no more.'),
      },
      'Keys that what Temporal stores is encrypted with.',
    ),
    dev: group(
      {
        enabled: flag('Whether one pod of the release is the Temporal server.'),
        image: image('Temporal’s command line tool, which has a server in it.'),
        persistence,
        networkPolicy: flag(
          'Whether only the release’s own pods may reach it, also where networkPolicy.enabled is off.',
        ),
        resources: kubernetes('Requests and limits.'),
        nodeSelector: labels('Nodes to run on.'),
        tolerations: kubernetesList('Tolerations'),
        affinity: kubernetes('Affinity, as in a pod’s specification.'),
      },
      'A Temporal server for small installations: one pod, its state on a volume, no authentication.',
    ),
  },
  'The Temporal server.',
);

/** How a variable may be written in YAML: as the text that it is, or as the number or truth value that it looks like. */
function variable(schema: JsonSchema): JsonSchema {
  const { description, default: byDefault, enum: choices } = schema;
  const meta = {
    description: `${String(description)} Default: ${byDefault === undefined ? 'none' : JSON.stringify(byDefault)}.`,
  };
  if (!Array.isArray(choices)) return { ...meta, type: ['string', 'number', 'boolean'] };
  const truth = choices.includes('true') ? [true, false] : [];
  return { ...meta, enum: [...(choices as unknown[]), ...truth] };
}

type JsonSchema = Record<string, unknown>;

const values = group(
  {
    global: kubernetes('Not used by this chart.'),
    nameOverride: z
      .string()
      .regex(/^([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/)
      .meta({ description: 'Instead of the chart’s name, in labels: a label’s value, 63 characters at most.' }),
    fullnameOverride: z
      .string()
      // The name of a Service begins with it.
      .regex(/^([a-z]([-a-z0-9]{0,48}[a-z0-9])?)?$/)
      .meta({
        description: 'Instead of the release’s name, in names of objects; 50 letters, digits and hyphens at most.',
      }),
    commonLabels: labels('Further labels of every object.'),
    image: image('The product’s image.'),
    imagePullSecrets: z.array(z.strictObject({ name: z.string() })).meta({ description: 'Secrets to pull it with.' }),
    config: kubernetes('Variables of docs/configuration.md, for worker and bridge alike.'),
    env: kubernetesList('Further environment variables of worker and bridge'),
    hostAliases: kubernetesList('Host aliases of worker and bridge'),
    presetsConfigMap: text('ConfigMap with further catalogue files.'),
    worker: process('Runs the workflows and their activities.'),
    promotion: group(
      {
        enabled: flag('Off: who gets the work is set by hand, or by the workers themselves when no others are left.'),
        timeoutSeconds: count('How long it waits for Temporal and for a new worker.', 30),
        resources: kubernetes('Requests and limits.'),
      },
      'With config.KAITO_WORKER_VERSIONING: the Job that gives the work to the new workers.',
    ),
    bridge: process('Watches Workspaces and starts their workflows.'),
    temporal,
    azure: group(
      {
        workloadIdentity: group(
          { clientId: text('Client ID of the identity.'), tenantId: text('Tenant, where it is not the cluster’s.') },
          'The identity of the worker, where it buys machines from Azure itself.',
        ),
      },
      'What the provider azure needs of the cluster; its settings are in config.',
    ),
    quotas: quotaFileSchema.partial().meta({
      description: 'What namespaces may buy: machines together, and what these cost, USD an hour.',
    }),
    networkPolicy: group(
      {
        enabled: flag('NetworkPolicies for the release’s own pods.'),
        ports: z.array(z.int().min(1).max(65_535)).meta({ description: 'TCP ports that worker and bridge may reach.' }),
        metricsFrom: kubernetesList('Who may read metrics; everybody where empty. NetworkPolicyPeers'),
        egress: kubernetesList('Further rules of egress'),
      },
      'Traffic of the release’s own pods.',
    ),
    monitoring: group(
      {
        podMonitor: group(
          {
            enabled: flag('A PodMonitor, so that Prometheus’ operator has /metrics of worker and bridge read.'),
            interval: text('How often, for example 30s.'),
            labels: labels('Further labels of the PodMonitor, by which a Prometheus selects it.'),
          },
          'What reads metrics.',
        ),
        rules: group(
          {
            enabled: flag('A PrometheusRule with the alerts.'),
            labels: labels('Further labels of the PrometheusRule, by which a Prometheus selects it.'),
            runbooksUrl: text('Address of the page of runbooks, which alerts refer to.'),
          },
          'Alerts.',
        ),
        dashboard: group(
          {
            enabled: flag('A ConfigMap with the dashboard, for Grafana’s sidecar.'),
            labels: labels('Labels by which the sidecar finds it.'),
          },
          'Grafana’s dashboard.',
        ),
      },
      'Metrics, alerts and the dashboard.',
    ),
    crds: group(
      {
        enabled: flag('Off: somebody else applies them.'),
        keep: flag('Whether they stay when the release goes. Without them there are no Workspaces.'),
      },
      'The definition of Workspaces.',
    ),
    policies: group({ enabled: flag('Off: somebody else applies them.') }, 'Admission policies for Workspaces.'),
    rbac: group(
      {
        create: flag('Roles and ServiceAccounts of worker and bridge.'),
        aggregate: flag('Whether the cluster’s roles view, edit and admin include Workspaces.'),
        secretNamespaces: z.array(z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)).meta({
          description: 'Namespaces, which have to exist, whose Secrets the worker may get by name; all where empty.',
        }),
      },
      'Permissions.',
    ),
  },
  'Values of the chart kaito-temporal.',
);

/** The chart's values.schema.json. Pure; `npm run generate` writes it. */
export function chartValuesSchema(): string {
  const schema = z.toJSONSchema(values, { target: 'draft-7', io: 'input' }) as JsonSchema;
  const { properties: variables = {} } = z.toJSONSchema(configurationSchema, { io: 'input' });
  const named = Object.entries(variables).map(([name, one]) => [name, variable(one as JsonSchema)]);
  const properties = schema.properties as Record<string, JsonSchema>;
  properties.config = {
    description: properties.config?.description,
    type: 'object',
    properties: Object.fromEntries(named) as JsonSchema,
    additionalProperties: false,
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
