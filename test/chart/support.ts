import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../../local/defaults';
import { down, up, type Environment } from '../../local/environment';
import { getPrograms } from '../../local/programs';
import { run } from '../../local/programs/run';

/** The chart as its users meet it: helm on one side, a real control plane on the other. */
export const CHART = path.join(ROOT, 'charts', 'kaito-temporal');

/** Getting helm for the first time takes minutes: it is built. */
export const GET_HELM_WITHIN_MS = 20 * 60_000;

export type Values = Readonly<Record<string, unknown>>;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly uid?: string;
    readonly deletionTimestamp?: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** Sets of values that between them reach every branch of the templates. */
export const VALUE_SETS: Readonly<Record<string, Values>> = {
  defaults: {},
  'Temporal Cloud': {
    temporal: {
      address: 'ns.acct.tmprl.cloud:7233',
      namespace: 'ns.acct',
      apiKey: { secretName: 'temporal-api-key' },
      payloadKeys: { secretName: 'payload-keys', current: '2026' },
      tls: { enabled: true, serverName: 'ns.acct.tmprl.cloud' },
      dev: { enabled: false },
    },
  },
  'Temporal with client certificates': {
    temporal: {
      address: 'temporal-frontend.temporal:7233',
      tls: { ca: { secretName: 'temporal-ca' }, clientCertificateSecretName: 'temporal-client' },
      dev: { enabled: false },
    },
  },
  'machines from Azure': {
    config: { KAITO_CLOUD: 'azure', KAITO_RUNTIME_IMAGE: 'registry.example.com/runtime:1' },
    azure: { workloadIdentity: { clientId: '11111111-2222-3333-4444-555555555555', tenantId: 'tenant' } },
    image: { repository: 'registry.example.com/kaito-temporal', digest: `sha256:${'a'.repeat(64)}` },
    imagePullSecrets: [{ name: 'registry' }],
  },
  monitoring: {
    config: { KAITO_HTTP_PORT: '8081' },
    monitoring: {
      podMonitor: { enabled: true, interval: '15s', labels: { release: 'prometheus' } },
      rules: { enabled: true, labels: { release: 'prometheus' }, runbooksUrl: 'https://example.com/runbooks.md' },
      dashboard: { enabled: true },
    },
  },
  'worker versions': {
    config: { KAITO_WORKER_VERSIONING: true },
    networkPolicy: { enabled: true },
  },
  'worker versions on Temporal Cloud, promoted by hand': {
    config: { KAITO_WORKER_VERSIONING: 'true' },
    promotion: { enabled: false },
    temporal: {
      address: 'ns.acct.tmprl.cloud:7233',
      apiKey: { secretName: 'temporal-api-key' },
      dev: { enabled: false },
    },
  },
  'all that can be set': {
    fullnameOverride: 'other',
    commonLabels: { team: 'ml' },
    config: {
      KAITO_CACHED_WORKFLOWS: 2_000_000,
      KAITO_IMAGE_VOLUMES: true,
      KAITO_HTTP_PORT: 8080,
      KAITO_WORKER_VERSIONING: true,
    },
    promotion: { timeoutSeconds: 90, resources: { limits: { memory: '1Gi' } } },
    env: [{ name: 'NODE_OPTIONS', value: '--max-old-space-size=900' }],
    hostAliases: [{ ip: '10.0.0.1', hostnames: ['temporal'] }],
    presetsConfigMap: 'presets',
    worker: {
      replicas: 3,
      serviceAccount: { name: 'buyer', annotations: { 'example.com/role': 'buyer' } },
      podLabels: { tier: 'worker' },
      podAnnotations: { 'example.com/note': 'x' },
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      tolerations: [{ key: 'CriticalAddonsOnly', operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
      ],
      priorityClassName: 'system-cluster-critical',
      podDisruptionBudget: { maxUnavailable: '50%' },
      env: [{ name: 'SECRET', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
      volumes: [{ name: 'more', emptyDir: {} }],
      volumeMounts: [{ name: 'more', mountPath: '/more' }],
    },
    bridge: { podDisruptionBudget: { enabled: false } },
    rbac: { secretNamespaces: ['default', 'kube-public'] },
    quotas: { default: { maxMachines: 4 }, namespaces: { a: { maxMachines: 16, maxPricePerHour: 120 } } },
    networkPolicy: {
      enabled: true,
      metricsFrom: [{ namespaceSelector: {} }],
      egress: [{ to: [{ ipBlock: { cidr: '10.0.0.1/32' } }] }],
    },
    monitoring: {
      podMonitor: { enabled: true, labels: { release: 'prometheus' } },
      rules: { enabled: true, runbooksUrl: 'https://example.com/runbooks.md' },
      dashboard: { enabled: true },
    },
    temporal: {
      namespace: 'kaito',
      dev: {
        persistence: { storageClassName: 'fast' },
        nodeSelector: { 'kubernetes.io/os': 'linux' },
        tolerations: [{ operator: 'Exists' }],
        affinity: { nodeAffinity: {} },
      },
    },
  },
  'what others apply left out': {
    temporal: { dev: { persistence: { enabled: false }, networkPolicy: false } },
    crds: { enabled: false },
    policies: { enabled: false },
    rbac: { aggregate: false },
  },
};

/** A command failed: what it said. */
class CommandError extends Error {}

export interface Tools {
  /** Runs helm; throws with what it says when it fails. Values are given as a file. */
  readonly helm: (args: readonly string[], values?: Values) => Promise<string>;
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  readonly folder: string;
  readonly environment: Environment | undefined;
}

/** helm, and (`withCluster`) a control plane with a simulated node of its own, for the tests of a file. */
export function useTools({ withCluster }: { readonly withCluster: boolean }): () => Tools {
  let tools: Tools | undefined;
  let folder: string | undefined;
  beforeAll(async () => {
    const log = (line: string) => process.stderr.write(`${line}\n`);
    folder = await mkdtemp(path.join(tmpdir(), 'kaito-chart-'));
    const { helm, kubectl } = await getPrograms(['helm', 'kubectl'], log);
    const environment = withCluster
      ? await up({
          dir: path.join(folder, 'environment'),
          parts: { kubernetes: true, karpenter: false, temporal: false },
          lifetime: 'owner',
          log,
        })
      : undefined;
    tools = commands({ helm: helm.file, kubectl: kubectl.file }, folder, environment);
  }, GET_HELM_WITHIN_MS);
  afterAll(async () => {
    if (folder === undefined) return;
    if (withCluster) await down(path.join(folder, 'environment'));
    await rm(folder, { recursive: true, force: true });
  });
  return () => {
    if (tools === undefined) throw new Error('helm could not be got');
    return tools;
  };
}

/** helm and kubectl on a cluster; what helm keeps is kept in the folder. */
export function commands(
  programs: { readonly helm: string; readonly kubectl: string },
  folder: string,
  environment: Environment | undefined,
): Tools {
  // helm keeps nothing of the user's, and nothing there.
  const places = { HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder };
  const env = { ...places, KUBECONFIG: environment?.kubeconfig ?? '/dev/null' };
  let count = 0;
  const call = async (program: string, args: readonly string[], stdin?: string): Promise<string> => {
    const { code, stdout, stderrTail } = await run(program, args, { env, ...(stdin !== undefined && { stdin }) });
    if (code !== 0) throw new CommandError(`${path.basename(program)} ${args.join(' ')}:\n${stdout}${stderrTail}`);
    return stdout;
  };
  return {
    folder,
    environment,
    async helm(args, values) {
      if (values === undefined) return call(programs.helm, args);
      count += 1;
      const file = path.join(folder, `values-${count}.json`);
      await writeFile(file, JSON.stringify(values));
      return call(programs.helm, [...args, '--values', file]);
    },
    kubectl: (args, input) => call(programs.kubectl, args, input),
  };
}

const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 200;

/** Tries what only controllers can bring about until it no longer throws; throws its last error when that takes too long. */
export async function eventually(attempt: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(LOOK_EVERY_MS);
    }
  }
}

/** The documents of a stream of manifests. */
export function manifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** The only one of that kind and name. */
export function only(all: readonly Manifest[], kind: string, name: string): Manifest {
  const found = all.filter((one) => one.kind === kind && one.metadata.name === name);
  if (found.length !== 1) throw new Error(`expected one ${kind} ${name}, found ${found.length}`);
  return found[0] as Manifest;
}
