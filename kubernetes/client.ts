import { FIELD_MANAGER } from '../api/labels';
import { loadCluster, type ClusterOptions } from './kubeconfig';
import type { KubernetesObject, Manifest } from './objects';
import { PooledClient } from './pooled-client';
import type { ObjectName, Resource } from './resources';
import { Transport } from './transport';

/** As RBAC counts them, so that a message can name the missing permission; server-side apply is `patch` there. */
export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface RequestOptions {
  /** Cancels; the call then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** For the call with all its retries, from when it is its turn, in milliseconds. Default: 30,000. */
  readonly timeoutMs?: number;
}

export interface Selection {
  /** Left out: all namespaces. */
  readonly namespace?: string;
  /** As kubectl's `-l`; {@link labelsSelector} makes one of labels. */
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListOptions extends RequestOptions {
  /** Objects per page. Default: 500. */
  readonly pageSize?: number;
  /** Only `apiVersion`, `kind` and `metadata` of each object. */
  readonly metadataOnly?: boolean;
}

export interface List<T> {
  readonly items: readonly T[];
  /** From where a watch continues this list. */
  readonly resourceVersion: string;
}

export interface DeleteOptions extends RequestOptions {
  /** Deletes only this very object, not one of the same name made later. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Default: the server's, `Background` for most kinds. */
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly gracePeriodSeconds?: number;
}

/** `deleting`: accepted, but finalizers or a grace period keep the object for now. `absent`: it (with that uid) was not there. */
export type DeleteResult = 'deleted' | 'deleting' | 'absent';

export interface ApplyOptions extends RequestOptions {
  /** Default: the product's. */
  readonly fieldManager?: string;
  /** Takes fields over from other managers instead of failing with a conflict. Default: true. */
  readonly force?: boolean;
}

export interface PatchOptions extends RequestOptions {
  readonly fieldManager?: string;
}

export interface WatchQuery extends Selection {
  readonly resourceVersion: string;
  readonly timeoutSeconds: number;
  readonly metadataOnly?: boolean;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Longest time, in milliseconds, until the answer begins: the server does that at once, whether or not there is something to tell. */
  readonly answerTimeoutMs: number;
  /** Longest silence, in milliseconds, before the stream fails. */
  readonly inactivityTimeoutMs: number;
}

export interface LogOptions {
  readonly signal: AbortSignal;
  /** Longest silence, in milliseconds, before the stream fails. */
  readonly inactivityTimeoutMs: number;
  /** Lines to begin with. */
  readonly tailLines: number;
}

/** One HTTP request as it ended, for metrics. */
export interface RequestSample {
  readonly verb: Verb;
  /** Plural name, with `/status` where it was that. */
  readonly resource: string;
  /** HTTP status; 0 where no answer came. */
  readonly code: number;
  readonly durationMs: number;
}

export interface ClientOptions extends ClusterOptions {
  /** Default: the field manager's name. */
  readonly userAgent?: string;
  /** Called after every HTTP request, retries included; must not throw. */
  readonly onRequest?: (sample: RequestSample) => void;
}

/**
 * Plain-JSON access to the Kubernetes API.
 *
 * 1. Every method throws {@link KubernetesError}, or the reason of the caller's signal.
 * 2. Retried here is only what is safe to repeat and likely to pass soon: requests that never reached the server, answers with Retry-After
 *    (429, 503), and, for idempotent requests, lost connections and 5xx. At most five attempts within the time-out. The rest is Temporal's.
 * 3. Objects come as the server sent them: no classes, times as strings.
 */
export interface KubernetesClient {
  readonly server: string;
  /** HTTP requests so far by `verb resource`, retries included. */
  readonly requestCounts: ReadonlyMap<string, number>;

  /** Undefined where there is none. */
  get<T extends KubernetesObject>(
    resource: Resource<T>,
    at: ObjectName,
    options?: RequestOptions,
  ): Promise<T | undefined>;
  /** All pages. */
  list<T extends KubernetesObject>(
    resource: Resource<T>,
    selection?: Selection,
    options?: ListOptions,
  ): Promise<List<T>>;
  /** Fails with `isAlreadyExists`; that answer is a lock, so it isn't retried after a lost connection. */
  create<T extends KubernetesObject>(resource: Resource<T>, manifest: Manifest, options?: RequestOptions): Promise<T>;
  /** The whole object; fails with `isConflict` if it names a resource version that is no longer current. */
  replace<T extends KubernetesObject>(resource: Resource<T>, manifest: Manifest, options?: RequestOptions): Promise<T>;
  delete(resource: Resource, at: ObjectName, options?: DeleteOptions): Promise<DeleteResult>;
  /** JSON merge patch. With `metadata.resourceVersion` in the patch it fails with `isConflict` if the object changed. */
  patch<T extends KubernetesObject>(
    resource: Resource<T>,
    at: ObjectName,
    patch: object,
    options?: PatchOptions,
  ): Promise<T>;
  /** JSON merge patch of the status subresource: `{status: …}`. */
  patchStatus<T extends KubernetesObject>(
    resource: Resource<T>,
    at: ObjectName,
    patch: object,
    options?: PatchOptions,
  ): Promise<T>;
  /** Server-side apply: the object then has what the manifest says, and loses what this manager said earlier and now leaves out. */
  apply<T extends KubernetesObject>(resource: Resource<T>, manifest: Manifest, options?: ApplyOptions): Promise<T>;
  /** Server-side apply of the status subresource. */
  applyStatus<T extends KubernetesObject>(
    resource: Resource<T>,
    manifest: Manifest,
    options?: ApplyOptions,
  ): Promise<T>;
  /** The raw body of one watch request; `Cache` is what to use instead. */
  watch(resource: Resource, query: WatchQuery, options: WatchOptions): Promise<AsyncIterable<Buffer>>;
  /** One page; `Cache` and `list` are what to use instead. */
  listPage<T extends KubernetesObject>(
    resource: Resource<T>,
    selection: Selection,
    options: ListOptions & { readonly continueToken?: string },
  ): Promise<List<T> & { readonly continueToken?: string }>;
  /** The log of a pod's container as raw bytes, from `tailLines` back and as it is written; ends with the container. */
  followLog(pod: Required<ObjectName>, container: string, options: LogOptions): Promise<AsyncIterable<Buffer>>;
  /** Closes all connections; what is in flight fails. */
  close(): Promise<void>;
}

/** A client for the cluster that the options, the environment or the pod's service account names. Contacts nobody yet. */
export function connect(options: ClientOptions = {}): KubernetesClient {
  return new PooledClient(new Transport(loadCluster(options), options.userAgent ?? FIELD_MANAGER), options.onRequest);
}

/** `a=1,b=2`. */
export function labelsSelector(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
