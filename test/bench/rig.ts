/** What is measured, and on what: an environment of the benchmark's own, with the worker and the bridge as processes of their own. */
import { mkdir, mkdtemp } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';

import { connect, type KubernetesClient } from '../../kubernetes/client';
import { PRODUCT_MANIFESTS } from '../../local/defaults';
import { startChild, type Child } from '../../local/demo/child';
import { startProduct } from '../../local/demo/product';
import { down, status, up, type Environment } from '../../local/environment';
import { kubectlOf } from '../../local/demo/kubectl';
import { getPrograms } from '../../local/programs';
import { served, type ServedBySort } from './api-server';
import type { Answer, Ask } from './instrument';
import { startObserver, type Observer } from './observer';
import type { ProvisionerAnswer } from './provisioner';
import { usages, type Usages } from './usage';

/** Requests by verb and kind. */
export type Requests = Readonly<Record<string, number>>;

export interface Rig {
  readonly logs: string;
  readonly client: KubernetesClient;
  readonly temporal: Client;
  readonly observer: Observer;
  /** Of the worker, the bridge, this process, and every part of the environment. */
  usages(): Promise<Usages>;
  requests(): Promise<{ readonly worker: Requests; readonly bridge: Requests }>;
  /** What the API server did so far, for all its clients. */
  served(): Promise<ServedBySort>;
  /** Starts a CPU profile of the worker; the result ends it and saves it. */
  profile(dir: string): Promise<() => void>;
  /** How long the test provisioner took per claim, milliseconds; undefined with Karpenter. */
  provisionerAnswers(): Promise<readonly number[] | undefined>;
  /** Rejects when the worker, the bridge or the provisioner ended. */
  readonly failed: Promise<never>;
  stop(options: { readonly keepLogs: boolean }): Promise<void>;
}

export interface RigOptions {
  readonly karpenter: boolean;
  /** Processes of each role. */
  readonly workers: number;
  readonly bridges: number;
  /** Where Temporal of the rig's own keeps its histories; or the address of a server that runs already. */
  readonly temporal: string;
  /** Further processes whose CPU and memory count: name to PID. */
  readonly also: Readonly<Record<string, number>>;
  readonly rareHeartbeats: boolean;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Brings all up; on failure nothing is left running. */
export async function startRig({
  karpenter,
  workers,
  bridges,
  temporal: store,
  also,
  rareHeartbeats,
  log,
  signal,
}: RigOptions): Promise<Rig> {
  const dir = await mkdtemp(path.join(tmpdir(), 'kaito-bench-'));
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of [...closing].reverse()) await end();
  };
  let keepLogs = true;
  try {
    // Karpenter's kinds are needed with the test provisioner, too; they lie beside its program.
    const { 'karpenter-kwok': program } = await getPrograms(['karpenter-kwok'], log);
    closing.push(() => down(dir, { keepLogs }));
    const isOwn = store === 'memory' || store === 'file';
    const local = await up({
      dir,
      parts: { kubernetes: true, karpenter, temporal: isOwn ? store : false, rareHeartbeats },
      manifestFolders: [...(karpenter ? [] : [program.folder]), ...PRODUCT_MANIFESTS],
      lifetime: 'owner',
      log,
      signal,
    });
    const environment = isOwn ? local : withTemporalAt(store, local);
    if (environment.temporal === undefined || environment.kubeconfig === undefined)
      throw new Error('the environment lacks a part');

    const client = connect({ kubeconfig: environment.kubeconfig, userAgent: 'bench' });
    closing.push(() => client.close());
    const connection = await Connection.connect({ address: environment.temporal.address });
    closing.push(() => connection.close());
    const temporal = new Client({ connection, namespace: environment.temporal.namespace });

    const children: Child[] = [];
    const start = async (child: Promise<Child>): Promise<Child> => {
      const started = await child;
      children.push(started);
      closing.push(() => started.stop());
      return started;
    };
    const preload = [path.join(__dirname, 'instrument.ts')];
    const several = async (role: 'worker' | 'bridge', count: number): Promise<readonly Child[]> => {
      const started: Child[] = [];
      while (started.length < count) started.push(await start(startProduct(environment, { role, preload, signal })));
      log(`${count} ${role}${count === 1 ? ' is' : 's are'} at work`);
      return started;
    };
    const ofWorkers = await several('worker', workers);
    const ofBridges = await several('bridge', bridges);
    const provisioner = karpenter
      ? undefined
      : await start(
          startChild({
            name: 'provisioner',
            entry: path.join(__dirname, 'provisioner.ts'),
            env: environment.variables,
            logFile: path.join(environment.logs, 'provisioner.log'),
            signal,
          }),
        );

    const observer = await startObserver(client);
    closing.push(() => observer.stop());
    const components = (await status(dir))?.components ?? [];
    const pids = {
      ...pidsOf('worker', ofWorkers),
      ...pidsOf('bridge', ofBridges),
      ...Object.fromEntries(components.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid]]))),
      ...also,
      ...(provisioner === undefined ? {} : { provisioner: provisioner.pid }),
      'this benchmark': process.pid,
    };

    return {
      logs: environment.logs,
      client,
      temporal,
      observer,
      usages: () => usages(pids),
      async requests() {
        const [worker, bridge] = await Promise.all([ofWorkers, ofBridges].map(requestsOf));
        return { worker: worker ?? {}, bridge: bridge ?? {} };
      },
      served: async () => served(await kubectlOf(environment)('get', '--raw', '/metrics')),
      async profile(to) {
        for (const { pid } of ofWorkers) {
          await mkdir(path.resolve(to, ofWorkers.length === 1 ? '' : String(pid)), { recursive: true });
        }
        for (const { process: worker } of ofWorkers) worker.send('profile' satisfies Ask);
        await requestsOf(ofWorkers); // they answer in order: by then the profiles run
        return () => {
          for (const { process: worker, pid } of ofWorkers) {
            worker.send({ saveProfilesTo: path.resolve(to, ofWorkers.length === 1 ? '' : String(pid)) } satisfies Ask);
          }
        };
      },
      async provisionerAnswers() {
        return provisioner && (await ask<ProvisionerAnswer>(provisioner, 'answers')).answers;
      },
      failed: Promise.race(children.map(({ ended }) => ended)),
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

async function ask<T>(child: Child, question: Ask | 'answers'): Promise<T> {
  const answer = once(child.process, 'message');
  child.process.send(question);
  return ((await answer) as [T])[0];
}

/** `worker`, or `worker 1`, `worker 2` … of several. */
function pidsOf(role: string, children: readonly Child[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    children.map(({ pid }, index) => [children.length === 1 ? role : `${role} ${index + 1}`, pid]),
  );
}

/** Of all processes of a role together. */
async function requestsOf(children: readonly Child[]): Promise<Requests> {
  const answers = await Promise.all(children.map((child) => ask<Answer>(child, 'requests')));
  const sum = new Map<string, number>();
  for (const { requests } of answers) {
    for (const [sort, count] of Object.entries(requests)) sum.set(sort, (sum.get(sort) ?? 0) + count);
  }
  return Object.fromEntries(sum);
}

function withTemporalAt(address: string, environment: Environment): Environment {
  return {
    ...environment,
    temporal: { address, namespace: 'default', uiUrl: '' },
    variables: { ...environment.variables, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default' },
  };
}
