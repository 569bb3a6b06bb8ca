import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { FIELD_MANAGER } from '../api/labels';
import { Deadline, nameOf, retryDelayMs, toHttp, type Call } from './call';
import type {
  ApplyOptions,
  DeleteOptions,
  DeleteResult,
  KubernetesClient,
  List,
  ListOptions,
  LogOptions,
  PatchOptions,
  RequestOptions,
  RequestSample,
  Selection,
  WatchOptions,
  WatchQuery,
} from './client';
import { KubernetesError } from './errors';
import type { KubernetesObject, Manifest } from './objects';
import { RESOURCES, apiVersionOf, type ObjectName, type Resource } from './resources';
import { Slots, takeBoth } from './slots';
import { MAX_CONNECTIONS, toRequestError, type HttpRequest, type SendOptions, type Transport } from './transport';

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_PAGE_SIZE = 500;
/** What the server is slow with must not hold up the rest: it gives one Service after another its IP address, however many ask. */
const MOST_OF_A_KIND = MAX_CONNECTIONS / 2;

/** See {@link KubernetesClient}; made by `connect`. */
export class PooledClient implements KubernetesClient {
  readonly requestCounts = new Map<string, number>();
  readonly #transport: Transport;
  readonly #slots = new Slots(MAX_CONNECTIONS);
  /** By resource. */
  readonly #lanes = new Map<string, Slots>();
  readonly #onRequest: ((sample: RequestSample) => void) | undefined;

  constructor(transport: Transport, onRequest: ((sample: RequestSample) => void) | undefined) {
    this.#transport = transport;
    this.#onRequest = onRequest;
  }

  get server(): string {
    return this.#transport.server.href;
  }

  async get<T extends KubernetesObject>(
    resource: Resource<T>,
    at: ObjectName,
    options?: RequestOptions,
  ): Promise<T | undefined> {
    try {
      return await this.#json<T>({ verb: 'get', method: 'GET', resource, at, idempotent: true }, options);
    } catch (error) {
      if (error instanceof KubernetesError && error.code === 404) return undefined;
      throw error;
    }
  }

  async list<T extends KubernetesObject>(
    resource: Resource<T>,
    selection: Selection = {},
    options: ListOptions = {},
  ): Promise<List<T>> {
    const items: T[] = [];
    let page = await this.listPage(resource, selection, options);
    items.push(...page.items);
    while (page.continueToken !== undefined) {
      page = await this.listPage(resource, selection, { ...options, continueToken: page.continueToken });
      items.push(...page.items);
    }
    return { items, resourceVersion: page.resourceVersion };
  }

