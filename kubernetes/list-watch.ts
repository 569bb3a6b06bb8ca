import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, type Backoff } from './backoff';
import type { KubernetesClient, Selection } from './client';
import { deferred } from './deferred';
import { isGone, KubernetesError } from './errors';
import { LineSplitter } from './lines';
import type { Logger } from './logger';
import type { KubernetesObject } from './objects';
import { apiVersionOf, type Resource } from './resources';
import { statusError } from './transport';

/** When the list-watch looks again; the defaults suit a real API server, tests shorten them. */
export interface ListWatchTiming {
  /** Every so often the whole list is read again, in case the watch silently missed something. Default: 600,000, ±10 %. */
  readonly relistIntervalMs?: number;
  /** A watch that isn't answered for so long is opened anew. Default: 30,000. */
  readonly answerTimeoutMs?: number;
  /** A watch that shows nothing for so long, not even a bookmark (one a minute is usual), is opened anew. Default: 150,000. */
  readonly inactivityTimeoutMs?: number;
  /** After which the server is asked to end a watch; up to a quarter is added at random. Default: 240. */
  readonly watchTimeoutSeconds?: number;
  /** Between attempts that fail in a row. Default: 250 to 30,000 ms. */
  readonly backoff?: Backoff;
  /** A watch that stayed open for so long proves that things work: the back-off starts anew. Default: 5,000. */
  readonly healthyAfterMs?: number;
  /** Objects per page of a list. Default: 500. */
  readonly pageSize?: number;
}

/** Keeps what the list-watch learns. Must not throw. */
export interface Sink<T> {
  /** The complete truth as of now. */
  replace(objects: readonly T[]): void;
  upsert(object: T): void;
  remove(object: T): void;
}

export interface ListWatchOptions<T extends KubernetesObject> extends Selection, ListWatchTiming {
  readonly resource: Resource<T>;
  readonly metadataOnly?: boolean;
  readonly sink: Sink<T>;
  readonly logger: Logger;
}

export interface ListWatchMetrics {
  readonly state: 'idle' | 'listing' | 'watching' | 'waiting' | 'stopped';
  /** Watches opened after the first. */
  readonly reconnects: number;
  /** Complete lists after the first. */
  readonly relists: number;
  /** Answers 410, as status or as event. */
  readonly gone: number;
  /** Lists and watches that failed, 410 not counted. */
  readonly errors: number;
  /** Changes received. */
  readonly events: number;
  /** Milliseconds since the epoch: the last line of a watch (bookmarks too) or the last complete list. */
  readonly lastEventAt?: number;
  /** Of the last failure, as long as nothing succeeded since. */
  readonly lastError?: string;
}

interface WatchLine<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

const DEFAULT_BACKOFF: Backoff = { initialMs: 250, maxMs: 30_000 };

const TYPES: ReadonlySet<string> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

/** What a watch said can't be read; the change in it is not lost as long as the watch resumes before it. */
class UnreadableLine extends Error {
  override readonly name = 'UnreadableLine';
}

/**
 * Lists one kind, watches it, and never stops trying. The guarantees:
 *
 * 1. The sink is brought up to date after whatever happened: a watch resumes from the last resource version that the sink has seen; where the
 *    server no longer knows that (410), or the line after it can't be read twice running, the complete list replaces everything.
 * 2. Silence is suspect: a watch without an answer for `answerTimeoutMs`, or a line for `inactivityTimeoutMs`, is opened anew, and every
 *    `relistIntervalMs` the complete list is read even if all seems well.
 * 3. No failure ends it, and none makes it spin: attempts that fail in a row wait longer and longer, or as long as the server asks.
 * 4. After {@link stop} nothing is open and the sink is not called.
 */
export class ListWatch<T extends KubernetesObject> {
  /** Resolves after the first complete list; rejects if stopped before. */
  readonly synced: Promise<void>;
  readonly #client: KubernetesClient;
  readonly #options: ListWatchOptions<T>;
  readonly #stop = new AbortController();
  readonly #sync = deferred<void>();
  readonly #counts = { watches: 0, lists: 0, gone: 0, errors: 0, events: 0 };
  #state: ListWatchMetrics['state'] = 'idle';
  #lastEventAt: number | undefined;
  #lastError: string | undefined;
  #running: Promise<void> | undefined;
  /** From where to watch; undefined: list first. */
  #version: string | undefined;
  #relistAt = 0;
  /** When the current watch began to answer. */
  #openedAt: number | undefined;
  /** The version after which a line could not be read. */
  #unreadableAfter: string | undefined;

  constructor(client: KubernetesClient, options: ListWatchOptions<T>) {
    this.#client = client;
    this.#options = options;
    this.synced = this.#sync.promise;
    // Nobody has to wait for it.
    this.synced.catch(() => undefined);
  }

