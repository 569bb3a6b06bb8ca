import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { readFile } from 'node:fs/promises';
import { useEnvironment } from '../environment';
import { defineResource } from '../../kubernetes/resources';
import { bundleWorkflows } from '../../workers/product';
import { ROOT, type Stage } from '../e2e/support';
import { rulesOf, type Rule } from './roles';

/**
 * The product as an installation runs it: the worker and the bridge as processes of their own, each with a ServiceAccount's token that may do what the
 * chart's role says and nothing else.
 */

export type ProcessName = 'worker' | 'bridge';

const RBAC = { group: 'rbac.authorization.k8s.io', version: 'v1', namespaced: false };
const CLUSTER_ROLES = defineResource({ ...RBAC, plural: 'clusterroles', kind: 'ClusterRole' });
const CLUSTER_ROLE_BINDINGS = defineResource({ ...RBAC, plural: 'clusterrolebindings', kind: 'ClusterRoleBinding' });
const SERVICE_ACCOUNTS = defineResource({
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
});
const STARTED_WITHIN_MS = 120_000;

/** Who a process is at the API server. */
export interface Identity {
  readonly username: string;
  readonly kubeconfig: string;
}

/** Makes a ServiceAccount with the rules, and a kubeconfig with its token. */
export async function identify(
  stage: Stage,
  namespace: string,
  name: string,
  rules: readonly Rule[],
): Promise<Identity> {
  const role = `${namespace}-${name}`;
  await stage.create(SERVICE_ACCOUNTS, { metadata: { namespace, name } });
  await stage.create(CLUSTER_ROLES, { metadata: { name: role }, rules });
  await stage.create(CLUSTER_ROLE_BINDINGS, {
    metadata: { name: role },
    roleRef: { apiGroup: RBAC.group, kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', namespace, name }],
  });
  stage.defer(async () => {
    await stage.client.delete(CLUSTER_ROLE_BINDINGS, { name: role });
    await stage.client.delete(CLUSTER_ROLES, { name: role });
  });
  const token = (await stage.kubectl(namespace, ['create', 'token', name, '--duration=1h'])).trim();
  const { dir, kubeconfig } = useEnvironment();
  const file = path.join(dir, 'data', `${role}.kubeconfig`);
  const config = parse(await readFile(kubeconfig, 'utf8')) as { users: readonly { readonly name: string }[] };
  const users = config.users.map((user) => ({ name: user.name, user: { token } }));
  await writeFile(file, stringify({ ...config, users }), { mode: 0o600 });
  return { username: `system:serviceaccount:${namespace}:${name}`, kubeconfig: file };
}

/** The worker's and the bridge's identities, as the chart makes them. */
export async function identifyBoth(stage: Stage): Promise<Readonly<Record<ProcessName, Identity>>> {
  const namespace = await stage.namespace();
  return {
    worker: await identify(stage, namespace, 'worker', rulesOf('worker')),
    bridge: await identify(stage, namespace, 'bridge', rulesOf('bridge')),
  };
}

/** A process of the product that runs. */
export class ProductProcess {
  readonly #child: ChildProcess;
  #output = '';
  #wanted: (() => void) | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => {
        this.#output += text;
        this.#wanted?.();
      });
    }
  }

  /** Starts `npm start -- --role …`; resolves when it says that it has started. */
  static async start(role: ProcessName, variables: Readonly<Record<string, string>>): Promise<ProductProcess> {
    const loader = path.join(ROOT, 'node_modules', 'tsx', 'dist', 'loader.mjs');
    const child = spawn(
      process.execPath,
      ['--import', loader, path.join(ROOT, 'workers', 'start.ts'), '--role', role],
      {
        cwd: ROOT,
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...variables },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const started = new ProductProcess(child);
    try {
      await started.says('"msg":"started"', STARTED_WITHIN_MS);
    } catch (error) {
      await started.stop();
      throw error;
    }
    return started;
  }

  /** Everything that it wrote so far. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Asks it to end, and waits until it has. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }

  /** Resolves once it has written that text. */
  says(text: string, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => {
        clearTimeout(timer);
        this.#child.off('exit', ended);
        this.#wanted = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      const look = (): void => {
        if (this.#output.includes(text)) settle();
      };
      const fail = (why: string): void => settle(new Error(`${why} before it said ${text}:\n${this.#output}`));
      const ended = (): void => fail('the process ended');
      const timer = setTimeout(() => fail('the process waited too long'), withinMs);
      this.#child.once('exit', ended);
      this.#wanted = look;
      look();
    });
  }
}

/** The workflow code as an image has it: made once, for all processes of a test. */
export async function bundleToFile(): Promise<string> {
  const file = path.join(useEnvironment().dir, 'data', 'workflows.js');
  await writeFile(file, (await bundleWorkflows()).code);
  return file;
}

/** What a process is told by its environment. */
export function variablesOf({ kubeconfig }: Identity): Readonly<Record<string, string>> {
  const { temporal } = useEnvironment();
  return {
    KUBECONFIG: kubeconfig,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    KAITO_NODE_CLASS_PROFILE: 'kwok',
    KAITO_RESYNC: '2s',
    KAITO_RETRY_FIRST: '200ms',
    KAITO_RETRY_MOST: '1s',
    KAITO_HTTP_PORT: '0',
    KAITO_LOG_LEVEL: 'debug',
  };
}

/** Ends what `afterAll` finds running, whatever a test did. */
export function endAll(processes: readonly (ProductProcess | undefined)[]): Promise<unknown> {
  return Promise.all(processes.map(async (one) => one?.stop()));
}
