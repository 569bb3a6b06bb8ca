import { execFile } from 'node:child_process';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect, isDeepStrictEqual, promisify } from 'node:util';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { Runtime } from '@temporalio/worker';
import type { Workspace, WorkspaceStatus } from '../../api/workspace';
import { toError } from '../../api/to-error';
import { workflowIdOf } from '../../api/workflow';
import { Cache } from '../../kubernetes/cache';
import { connect, type KubernetesClient } from '../../kubernetes/client';
import { isConflict } from '../../kubernetes/errors';
import { SILENT_LOGGER, type Logger } from '../../kubernetes/logger';
import type {
  ControllerRevision,
  Event,
  Job,
  KubernetesObject,
  Manifest,
  ManifestMeta,
  Node,
  NodeClaim,
  PersistentVolumeClaim,
  Pod,
  Service,
  StatefulSet,
} from '../../kubernetes/objects';
import { defineResource, RESOURCES, type Resource } from '../../kubernetes/resources';
import type { AzureAccess } from '../../workers/azure-provider';
import { readConfiguration } from '../../workers/configuration';
import { installRuntime } from '../../workers/logging';
import { bundleWorkflows, startProduct, type Product, type Role } from '../../workers/product';
import { useEnvironment } from '../environment';

/** The whole product against a real control plane, as its users meet it: Kubernetes on one side, Temporal on the other. */

const exec = promisify(execFile);

export const ROOT = path.resolve(__dirname, '../..');
export const NODE_CLASSES = defineResource({
  group: 'karpenter.kwok.sh',
  version: 'v1alpha1',
  plural: 'kwoknodeclasses',
  kind: 'KWOKNodeClass',
  namespaced: false,
});

/** Short enough for tests, long enough that nothing passes by accident. */
const TIMINGS = {
  KAITO_NODE_CLASS_PROFILE: 'kwok',
  KAITO_RESYNC: '2s',
  KAITO_RETRY_FIRST: '200ms',
  KAITO_RETRY_MOST: '1s',
  KAITO_LOG_LEVEL: 'info',
};
/** KAITO_TEST_PATIENCE_MS is for machines that do much else. */
const PATIENCE_MS = Number(process.env['KAITO_TEST_PATIENCE_MS'] ?? 25_000);
const POLL_MS = 50;
const LOG_LINES = 40;

/** What the API server shows, as of the last change that reached us. */
export class View {
  readonly #caches;
  readonly #client: KubernetesClient;
  readonly #waiting = new Set<() => void>();