  get metrics(): ListWatchMetrics {
    const { watches, lists, gone, errors, events } = this.#counts;
    return {
      state: this.#state,
      reconnects: Math.max(0, watches - 1),
      relists: Math.max(0, lists - 1),
      gone,
      errors,
      events,
      ...(this.#lastEventAt !== undefined && { lastEventAt: this.#lastEventAt }),
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
    };
  }

  /** A second call does nothing. */
  start(): void {
    if (this.#stop.signal.aborted) throw new Error('a stopped list-watch is not started again; make a new one');
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#sync.reject(
      new Error(`the list-watch of ${this.#options.resource.plural} was stopped before its first list`),
    );
    await this.#running;
    this.#state = 'stopped';
  }

  async #run(): Promise<void> {
    const { backoff = DEFAULT_BACKOFF, healthyAfterMs = 5_000 } = this.#options;
    const { signal } = this.#stop;
    let failures = 0;
    while (!signal.aborted) {
      this.#openedAt = undefined;
      const end = await this.#listAndWatch();
      if (signal.aborted) break;
      const wasOpenMs = this.#openedAt === undefined ? -1 : Date.now() - this.#openedAt;
      failures = end.how === 'relist' || wasOpenMs >= healthyAfterMs ? 0 : failures + 1;
      // An end in good order and a first 410 are no failures, unless they come at once every time.
      const counted = end.how === 'failed' ? Math.max(1, failures) : failures - 1;
      const waitMs = Math.max(counted > 0 ? backoffMs(backoff, counted) : 0, end.retryAfterMs ?? 0);
      if (waitMs === 0) continue;
      this.#state = 'waiting';
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One round: as long as it goes well. Never throws. */
  async #listAndWatch(): Promise<{
    readonly how: 'relist' | 'closed' | 'gone' | 'failed';
    readonly retryAfterMs?: number;
  }> {
    const { logger, resource } = this.#options;
    try {
      if (this.#version === undefined || Date.now() >= this.#relistAt) await this.#list();
      return { how: await this.#watch() };
    } catch (error) {
      if (this.#stop.signal.aborted) return { how: 'closed' };
      if (isGone(error)) {
        this.#counts.gone++;
        this.#version = undefined;
        logger.info('watch: the resource version is too old, listing again', { resource: resource.plural });
        return { how: 'gone' };
      }
      this.#note(error);
      const retryAfterMs = error instanceof KubernetesError ? error.retryAfterMs : undefined;
      return { how: 'failed', ...(retryAfterMs !== undefined && { retryAfterMs }) };
    }
  }

  #note(error: unknown): void {
    const { logger, resource } = this.#options;
    this.#counts.errors++;
    this.#lastError = error instanceof Error ? error.message : String(error);
    if (error instanceof UnreadableLine) {
      // Twice after the same version: resuming there would meet it for ever.
      if (this.#unreadableAfter === this.#version) this.#version = undefined;
      this.#unreadableAfter = this.#version;
    }
    logger.warn('watch: interrupted, trying again', { resource: resource.plural, error: this.#lastError });
  }

  async #list(): Promise<void> {
    this.#state = 'listing';
    const { relistIntervalMs = 600_000, pageSize = 500, sink } = this.#options;
    let list;
    try {
      list = await this.#pages(pageSize);
    } catch (error) {
      if (!isGone(error)) throw error;
      // The pages took longer than the server keeps the snapshot they come from: read it whole.
      this.#counts.gone++;
      list = await this.#pages(0);
    }
    if (this.#stop.signal.aborted) return;
    sink.replace(list.items);
    this.#version = list.resourceVersion;
    this.#relistAt = Date.now() + relistIntervalMs * (0.9 + Math.random() / 5);
    this.#counts.lists++;
    this.#lastEventAt = Date.now();
    this.#lastError = undefined;
    this.#sync.resolve();
  }

  #pages(pageSize: number): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    const { resource, metadataOnly = false } = this.#options;
    return this.#client.list(resource, this.#selection(), { pageSize, metadataOnly, signal: this.#stop.signal });
  }

  /** Follows one watch to its end; `relist`: we ended it because a list is due. */
  async #watch(): Promise<'relist' | 'closed'> {
    const { resource, metadataOnly = false, watchTimeoutSeconds = 240 } = this.#options;
    const { answerTimeoutMs = 30_000, inactivityTimeoutMs = 150_000 } = this.#options;
    const relist = new AbortController();
    const timer = setTimeout(() => relist.abort(), Math.max(0, this.#relistAt - Date.now()));
    try {
      const chunks = await this.#client.watch(
        resource,
        {
          ...this.#selection(),
          resourceVersion: this.#version ?? '',
          timeoutSeconds: Math.round(watchTimeoutSeconds * (1 + Math.random() / 4)),
          metadataOnly,
        },
        { signal: AbortSignal.any([this.#stop.signal, relist.signal]), answerTimeoutMs, inactivityTimeoutMs },
      );
      this.#counts.watches++;
      this.#state = 'watching';
      this.#openedAt = Date.now();
      const splitter = new LineSplitter();
      for await (const chunk of chunks) for (const line of splitter.push(chunk)) this.#receive(line);
      return 'closed';
    } catch (error) {
      if (relist.signal.aborted) return 'relist';
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(line: string): void {
    const { resource, metadataOnly = false, sink } = this.#options;
    const { type, object } = parse<T>(line);
    if (type === 'ERROR') throw statusError(`watch ${resource.plural}`, 500, JSON.stringify(object));
    this.#lastEventAt = Date.now();
    this.#lastError = undefined;
    if (type !== 'BOOKMARK') {
      this.#counts.events++;
      // The server calls these PartialObjectMetadata.
      if (metadataOnly) Object.assign(object, { apiVersion: apiVersionOf(resource), kind: resource.kind });
      if (type === 'DELETED') sink.remove(object);
      else sink.upsert(object);
    }
    this.#version = object.metadata.resourceVersion;
  }

  #selection(): Selection {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    };
  }
}

function parse<T extends KubernetesObject>(line: string): WatchLine<T> {
  let parsed: Partial<WatchLine<T>> | null;
  try {
    parsed = JSON.parse(line) as Partial<WatchLine<T>> | null;
  } catch (error) {
    throw new UnreadableLine(`a line of the watch is not JSON: ${line.slice(0, 200)}`, { cause: error });
  }
  const { type, object } = parsed ?? {};
  const known = type !== undefined && TYPES.has(type) && object !== undefined;
  if (!known || (type !== 'ERROR' && object.metadata?.resourceVersion === undefined)) {
    throw new UnreadableLine(`a line of the watch is no event: ${line.slice(0, 200)}`);
  }
  return { type, object };
}
