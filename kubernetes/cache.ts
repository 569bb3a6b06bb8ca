import type { KubernetesClient, Selection } from './client';
import { ListWatch, type ListWatchMetrics, type ListWatchTiming } from './list-watch';
import type { Logger } from './logger';
import type { KubernetesObject } from './objects';
import { keyOf, type ObjectName, type Resource } from './resources';
import { untilAborted, Waiters } from './waiters';

/** A change of the cache. After a relist, what was missed meanwhile arrives as one change per object. */
export type CacheEvent<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'modified'; readonly object: T; readonly previous: T }
  /** `object` is its last known state. */
  | { readonly type: 'deleted'; readonly object: T };

export interface CacheOptions<T extends KubernetesObject> extends Selection, ListWatchTiming {
  readonly resource: Resource<T>;
  readonly logger: Logger;
  /** Only `apiVersion`, `kind` and `metadata` of each object. */
  readonly metadataOnly?: boolean;
  /** Further keys to find an object by; prefix them if there are several sorts (`owner/UID`, `node/NAME`). */
  readonly index?: (object: T) => readonly string[];
  /** What to keep of an object. May change and return its argument. Default: all but `metadata.managedFields`. */
  readonly trim?: (object: T) => T;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
}

/**
 * The current objects of one kind, kept up to date by one list-watch.
 *
 * 1. An object of the cache is shared: read it, never change it.
 * 2. It may be behind the API server by the watch's latency. Compare generations or resource versions after a write of your own.
 * 3. Handlers are called in the order of the changes; one that throws is logged and harms nobody.
 * 4. Waiters are looked at once per batch of changes, and only if an object under their key changed.
 */
export class Cache<T extends KubernetesObject> {
  /** Resolves after the first complete list; rejects if stopped before. */
  readonly synced: Promise<void>;
  readonly #options: CacheOptions<T>;
  readonly #listWatch: ListWatch<T>;
  readonly #objects = new Map<string, T>();
  readonly #byIndex = new Map<string, Map<string, T>>();
  /** The keys under which an object stands in `#byIndex`. */
  readonly #indexKeysOf = new Map<string, readonly string[]>();
  readonly #handlers = new Set<(event: CacheEvent<T>) => void>();
  readonly #waiters = new Waiters<T>((indexKey) => this.byIndex(indexKey));
  #isSynced = false;

