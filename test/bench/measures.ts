/** The measurements, each a function of the rig. All times are milliseconds unless their names say otherwise. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from 'yaml';

import { LABEL_WORKSPACE } from '../../api/labels';
import { API_VERSION } from '../../api/workspace';
import { Cache } from '../../kubernetes/cache';
import type { KubernetesClient } from '../../kubernetes/client';
import { isAlreadyExists } from '../../kubernetes/errors';
import { findCondition, type Manifest, type Pod } from '../../kubernetes/objects';
import { RESOURCES, type Resource } from '../../kubernetes/resources';
import { ROOT } from '../../local/defaults';
import { createLogger } from '../../workers/logging';
import { servedBetween, type Served } from './api-server';
import { each } from './each';
import { activityTimes, historySizes, running, type ActivityTimes } from './histories';
import { NAMESPACE, refOfName } from './names';
import type { Times } from './observer';
import { readyNode } from './provisioner';
import type { Requests, Rig } from './rig';
import { mean, spread, type Spread } from './statistics';
import { cpuBetween } from './usage';

/** Requests of the benchmark in flight: enough that the API server is never idle. */
const CONCURRENCY = 32;
const POLL_MS = 20;
const KINDS_MADE: readonly (keyof typeof RESOURCES)[] = [
  'workspaces',
  'nodeClaims',
  'nodes',
  'statefulSets',
  'pods',
  'services',
  'controllerRevisions',
];
/** After a phase, what follows it (Events, periodic work) is let pass before the next is measured. */
const SETTLE_MS = 5_000;

/** Time from apply. */
export interface Latencies {
  readonly nodeClaim: Spread;
  readonly statefulSet: Spread;
  readonly ready: Spread;
  /** From seeing a NodeClaim until it was answered; absent with Karpenter. */
  readonly provisioner?: Spread;
}

export interface Burst {
  readonly latencies: Latencies;
  readonly wallSeconds: number;
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly peakRssMiB: Readonly<Record<string, number>>;
  readonly requests: { readonly worker: Requests; readonly bridge: Requests };
  /** Of all clients, the control plane's own included. */
  readonly apiServer: readonly (Served & { readonly sort: string })[];
  readonly requestsPerWorkspace: number;
  readonly eventsPerWorkspace: { readonly mean: number; readonly most: number };
  /** Of the histories, payloads included. */
  readonly bytesPerWorkspace: number;
  readonly activities: readonly ActivityTimes[];
  readonly doubled: Doubled;
}

/** Machines or workloads that were made though there was one already. */
export interface Doubled {
  readonly nodeClaims: number;
  readonly statefulSets: number;
}

export interface Rest {
  readonly workspaces: number;
  readonly seconds: number;
  /** Percent of one core, by process. */
  readonly cpuPercent: Readonly<Record<string, number>>;
}

export interface Deletion {
  /** Until Workspaces, NodeClaims, Nodes, StatefulSets, Pods and running workflows are gone. */
  readonly wallSeconds: number;
  readonly perSecond: number;
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly requests: { readonly worker: Requests; readonly bridge: Requests };
  readonly apiServer: readonly (Served & { readonly sort: string })[];
  /** Until the garbage collector removed Services and ControllerRevisions, too. */
  readonly nothingLeftSeconds: number;
}

/** All created at once; ends when all are Ready. */
export async function measureBurst(rig: Rig, names: readonly string[], signal: AbortSignal): Promise<Burst> {
  const servedBefore = await rig.served();
  const [cpuBefore, requestsBefore] = [await rig.usages(), await rig.requests()];
  const madeBefore = { ...rig.observer.made };
  const startedAt = performance.now();
  await Promise.all([apply(rig, names), untilReady(rig, names, signal)]);
  const endedAt = performance.now();
  const [cpuAfter, requestsAfter] = [await rig.usages(), await rig.requests()];

  const requests = between(requestsBefore, requestsAfter);
  const apiServer = servedBetween(servedBefore, await rig.served());
  const histories = await historySizes(rig.temporal, names);
  const events = histories.map((history) => history.events);
  return {
    latencies: await latencies(rig, names),
    wallSeconds: (endedAt - startedAt) / 1_000,
    cpuSeconds: cpuBetween(cpuBefore, cpuAfter),
    peakRssMiB: Object.fromEntries(Object.entries(cpuAfter).map(([name, { peakRssMiB }]) => [name, peakRssMiB])),
    requests,
    apiServer,
    requestsPerWorkspace: (total(requests.worker) + total(requests.bridge)) / names.length,
    eventsPerWorkspace: { mean: mean(events), most: Math.max(...events) },
    bytesPerWorkspace: mean(histories.map(({ bytes }) => bytes)),
    activities: await activityTimes(rig.temporal, names),
    doubled: {
      nodeClaims: rig.observer.made.nodeClaims - madeBefore.nodeClaims - names.length,
      statefulSets: rig.observer.made.statefulSets - madeBefore.statefulSets - names.length,
    },
  };
}