  async listPage<T extends KubernetesObject>(
    resource: Resource<T>,
    { namespace, labelSelector, fieldSelector }: Selection,
    options: ListOptions & { readonly continueToken?: string },
  ): Promise<List<T> & { readonly continueToken?: string }> {
    const list = await this.#json<{
      readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
      readonly items: T[] | null;
    }>(
      {
        verb: 'list',
        method: 'GET',
        resource,
        ...(namespace !== undefined && { at: { namespace } }),
        query: {
          labelSelector,
          fieldSelector,
          limit: options.pageSize ?? DEFAULT_PAGE_SIZE,
          continue: options.continueToken,
        },
        idempotent: true,
        metadataOnly: options.metadataOnly ?? false,
      },
      options,
    );
    const apiVersion = apiVersionOf(resource);
    const items = list.items ?? [];
    for (const item of items) Object.assign(item, { apiVersion, kind: resource.kind });
    const { resourceVersion, continue: continueToken } = list.metadata;
    return { items, resourceVersion, ...(continueToken ? { continueToken } : {}) };
  }

  async create<T extends KubernetesObject>(
    resource: Resource<T>,
    manifest: Manifest,
    options?: RequestOptions,
  ): Promise<T> {
    const { namespace } = manifest.metadata;
    return await this.#json<T>(
      {
        verb: 'create',
        method: 'POST',
        resource,
        ...(namespace !== undefined && { at: { namespace } }),
        contentType: 'application/json',
        body: manifest,
        idempotent: false,
      },
      options,
    );
  }

  async replace<T extends KubernetesObject>(
    resource: Resource<T>,
    manifest: Manifest,
    options?: RequestOptions,
  ): Promise<T> {
    return await this.#json<T>(
      {
        verb: 'update',
        method: 'PUT',
        resource,
        at: nameOf(manifest),
        contentType: 'application/json',
        body: manifest,
        idempotent: manifest.metadata.resourceVersion === undefined,
      },
      options,
    );
  }

  async delete(resource: Resource, at: ObjectName, options: DeleteOptions = {}): Promise<DeleteResult> {
    const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = options;
    try {
      const answer = await this.#json<{
        readonly kind: string;
        readonly metadata?: { readonly deletionTimestamp?: string };
      }>(
        {
          verb: 'delete',
          method: 'DELETE',
          resource,
          at,
          contentType: 'application/json',
          body: {
            kind: 'DeleteOptions',
            apiVersion: 'v1',
            ...((uid !== undefined || resourceVersion !== undefined) && { preconditions: { uid, resourceVersion } }),
            propagationPolicy,
            gracePeriodSeconds,
          },
          idempotent: true,
        },
        options,
      );
      return answer.kind !== 'Status' && answer.metadata?.deletionTimestamp !== undefined ? 'deleting' : 'deleted';
    } catch (error) {
      if (!(error instanceof KubernetesError)) throw error;
      if (error.code === 404) return 'absent';
      // A conflict may mean that the name has passed to another object; look, rather than read the message.
      if (error.code === 409 && uid !== undefined) {
        const now = await this.get(resource, at, options);
        if (now?.metadata.uid !== uid) return 'absent';
      }
      throw error;
    }
  }

  async patch<T extends KubernetesObject>(
    resource: Resource<T>,
    at: ObjectName,
    patch: object,
    options: PatchOptions = {},
  ): Promise<T> {
    return await this.#merge<T>(resource, at, patch, options, undefined);
  }

  async patchStatus<T extends KubernetesObject>(
    resource: Resource<T>,
    at: ObjectName,
    patch: object,
    options: PatchOptions = {},
  ): Promise<T> {
    return await this.#merge<T>(resource, at, patch, options, 'status');
  }

  async apply<T extends KubernetesObject>(
    resource: Resource<T>,
    manifest: Manifest,
    options: ApplyOptions = {},
  ): Promise<T> {
    return await this.#apply<T>(resource, manifest, options, undefined);
  }

  async applyStatus<T extends KubernetesObject>(
    resource: Resource<T>,
    manifest: Manifest,
    options: ApplyOptions = {},
  ): Promise<T> {
    return await this.#apply<T>(resource, manifest, options, 'status');
  }

  async watch(resource: Resource, query: WatchQuery, options: WatchOptions): Promise<AsyncIterable<Buffer>> {
    const { namespace, metadataOnly, ...parameters } = query;
    const call: Call = {
      verb: 'watch',
      method: 'GET',
      resource,
      ...(namespace !== undefined && { at: { namespace } }),
      query: { ...parameters, watch: true, allowWatchBookmarks: true },
      idempotent: true,
      metadataOnly: metadataOnly ?? false,
    };
    const { signal, answerTimeoutMs, inactivityTimeoutMs } = options;
    const response = await this.#send(call, toHttp(call), signal, {
      silenceTimeoutMs: inactivityTimeoutMs,
      headersTimeoutMs: answerTimeoutMs,
    });
    return response.body;
  }

  async followLog(
    pod: Required<ObjectName>,
    container: string,
    { signal, tailLines, inactivityTimeoutMs }: LogOptions,
  ): Promise<AsyncIterable<Buffer>> {
    const call: Call = {
      verb: 'get',
      method: 'GET',
      resource: RESOURCES.pods,
      at: pod,
      subresource: 'log',
      query: { container, follow: true, tailLines },
      idempotent: true,
    };
    const response = await this.#send(call, toHttp(call), signal, { silenceTimeoutMs: inactivityTimeoutMs });
    return response.body;
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #merge<T>(
    resource: Resource,
    at: ObjectName,
    patch: object,
    { fieldManager = FIELD_MANAGER, ...options }: PatchOptions,
    subresource: 'status' | undefined,
  ): Promise<T> {
    const guarded = (patch as Partial<Manifest>).metadata?.resourceVersion !== undefined;
    return await this.#json<T>(
      {
        verb: 'patch',
        method: 'PATCH',
        resource,
        at,
        ...(subresource !== undefined && { subresource }),
        query: { fieldManager },
        contentType: 'application/merge-patch+json',
        body: patch,
        // Repeated, one that names a resource version would conflict with itself.
        idempotent: !guarded,
      },
      options,
    );
  }

  async #apply<T>(
    resource: Resource,
    manifest: Manifest,
    { fieldManager = FIELD_MANAGER, force = true, ...options }: ApplyOptions,
    subresource: 'status' | undefined,
  ): Promise<T> {
    return await this.#json<T>(
      {
        verb: 'patch',
        method: 'PATCH',
        resource,
        at: nameOf(manifest),
        ...(subresource !== undefined && { subresource }),
        query: { fieldManager, force },
        contentType: 'application/apply-patch+yaml',
        body: manifest,
        idempotent: manifest.metadata.resourceVersion === undefined,
      },
      options,
    );
  }

  /** The call with its retries and its deadline. */
  async #json<R>(call: Call, options: RequestOptions = {}): Promise<R> {
    const request = toHttp(call);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    // In a burst requests wait here for each other, however long: the time-out is the server's.
    let done = await this.#turn(call, options.signal);
    const deadline = new Deadline(timeoutMs, request.description, options.signal);
    try {
      for (let attempt = 1; ; attempt++) {
        if (attempt > 1) done = await this.#turn(call, deadline.signal);
        try {
          return await this.#once<R>(call, request, deadline.signal).finally(done);
        } catch (error) {
          if (!(error instanceof KubernetesError) || deadline.signal.aborted) throw error;
          const wait = retryDelayMs(call, error, attempt);
          if (wait === undefined || wait > deadline.remainingMs) throw error;
          await sleep(wait, undefined, { signal: deadline.signal }).catch((aborted: unknown) => {
            throw deadline.signal.aborted ? deadline.signal.reason : aborted;
          });
        }
      }
    } finally {
      deadline.end();
    }
  }

  /** Resolves when it is the call's turn, with what ends that. @throws the signal's reason. */
  #turn({ resource }: Call, signal: AbortSignal | undefined): Promise<() => void> {
    const name = `${resource.plural}.${resource.group}`;
    const lane = this.#lanes.get(name) ?? new Slots(MOST_OF_A_KIND);
    this.#lanes.set(name, lane);
    return takeBoth(lane, this.#slots, signal);
  }

  async #once<R>(call: Call, request: HttpRequest, signal: AbortSignal): Promise<R> {
    const response = await this.#send(call, request, signal);
    let text: string;
    try {
      text = await response.body.text();
    } catch (error) {
      throw toRequestError(request, error, signal);
    }
    try {
      return JSON.parse(text) as R;
    } catch (error) {
      throw new KubernetesError({
        code: 0,
        reason: 'Unreadable',
        message: `the answer is not JSON: ${text.slice(0, 200)}`,
        request: request.description,
        cause: error,
      });
    }
  }

  async #send(
    call: Call,
    request: HttpRequest,
    signal: AbortSignal,
    stream?: Pick<SendOptions, 'silenceTimeoutMs' | 'headersTimeoutMs'>,
  ): Promise<Dispatcher.ResponseData> {
    const startedAt = performance.now();
    let code = 0;
    try {
      const response = await this.#transport.send(request, {
        signal,
        ...(stream !== undefined && { pool: 'stream', ...stream }),
      });
      code = response.statusCode;
      return response;
    } catch (error) {
      if (error instanceof KubernetesError) code = error.code;
      throw error;
    } finally {
      const resource = call.resource.plural + (call.subresource === undefined ? '' : `/${call.subresource}`);
      const key = `${call.verb} ${resource}`;
      this.requestCounts.set(key, (this.requestCounts.get(key) ?? 0) + 1);
      this.#onRequest?.({ verb: call.verb, resource, code, durationMs: performance.now() - startedAt });
    }
  }
}
