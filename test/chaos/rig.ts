/** What chaos is made on: an environment of its own, where each wire of the product passes through our hands. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { parse, stringify } from 'yaml';

import { connect, type KubernetesClient } from '../../kubernetes/client';
import { PRODUCT_MANIFESTS } from '../../local/defaults';
import type { Child } from '../../local/demo/child';
import { productVariables } from '../../local/demo/product';
import { down, startComponent, stopComponent, up, type Environment } from '../../local/environment';
import type { Role } from '../../workers/product';
import { startApiProxy, type ApiProxy } from './api-proxy';
import type { Target, Wire } from './faults';
import type { Tap } from './moments';
import { startKeeper } from './keeper';
import { startRelay, type Relay } from './relay';
import { startOnce, startService, type Service, type ServiceOptions } from './service';
import { startTemporalProxy } from './temporal-proxy';

export interface Rig {
  readonly logs: string;
  /** Straight to the API server and to Temporal: no fault but a killed server is in the way. */
  readonly client: KubernetesClient;
  readonly temporal: Client;
  readonly wires: Readonly<Record<Wire, Relay>>;
  readonly apis: Readonly<Record<Role, ApiProxy>>;
  /** Has it told of each moment, until what is returned is called. */
  tap(tap: Tap): () => void;
  /** Kills it with SIGKILL; resolves when it is dead. The worker and the bridge begin again by themselves. */
  kill(target: Target): Promise<void>;
  /** Starts again what was killed; resolves when all is at work. */
  restore(): Promise<void>;
  /** Another worker, whose wires are whole. */
  secondWorker(): Promise<Child>;
  stop(options: { readonly keepLogs: boolean }): Promise<void>;
}

export interface RigOptions {
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Short, so that a run takes minutes; long enough that nothing passes by accident. */
const VARIABLES = {
  KAITO_NODE_CLASS_PROFILE: 'kwok',
  KAITO_TUNING_STORAGE_CLASS: 'kept',
  KAITO_RESYNC: '4s',
  KAITO_RETRY_FIRST: '500ms',
  KAITO_RETRY_MOST: '3s',
};

/** Brings all up; on failure nothing is left running. */
export async function startRig({ log, signal }: RigOptions): Promise<Rig> {
  const dir = await mkdtemp(path.join(tmpdir(), 'kaito-chaos-'));
  const closing: (() => Promise<unknown>)[] = [];
  let keepLogs = true;
  const close = async (): Promise<void> => {
    for (const end of [...closing].reverse()) await end();
  };
  try {
    closing.push(() => down(dir, { keepLogs }));
    const environment = await up({
      dir,
      parts: { kubernetes: true, karpenter: true, temporal: 'file' },
      manifestFolders: PRODUCT_MANIFESTS,
      lifetime: 'owner',
      log,
      signal,
    });
    const keeper = startKeeper(dir, log);
    closing.push(() => keeper.stop());
    const { kubeconfig, temporal: at, logs } = environment;
    if (kubeconfig === undefined || at === undefined) throw new Error('the environment lacks a part');
    const client = connect({ kubeconfig, userAgent: 'chaos' });
    closing.push(() => client.close());
    const connection = await Connection.connect({ address: at.address });
    closing.push(() => connection.close());

    const bundle = path.join(dir, 'workflows.js');
    await writeFile(bundle, await bundled());
    closing.push(() => rm(bundle, { force: true }));

    const listeners = new Set<Tap>();
    const tap: Tap = async (moment) => {
      for (const listener of listeners) await listener(moment);
    };
    const worker = await wire(environment, 'worker', tap, closing);
    const bridge = await wire(environment, 'bridge', tap, closing);
    const optionsOf = (role: Role, env: Readonly<Record<string, string>>): ServiceOptions => ({
      role,
      env: { ...productVariables(environment), ...VARIABLES, ...env },
      logs,
      bundle,
      signal,
    });
    const start = async (role: Role, env: Readonly<Record<string, string>>): Promise<Service> => {
      const service = await startService(optionsOf(role, env));
      closing.push(() => service.stop());
      log(`${role} is at work`);
      return service;
    };
    const services = { worker: await start('worker', worker.env), bridge: await start('bridge', bridge.env) };

    return {
      logs,
      client,
      temporal: new Client({ connection, namespace: at.namespace }),
      wires: {
        'worker-temporal': worker.temporal,
        'worker-api': worker.api,
        'bridge-temporal': bridge.temporal,
        'bridge-api': bridge.api,
      },
      apis: { worker: worker.apiProxy, bridge: bridge.apiProxy },
      tap(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      async kill(target) {
        if (target === 'worker' || target === 'bridge') await services[target].kill();
        else await stopComponent(dir, target, 'SIGKILL');
      },
      async restore() {
        await startComponent(dir, 'kube-apiserver');
        await startComponent(dir, 'temporal');
        await Promise.all(Object.values(services).map((service) => service.atWork()));
      },
      secondWorker: () => startOnce(optionsOf('worker', {})),
      async stop(options) {
        ({ keepLogs } = options);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The workflow code as the product has it, but for how soon a dead worker is missed. */
async function bundled(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: require.resolve('../../workflows/index'),
    workflowInterceptorModules: [require.resolve('./impatient')],
    logger: new DefaultLogger('WARN'),
  });
  return code;
}

interface Wired {
  readonly temporal: Relay;
  readonly api: Relay;
  readonly apiProxy: ApiProxy;
  readonly env: Readonly<Record<string, string>>;
}

/** process → relay → proxy → server, for both servers. */
async function wire(
  { dir, kubeconfig = '', temporal: at }: Environment,
  role: Role,
  tap: Tap,
  closing: (() => Promise<unknown>)[],
): Promise<Wired> {
  const config = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
  const [cluster] = config.clusters;
  const server = {
    port: portOf(cluster?.cluster.server ?? ''),
    ca: Buffer.from(cluster?.cluster['certificate-authority-data'] ?? '', 'base64').toString('utf8'),
  };
  const apiProxy = await startApiProxy({ by: role, server, tap });
  closing.push(() => apiProxy.close());
  const api = await startRelay(apiProxy.port);
  closing.push(() => api.close());
  const temporalProxy = await startTemporalProxy(portOf(`http://${at?.address}`), tap);
  closing.push(() => temporalProxy.close());
  const temporal = await startRelay(temporalProxy.port);
  closing.push(() => temporal.close());

  const file = path.join(dir, `kubeconfig-${role}`);
  const through = { server: `http://127.0.0.1:${api.port}`, 'insecure-skip-tls-verify': true };
  const changed = { ...config, clusters: config.clusters.map((one) => ({ ...one, cluster: through })) };
  await writeFile(file, stringify(changed), { mode: 0o600 });
  closing.push(() => rm(file, { force: true }));
  return { temporal, api, apiProxy, env: { KUBECONFIG: file, TEMPORAL_ADDRESS: `127.0.0.1:${temporal.port}` } };
}

interface Kubeconfig {
  readonly clusters: readonly {
    readonly name: string;
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data'?: string };
  }[];
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