  constructor(client: KubernetesClient, options: CacheOptions<T>) {
    this.#options = options;
    this.#listWatch = new ListWatch(client, {
      ...options,
      sink: {
        replace: (objects) => this.#replace(objects),
        upsert: (o) => this.#upsert(o),
        remove: (o) => this.#remove(o),
      },
    });
    this.synced = this.#listWatch.synced;
  }

  /** Lists, then watches until {@link stop}. */
  start(): this {
    this.#listWatch.start();
    return this;
  }

  /** Ends the watch and leaves nothing open; who still waits gets an error. */
  async stop(): Promise<void> {
    await this.#listWatch.stop();
    this.#waiters.end(new Error(`the cache of ${this.#options.resource.plural} was stopped`));
  }

  /** Plural name of the kind. */
  get resource(): string {
    return this.#options.resource.plural;
  }

  get metrics(): ListWatchMetrics & { readonly size: number } {
    return { ...this.#listWatch.metrics, size: this.#objects.size };
  }

  get size(): number {
    return this.#objects.size;
  }

  get(at: ObjectName): T | undefined {
    return this.#objects.get(keyOf(at));
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** The objects for which `index` returned that key. */
  byIndex(key: string): readonly T[] {
    const objects = this.#byIndex.get(key);
    return objects === undefined ? [] : [...objects.values()];
  }

  /** Calls the handler for every object already there (as `added`) and for every change from now on. Returns how to end that. */
  subscribe(handler: (event: CacheEvent<T>) => void): () => void {
    for (const object of this.#objects.values()) this.#call(handler, { type: 'added', object });
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /**
   * The first value other than undefined that `find` returns for the objects under an index key; asked at once, and again whenever one of
   * them changed. Waits for the first list, so that an empty array means that there are none. What `find` throws ends the wait.
   */
  async waitFor<R>(
    indexKey: string,
    find: (objects: readonly T[]) => R | undefined,
    { signal }: WaitOptions = {},
  ): Promise<R> {
    if (!this.#isSynced) await untilAborted(this.synced, signal);
    return await this.#waiters.wait(indexKey, find, signal);
  }

  #replace(objects: readonly T[]): void {
    const gone = new Set(this.#objects.keys());
    for (const object of objects) {
      gone.delete(keyOf(object.metadata));
      this.#upsert(object);
    }
    for (const key of gone) {
      const object = this.#objects.get(key);
      if (object !== undefined) this.#remove(object);
    }
    this.#isSynced = true;
  }

  #upsert(received: T): void {
    const key = keyOf(received.metadata);
    const previous = this.#objects.get(key);
    // A resumed watch may repeat itself.
    if (previous?.metadata.resourceVersion === received.metadata.resourceVersion) return;
    // Deleted and made again while nobody watched.
    if (previous !== undefined && previous.metadata.uid !== received.metadata.uid) {
      this.#remove(previous);
      this.#upsert(received);
      return;
    }
    const object = this.#trim(received);
    const indexKeys = this.#indexKeys(object);
    if (previous !== undefined) this.#unindex(key, indexKeys);
    this.#objects.set(key, object);
    this.#indexKeysOf.set(key, indexKeys);
    for (const indexKey of indexKeys) {
      const members = this.#byIndex.get(indexKey);
      if (members === undefined) this.#byIndex.set(indexKey, new Map([[key, object]]));
      else members.set(key, object);
      this.#waiters.touch(indexKey);
    }
    this.#emit(previous === undefined ? { type: 'added', object } : { type: 'modified', object, previous });
  }

  #remove(received: T): void {
    const key = keyOf(received.metadata);
    if (!this.#objects.delete(key)) return;
    this.#unindex(key, []);
    this.#indexKeysOf.delete(key);
    this.#emit({ type: 'deleted', object: this.#trim(received) });
  }

  /** Takes an object out of the index entries that it no longer has. */
  #unindex(key: string, kept: readonly string[]): void {
    for (const indexKey of this.#indexKeysOf.get(key) ?? []) {
      if (kept.includes(indexKey)) continue;
      const members = this.#byIndex.get(indexKey);
      members?.delete(key);
      if (members?.size === 0) this.#byIndex.delete(indexKey);
      this.#waiters.touch(indexKey);
    }
  }

  #trim(object: T): T {
    const { trim = dropManagedFields, logger, resource } = this.#options;
    try {
      return trim(object);
    } catch (error) {
      logger.error('cache: trim failed', { resource: resource.plural, key: keyOf(object.metadata), error });
      return object;
    }
  }

  #indexKeys(object: T): readonly string[] {
    const { index, logger, resource } = this.#options;
    if (index === undefined) return [];
    try {
      return index(object);
    } catch (error) {
      logger.error('cache: index failed', { resource: resource.plural, key: keyOf(object.metadata), error });
      return [];
    }
  }

  #emit(event: CacheEvent<T>): void {
    for (const handler of this.#handlers) this.#call(handler, event);
  }

  #call(handler: (event: CacheEvent<T>) => void, event: CacheEvent<T>): void {
    try {
      handler(event);
    } catch (error) {
      const { logger, resource } = this.#options;
      logger.error('cache: a handler failed', { resource: resource.plural, key: keyOf(event.object.metadata), error });
    }
  }
}

/** Written by every manager of fields, read by none of ours, and often the larger half of an object. */
function dropManagedFields<T extends KubernetesObject>(object: T): T {
  delete (object.metadata as { managedFields?: unknown }).managedFields;
  return object;
}