  constructor(client: KubernetesClient, logger: Logger) {
    this.#client = client;
    const open = <T extends KubernetesObject>(resource: Resource<T>): Cache<T> => {
      const cache = new Cache<T>(client, { resource, logger }).start();
      void cache.synced.then(() => cache.subscribe(() => this.#changed()));
      return cache;
    };
    this.#caches = {
      workspaces: open(RESOURCES.workspaces),
      statefulSets: open(RESOURCES.statefulSets),
      jobs: open(RESOURCES.jobs),
      claims: open(RESOURCES.persistentVolumeClaims),
      pods: open(RESOURCES.pods),
      services: open(RESOURCES.services),
      nodeClaims: open(RESOURCES.nodeClaims),
      nodes: open(RESOURCES.nodes),
      events: open(RESOURCES.events),
      revisions: open(RESOURCES.controllerRevisions),
    };
  }

  async ready(): Promise<void> {
    await Promise.all(Object.values(this.#caches).map(({ synced }) => synced));
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.#caches).map((cache) => cache.stop()));
  }

  workspace(namespace: string, name: string): Workspace | undefined {
    return this.#caches.workspaces.get({ namespace, name });
  }

  workspaces(): readonly Workspace[] {
    return [...this.#caches.workspaces.values()];
  }

  statefulSet(namespace: string, name: string): StatefulSet | undefined {
    return this.#caches.statefulSets.get({ namespace, name });
  }

  job(namespace: string, name: string): Job | undefined {
    return this.#caches.jobs.get({ namespace, name });
  }

  claim(namespace: string, name: string): PersistentVolumeClaim | undefined {
    return this.#caches.claims.get({ namespace, name });
  }

  /** The pod of a Job that has not ended. */
  jobPod(namespace: string, job: string): Pod | undefined {
    return inNamespace(this.#caches.pods, namespace).find(
      ({ metadata, status }) =>
        metadata.labels?.['batch.kubernetes.io/job-name'] === job &&
        metadata.deletionTimestamp === undefined &&
        status?.phase === 'Running',
    );
  }

  service(namespace: string, name: string): Service | undefined {
    return this.#caches.services.get({ namespace, name });
  }

  pod(namespace: string, name: string): Pod | undefined {
    return this.#caches.pods.get({ namespace, name });
  }

  node(name: string): Node | undefined {
    return this.#caches.nodes.get({ name });
  }

  nodes(): readonly Node[] {
    return [...this.#caches.nodes.values()];
  }

  nodeClaims(namespace?: string): readonly NodeClaim[] {
    const all = [...this.#caches.nodeClaims.values()];
    return namespace === undefined
      ? all
      : all.filter(({ metadata }) => metadata.labels?.['kaito.sh/workspacenamespace'] === namespace);
  }

  events(namespace: string): readonly Event[] {
    return inNamespace(this.#caches.events, namespace);
  }

  revisions(namespace: string): readonly ControllerRevision[] {
    return inNamespace(this.#caches.revisions, namespace).filter(
      ({ metadata }) => metadata.ownerReferences?.[0]?.kind === 'Workspace',
    );
  }

  /** What is there of a Workspace besides itself, by kind and name. */
  remains(namespace: string): readonly string[] {
    const { statefulSets, jobs, claims, pods, services } = this.#caches;
    const owned: readonly Cache<KubernetesObject>[] = [
      statefulSets,
      jobs,
      claims,
      pods,
      services,
    ] as unknown as Cache<KubernetesObject>[];
    return [
      ...this.nodeClaims(namespace).map(({ metadata }) => `NodeClaim ${metadata.name}`),
      ...this.nodes()
        .filter(({ metadata }) => metadata.labels?.['kaito.sh/workspacenamespace'] === namespace)
        .map(({ metadata }) => `Node ${metadata.name}`),
      ...owned
        .flatMap((cache) => inNamespace(cache, namespace))
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`),
      ...this.revisions(namespace).map(({ metadata }) => `ControllerRevision ${metadata.name}`),
    ];
  }

  /** The first value other than undefined and false that `find` returns, asked now and after every change. */
  async until<T>(find: () => T | undefined | false, patienceMs: number): Promise<T | undefined> {
    return new Promise<T | undefined>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        try {
          const found = find();
          if (found === undefined || found === false) return;
          end();
          resolve(found);
        } catch (error) {
          end();
          reject(toError(error));
        }
      };
      const timer = setTimeout(() => {
        end();
        resolve(undefined);
      }, patienceMs);
      this.#waiting.add(look);
      look();
    });
  }

  get client(): KubernetesClient {
    return this.#client;
  }

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }
}

function inNamespace<T extends KubernetesObject>(cache: Cache<T>, namespace: string): readonly T[] {
  return [...cache.values()].filter(({ metadata }) => metadata.namespace === namespace);
}

type ClusterEnvironment = Pick<ReturnType<typeof useEnvironment>, 'kubeconfig' | 'temporal' | 'variables'>;

interface StartOptions {
  /** Settings beside the file's. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Other workflow code. */
  readonly workflowBundle?: Awaited<ReturnType<typeof bundleWorkflows>>;
  /** How to get into a stand-in for Azure. */
  readonly azure?: AzureAccess;
}

/** One product, and both views on it, for the tests of a file. */
export class Stage {
  /** The same for all of a file. */
  static #bundle: ReturnType<typeof bundleWorkflows> | undefined;
  readonly view: View;
  readonly temporal: Client;
  readonly #products = new Set<Product>();
  readonly #lines: string[] = [];
  readonly #variables: Readonly<Record<string, string>>;
  readonly #connection: Connection;
  readonly #environment: ClusterEnvironment;
  readonly #prefix: string;
  readonly #undoings: (() => Promise<unknown>)[] = [];
  #namespaces = 0;
  #hasStarted = false;

  private constructor(
    view: View,
    connection: Connection,
    prefix: string,
    variables: Readonly<Record<string, string>>,
    environment: ClusterEnvironment,
  ) {
    this.view = view;
    this.#connection = connection;
    this.#environment = environment;
    this.temporal = new Client({ connection, namespace: environment.temporal.namespace });
    this.#prefix = prefix;
    this.#variables = variables;
  }

  /** `roles`: what runs in this process; none where the test starts the product's processes itself. */
  static async open(
    topic: string,
    variables: Readonly<Record<string, string>>,
    roles: readonly Role[] = ['worker', 'bridge'],
    environment: ClusterEnvironment = useEnvironment(),
  ): Promise<Stage> {
    const { kubeconfig, temporal } = environment;
    const view = new View(connect({ kubeconfig }), SILENT_LOGGER);
    await view.ready();
    const connection = await Connection.connect({ address: temporal.address });
    const prefix = `${topic}-${Date.now().toString(36)}`;
    const stage = new Stage(view, connection, prefix, { ...TIMINGS, ...variables }, environment);
    installRuntime(stage.#logger());
    if (roles.length > 0) await stage.start(roles);
    return stage;
  }

  get client(): KubernetesClient {
    return this.view.client;
  }

  /** Starts (another) worker and bridge, of the present code and with the file's settings unless told otherwise. */
  async start(
    roles: readonly Role[] = ['worker', 'bridge'],
    { variables = {}, workflowBundle, azure }: StartOptions = {},
  ): Promise<Product> {
    const { kubeconfig, temporal } = this.#environment;
    this.#hasStarted = true;
    Stage.#bundle ??= bundleWorkflows();
    const product = await startProduct({
      configuration: readConfiguration({ ...this.#variables, ...variables }),
      logger: this.#logger(),
      roles,
      kubeconfig,
      temporal,
      workflowBundle: workflowBundle ?? (await Stage.#bundle),
      ...(azure !== undefined && { azure }),
    });
    product.running.catch((error: unknown) => this.#lines.push(`worker failed: ${inspect(error)}`));
    this.#products.add(product);
    return product;
  }

  /** Ends what {@link start} returned. */
  async stop(product: Product): Promise<void> {
    this.#products.delete(product);
    await product.stop();
  }

  /** Ends everything that was started; nothing of any test is left then, or this fails. */
  async close(): Promise<void> {
    const { client, view } = this;
    const mine = view.workspaces().filter(({ metadata }) => metadata.namespace.startsWith(`${this.#prefix}-`));
    await Promise.all(mine.map(({ metadata }) => client.delete(RESOURCES.workspaces, metadata)));
    const left = (): readonly string[] => [
      ...mine
        .filter(({ metadata }) => view.workspace(metadata.namespace, metadata.name)?.metadata.uid === metadata.uid)
        .map(({ metadata }) => `Workspace ${metadata.namespace}/${metadata.name}`),
      ...Array.from({ length: this.#namespaces }, (_, i) => view.remains(this.#namespace(i + 1))).flat(),
    ];
    try {
      const clean = await view.until(() => left().length === 0, 2 * PATIENCE_MS);
      for (const undo of this.#undoings) await undo();
      if (clean !== true)
        throw new Error(`all Workspaces were deleted, and left behind: ${left().join(', ')}\n${this.#picture()}`);
    } finally {
      await this.leave();
    }
  }

  /** Ends everything that was started; what the tests made stays. */
  async leave(): Promise<void> {
    await Promise.all([...this.#products].map((product) => this.stop(product)));
    // It ends with the last connection of a worker; one that never had any would keep the tests' process from ending.
    if (!this.#hasStarted) await Runtime.instance().shutdown();
    await this.#connection.close();
    await this.view.stop();
    await this.client.close();
  }

  /** Undoes what a test made itself, once the Workspaces are gone. */
  defer(undo: () => Promise<unknown>): void {
    this.#undoings.push(undo);
  }

  /** A fresh namespace: each test has its own. */
  async namespace(): Promise<string> {
    this.#namespaces += 1;
    const name = this.#namespace(this.#namespaces);
    await this.client.create(RESOURCES.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    return name;
  }

  #namespace(number: number): string {
    return `${this.#prefix}-${number}`;
  }

  /** Runs kubectl in a namespace; throws with what it says when it fails. */
  async kubectl(namespace: string, args: readonly string[], input?: string): Promise<string> {
    const { variables, kubeconfig } = this.#environment;
    const running = exec('kubectl', ['-n', namespace, ...args], {
      env: { ...process.env, ...variables, KUBECONFIG: kubeconfig },
    });
    running.child.stdin?.end(input);
    return (await running).stdout;
  }

  /** What kubectl apply says to a manifest that is refused. */
  async refusal(namespace: string, manifest: string): Promise<string> {
    try {
      await this.kubectl(namespace, ['apply', '-f', '-'], manifest);
    } catch (error) {
      return (error as { stderr: string }).stderr;
    }
    throw new Error(`kubectl apply accepted:\n${manifest}`);
  }

  /** Creates an object. */
  async create<T extends KubernetesObject>(
    resource: Resource<T>,
    manifest: { readonly metadata: ManifestMeta; readonly [field: string]: unknown },
  ): Promise<T> {
    const { group, version, kind } = resource;
    const apiVersion = group === '' ? version : `${group}/${version}`;
    return this.client.create(resource, { apiVersion, kind, ...manifest });
  }

  /** Changes a Workspace's spec or metadata by a JSON merge patch. The view has it then: what is waited for next is not the state before. */
  async patch({ metadata }: Workspace, patch: object): Promise<void> {
    const { namespace, name, uid, generation } = (await this.client.patch(RESOURCES.workspaces, metadata, patch))
      .metadata;
    await this.until(`${namespace}/${name} is seen in generation ${generation}`, () => {
      const seen = this.view.workspace(namespace, name)?.metadata;
      return seen?.uid !== uid || seen.generation >= generation;
    });
  }

  async annotate(workspace: Workspace, annotations: Readonly<Record<string, string>>): Promise<void> {
    await this.patch(workspace, { metadata: { annotations } });
  }

  /** The first value other than undefined and false that `find` returns; fails with the whole picture when that takes too long. */
  async until<T>(what: string, find: () => T | undefined | false, patienceMs = PATIENCE_MS): Promise<T> {
    const found = await this.view.until(find, patienceMs);
    if (found === undefined) throw new Error(`still not so: ${what}\n${this.#picture()}`);
    return found;
  }

  /** The same for what can't be watched, only asked for. */
  async poll<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = await ask();
      if (found !== undefined && found !== false) return found;
      if (Date.now() > deadline) throw new Error(`still not so: ${what}\n${this.#picture()}`);
      await delay(POLL_MS);
    }
  }

  /** The Workspace, once that holds of it. */
  async workspaceWhen(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    what: string,
    holds: (workspace: Workspace & { readonly status: NonNullable<Workspace['status']> }) => boolean,
  ): Promise<Workspace & { readonly status: NonNullable<Workspace['status']> }> {
    return this.until(`${namespace}/${name} ${what}`, () => {
      const workspace = this.view.workspace(namespace, name);
      if (workspace?.status === undefined) return undefined;
      const whole = { ...workspace, status: workspace.status };
      return holds(whole) ? whole : undefined;
    });
  }

  /** The Workspace, once it is Ready for its present generation. */
  async ready(ref: { readonly namespace: string; readonly name: string }) {
    return this.workspaceWhen(ref, 'is Ready', isReady);
  }

  /** Once its step failed with that cause. */
  async failing(ref: { readonly namespace: string; readonly name: string }, cause: string) {
    return this.workspaceWhen(ref, `says ${cause}`, ({ status }) => status.step?.cause === cause);
  }

  workflow({ namespace, name }: { readonly namespace: string; readonly name: string }) {
    return this.temporal.workflow.getHandle(workflowIdOf({ namespace, name }));
  }

  /** Takes a finalizer from a NodeClaim, whatever others do to the rest of them meanwhile. */
  async removeFinalizer({ metadata }: NodeClaim, finalizer: string): Promise<void> {
    await this.poll(`${metadata.name} has no finalizer ${finalizer}`, async () => {
      const current = await this.client.get(RESOURCES.nodeClaims, metadata);
      if (current === undefined) return true;
      const { resourceVersion, finalizers = [] } = current.metadata;
      const others = finalizers.filter((one) => one !== finalizer);
      try {
        await this.client.patch(RESOURCES.nodeClaims, metadata, { metadata: { resourceVersion, finalizers: others } });
        return true;
      } catch (error) {
        // Karpenter takes its own finalizer away at the same time.
        if (isConflict(error)) return false;
        throw error;
      }
    });
  }

  /** Once the query `status` answers so: a step writes the status, and the workflow has it when the step has ended. */
  async answers(workflow: Pick<WorkflowHandle, 'query'>, status: WorkspaceStatus): Promise<void> {
    await this.poll('the query says so', async () => isDeepStrictEqual(await workflow.query('status'), status));
  }

  /** The workflow's whole history as text, payloads included. */
  async history(ref: { readonly namespace: string; readonly name: string }): Promise<string> {
    const { events } = await this.workflow(ref).fetchHistory();
    return JSON.stringify(events, (_, value: unknown) => {
      const isBuffer = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
      return isBuffer ? Buffer.from((value as unknown as { data: number[] }).data).toString('utf8') : value;
    });
  }

  /** The one NodeClaim in the namespace. */
  onlyClaim(namespace: string): NodeClaim {
    const claims = this.view.nodeClaims(namespace);
    const [claim] = claims;
    if (claim === undefined || claims.length > 1) {
      throw new Error(
        `expected one NodeClaim in ${namespace}: ${inspect(claims.map(({ metadata }) => metadata.name))}`,
      );
    }
    return claim;
  }

  #logger(): Logger {
    const write = (level: string) => (message: string, fields?: object) => {
      this.#lines.push(
        `${new Date().toISOString()} ${level} ${message} ${fields === undefined ? '' : inspect(fields, { breakLength: Infinity })}`,
      );
      this.#lines.splice(0, this.#lines.length - LOG_LINES);
    };
    return { debug: () => undefined, info: write('info'), warn: write('warn'), error: write('error') };
  }

  #picture(): string {
    const namespace = this.#namespace(this.#namespaces);
    const workspaces = this.view.workspaces().filter(({ metadata }) => metadata.namespace === namespace);
    const events = this.view
      .events(namespace)
      .map(({ reason, message, count }) => `${reason} ×${count ?? 1}: ${message}`);
    return [
      `namespace ${namespace} has: ${this.view.remains(namespace).join(', ') || 'nothing'}`,
      ...workspaces.map((workspace) => inspect(workspace, { depth: 8, breakLength: 140 })),
      'Events:',
      ...events,
      'the product’s last lines:',
      ...this.#lines,
    ].join('\n');
  }
}

export function isReady({ metadata, status }: Workspace): boolean {
  return (
    status?.state === 'Ready' && status.step?.name === 'Ready' && status.observedGeneration === metadata.generation
  );
}

/** Status of a condition, `undefined` where it is not told. */
export function condition(workspace: Workspace, type: string) {
  return workspace.status?.conditions?.find((one) => one.type === type);
}

/** Starts the product before the tests of a file, and after them sees to it that nothing is left. */
export function useStage(
  topic: string,
  variables: Readonly<Record<string, string>> = {},
  roles?: readonly Role[],
): () => Stage {
  let stage: Stage | undefined;
  beforeAll(async () => {
    stage = await Stage.open(topic, variables, roles);
  });
  afterAll(() => stage?.close());
  return () => {
    if (stage === undefined) throw new Error('the product did not start');
    return stage;
  };
}

/** A small inference Workspace; `patch` replaces its parts. */
export function inference(
  namespace: string,
  name: string,
  patch: { resource?: object; inference?: object; annotations?: Record<string, string> } = {},
): Manifest {
  return {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { namespace, name, ...(patch.annotations && { annotations: patch.annotations }) },
    resource: {
      instanceType: 'Standard_NC24ads_A100_v4',
      labelSelector: { matchLabels: { apps: name } },
      ...patch.resource,
    },
    inference: { preset: { name: 'phi-4-mini-instruct' }, ...patch.inference },
  } as Manifest;
}

/** Matches a text that has that part, or matches that expression. */
export function textWith(part: string | RegExp): unknown {
  return typeof part === 'string' ? expect.stringContaining(part) : expect.stringMatching(part);
}

/** Matches any text. */
export const anyText: unknown = expect.any(String);