/** One Workspace at a time on an idle system, each deleted before the next. */
export async function measureOnes(rig: Rig, count: number, signal: AbortSignal): Promise<Latencies> {
  const names = Array.from({ length: count }, (_, index) => `bench-one-${index}`);
  for (const name of names) {
    await apply(rig, [name]);
    await untilReady(rig, [name], signal);
    await remove(rig, [name]);
    await untilGone(rig, signal);
  }
  return await latencies(rig, names);
}

/** What the machine and the control plane need by themselves: from a StatefulSet made by hand, on a node that is ready, to its Pod's Ready. */
export async function measureRigAlone(rig: Rig, count: number, signal: AbortSignal): Promise<Spread> {
  const { client } = rig;
  const node = readyNode('bench-rig', {}, '8');
  await client.create(RESOURCES.nodes, node);
  const pods = new Cache<Pod>(client, {
    resource: RESOURCES.pods,
    namespace: NAMESPACE,
    labelSelector: 'bench=rig',
    logger: createLogger('warn'),
    index: ({ metadata }) => [metadata.labels?.['set'] ?? ''],
  }).start();
  try {
    await pods.synced;
    const times: number[] = [];
    // The first finds node and caches cold; it is not counted.
    for (let round = 0; round <= count; round += 1) {
      const name = `bench-rig-${round}`;
      const createdAt = performance.now();
      await client.create(RESOURCES.statefulSets, plainStatefulSet(name, node.metadata.name));
      await pods.waitFor(name, ([pod]) => (pod && findCondition(pod, 'Ready')?.status === 'True') || undefined, {
        signal,
      });
      if (round > 0) times.push(performance.now() - createdAt);
      await client.delete(RESOURCES.statefulSets, { namespace: NAMESPACE, name });
      await pods.waitFor(name, (left) => (left.length === 0 ? true : undefined), { signal });
    }
    return spread(times);
  } finally {
    await pods.stop();
    await client.delete(RESOURCES.nodes, { name: node.metadata.name });
  }
}

/** What the processes use when nothing happens. */
export async function measureRest(rig: Rig, workspaces: number, seconds: number, signal: AbortSignal): Promise<Rest> {
  await delay(SETTLE_MS, undefined, { signal });
  const before = await rig.usages();
  const startedAt = performance.now();
  await delay(seconds * 1_000, undefined, { signal });
  const used = cpuBetween(before, await rig.usages());
  const tookSeconds = (performance.now() - startedAt) / 1_000;
  const percent = Object.entries(used).map(([name, cpuSeconds]) => [name, (100 * cpuSeconds) / tookSeconds]);
  return { workspaces, seconds: tookSeconds, cpuPercent: Object.fromEntries(percent) as Record<string, number> };
}

/** All deleted at once; ends when nothing is left. */
export async function measureDeletion(rig: Rig, names: readonly string[], signal: AbortSignal): Promise<Deletion> {
  const servedBefore = await rig.served();
  const [before, requestsBefore] = [await rig.usages(), await rig.requests()];
  const startedAt = performance.now();
  await Promise.all([remove(rig, names), untilGone(rig, signal)]);
  const wallSeconds = (performance.now() - startedAt) / 1_000;
  const [after, requestsAfter] = [await rig.usages(), await rig.requests()];
  const cpuSeconds = cpuBetween(before, after);
  const requests = between(requestsBefore, requestsAfter);
  const apiServer = servedBetween(servedBefore, await rig.served());
  await untilNothingIsLeft(rig, signal);
  return {
    wallSeconds,
    perSecond: names.length / wallSeconds,
    cpuSeconds,
    requests,
    apiServer,
    nothingLeftSeconds: (performance.now() - startedAt) / 1_000,
  };
}

async function apply({ client, observer }: Rig, names: readonly string[]): Promise<void> {
  const manifest = parse(await readFile(path.join(ROOT, 'examples', 'phi-3-inference.yaml'), 'utf8')) as Manifest;
  for (const name of new Set(names.map((each) => refOfName(each).namespace))) await ensureNamespace(client, name);
  await each(names, CONCURRENCY, async (name) => {
    observer.expect(name);
    await client.create(RESOURCES.workspaces, {
      ...manifest,
      apiVersion: API_VERSION,
      metadata: refOfName(name),
    });
  });
}

async function ensureNamespace(client: KubernetesClient, name: string): Promise<void> {
  try {
    await client.create(RESOURCES.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function remove({ client }: Rig, names: readonly string[]): Promise<void> {
  await each(names, CONCURRENCY, async (name) => {
    await client.delete(RESOURCES.workspaces, refOfName(name));
  });
}

async function untilReady({ observer }: Rig, names: readonly string[], signal: AbortSignal): Promise<void> {
  // Asked after every change: it goes on where it stopped.
  let ready = 0;
  const areReady = (): boolean => {
    while (ready < names.length && observer.times.get(names[ready] ?? '')?.ready !== undefined) ready += 1;
    return ready === names.length;
  };
  const why = (): string => {
    const waiting = observer.notReady(names);
    return `${waiting.length} of ${names.length} Workspaces are not Ready:\n  ${waiting.slice(0, 5).join('\n  ')}`;
  };
  await observer.until(areReady, why, signal);
}

async function untilGone({ observer, temporal }: Rig, signal: AbortSignal): Promise<void> {
  const nothing = (): boolean => Object.values(observer.left()).every((count) => count === 0);
  await observer.until(nothing, () => `still there: ${JSON.stringify(observer.left())}`, signal);
  for (;;) {
    const workflows = await running(temporal);
    if (workflows === 0) return;
    if (signal.aborted) throw new Error(`${workflows} workflows still run`, { cause: signal.reason });
    await delay(POLL_MS);
  }
}

/** Asks the API server itself, for every kind that the product makes. */
async function untilNothingIsLeft({ client }: Rig, signal: AbortSignal): Promise<void> {
  for (const kind of KINDS_MADE) {
    const labelSelector = kind === 'workspaces' ? {} : { labelSelector: LABEL_WORKSPACE };
    const resource: Resource = RESOURCES[kind];
    for (;;) {
      const { items } = await client.list(resource, labelSelector, { metadataOnly: true });
      if (items.length === 0) break;
      if (signal.aborted) throw new Error(`${items.length} ${kind} are left`, { cause: signal.reason });
      await delay(10 * POLL_MS);
    }
  }
}

async function latencies(rig: Rig, names: readonly string[]): Promise<Latencies> {
  const since = (what: 'nodeClaim' | 'statefulSet' | 'ready'): Spread =>
    spread(
      names.map((name) => {
        const times: Times | undefined = rig.observer.times.get(name);
        return (times?.[what] ?? Number.NaN) - (times?.applied ?? Number.NaN);
      }),
    );
  const answers = await rig.provisionerAnswers();
  return {
    nodeClaim: since('nodeClaim'),
    statefulSet: since('statefulSet'),
    ready: since('ready'),
    // Each Workspace of the benchmark has one machine, so the last answers are theirs.
    ...(answers === undefined ? {} : { provisioner: spread(answers.slice(-names.length)) }),
  };
}

type RequestsByRole = Readonly<Record<'worker' | 'bridge', Requests>>;

function between(before: RequestsByRole, after: RequestsByRole): RequestsByRole {
  return { worker: difference(before.worker, after.worker), bridge: difference(before.bridge, after.bridge) };
}

/** Watches are left out: they are opened once, however many Workspaces there are. */
function difference(before: Requests, after: Requests): Requests {
  return Object.fromEntries(
    Object.entries(after)
      .map(([key, count]) => [key, count - (before[key] ?? 0)] as const)
      .filter(([key, count]) => count > 0 && !key.startsWith('watch ')),
  );
}

function total(requests: Requests): number {
  return Object.values(requests).reduce((sum, count) => sum + count, 0);
}

function plainStatefulSet(name: string, nodeName: string): Manifest {
  const labels = { bench: 'rig', set: name };
  const statefulSet = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name, namespace: NAMESPACE, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          nodeSelector: { 'kubernetes.io/hostname': nodeName },
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'main', image: 'none', resources: { limits: { 'nvidia.com/gpu': '1' } } }],
        },
      },
    },
  };
  return statefulSet;
}
