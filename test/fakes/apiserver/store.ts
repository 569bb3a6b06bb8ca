import { randomUUID } from 'node:crypto';

/** A JSON object; the fake knows no kinds. */
export interface Stored {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    resourceVersion: string;
    generation: number;
    creationTimestamp: string;
    deletionTimestamp?: string;
    finalizers?: string[];
    labels?: Record<string, string>;
    [field: string]: unknown;
  };
  [field: string]: unknown;
}

export interface StoredChange {
  readonly version: number;
  /** `apps/v1/statefulsets` */
  readonly collection: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: Stored;
  /** Before a modification. */
  readonly previous?: Stored;
}

/** A refusal with its HTTP status and Kubernetes reason. */
export class Refusal extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly details: object = {},
  ) {
    super(message);
  }
}

/** Objects with resource versions, uids, generations, finalizers and a history to watch, as the API server keeps them. */
export class Store {
  readonly #collections = new Map<string, Map<string, Stored>>();
  readonly #history: StoredChange[] = [];
  readonly #listeners = new Set<(change: StoredChange) => void>();
  #version = 100;
  #compactedTo = 0;

  get version(): number {
    return this.#version;
  }

  /** Watches that begin at or before the current version are too old from now on. */
  compact(): void {
    this.#version++;
    this.#compactedTo = this.#version;
  }

  isCompacted(version: number): boolean {
    return version < this.#compactedTo;
  }

  changesSince(version: number, collection: string): readonly StoredChange[] {
    return this.#history.filter((change) => change.version > version && change.collection === collection);
  }

  onChange(listener: (change: StoredChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  list(collection: string, namespace: string | undefined): readonly Stored[] {
    const objects = [...(this.#collections.get(collection)?.entries() ?? [])];
    return objects
      .filter(([, object]) => namespace === undefined || object.metadata.namespace === namespace)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }

  get(collection: string, namespace: string | undefined, name: string): Stored {
    const object = this.#collections.get(collection)?.get(key(namespace, name));
    const plural = collection.split('/').at(-1) ?? '';
    if (object === undefined)
      throw new Refusal(404, 'NotFound', `${plural} "${name}" not found`, { name, kind: plural });
    return object;
  }

  create(collection: string, namespace: string | undefined, body: Partial<Stored>): Stored {
    const metadata = body.metadata;
    const name = metadata?.name;
    if (metadata === undefined || typeof name !== 'string' || name === '') {
      throw new Refusal(422, 'Invalid', 'metadata.name: Required value');
    }
    if (metadata.namespace !== undefined && metadata.namespace !== namespace) {
      throw new Refusal(400, 'BadRequest', 'the namespace of the object does not match the namespace on the request');
    }
    if (this.#collections.get(collection)?.has(key(namespace, name))) {
      throw new Refusal(409, 'AlreadyExists', `${collection.split('/').at(-1)} "${name}" already exists`, { name });
    }
    const object: Stored = {
      ...body,
      metadata: {
        ...metadata,
        ...(namespace !== undefined && { namespace }),
        uid: randomUUID(),
        resourceVersion: '',
        generation: 1,
        creationTimestamp: new Date().toISOString(),
      },
    };
    return this.#commit('ADDED', collection, object);
  }

  /** Replaces what the change returns; identity and versions stay the store's. */
  update(
    collection: string,
    namespace: string | undefined,
    name: string,
    change: (current: Stored) => Stored,
    subresource?: string,
  ): Stored {
    const current = this.get(collection, namespace, name);
    const wanted = change(structuredClone(current));
    const { resourceVersion } = wanted.metadata;
    if (resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion) {
      throw new Refusal(
        409,
        'Conflict',
        'the object has been modified; please apply your changes to the latest version',
      );
    }
    const next: Stored =
      subresource === 'status'
        ? { ...structuredClone(current), status: wanted['status'] }
        : { ...wanted, ...('status' in current ? { status: current['status'] } : {}) };
    const { uid, creationTimestamp, generation, deletionTimestamp } = current.metadata;
    const specChanged = JSON.stringify(withoutMeta(next)) !== JSON.stringify(withoutMeta(current));
    next.metadata = {
      ...next.metadata,
      uid,
      creationTimestamp,
      generation: generation + (specChanged ? 1 : 0),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    };
    if (JSON.stringify(next) === JSON.stringify(current)) return current;
    const finalized = deletionTimestamp !== undefined && (next.metadata.finalizers ?? []).length === 0;
    return this.#commit(finalized ? 'DELETED' : 'MODIFIED', collection, next, current);
  }

  /** Returns the object if finalizers keep it, undefined if it is gone. */
  delete(
    collection: string,
    namespace: string | undefined,
    name: string,
    preconditions: { uid?: string; resourceVersion?: string } = {},
  ): Stored | undefined {
    const current = this.get(collection, namespace, name);
    const { uid, resourceVersion, finalizers = [], deletionTimestamp } = current.metadata;
    if (preconditions.uid !== undefined && preconditions.uid !== uid) {
      throw new Refusal(
        409,
        'Conflict',
        `Precondition failed: UID in precondition: ${preconditions.uid}, in meta: ${uid}`,
      );
    }
    if (preconditions.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion) {
      throw new Refusal(409, 'Conflict', 'Precondition failed: resource version');
    }
    if (finalizers.length === 0) {
      this.#commit('DELETED', collection, structuredClone(current), current);
      return undefined;
    }
    if (deletionTimestamp !== undefined) return current;
    const next = structuredClone(current);
    next.metadata.deletionTimestamp = new Date().toISOString();
    return this.#commit('MODIFIED', collection, next, current);
  }

  #commit(type: StoredChange['type'], collection: string, object: Stored, previous?: Stored): Stored {
    const version = ++this.#version;
    object.metadata.resourceVersion = String(version);
    const { namespace, name } = object.metadata;
    const objects = this.#collections.get(collection) ?? new Map<string, Stored>();
    this.#collections.set(collection, objects);
    if (type === 'DELETED') objects.delete(key(namespace, name));
    else objects.set(key(namespace, name), object);
    const change = { version, collection, type, object, ...(previous !== undefined && { previous }) };
    this.#history.push(change);
    for (const listener of this.#listeners) listener(change);
    return object;
  }
}

function key(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

function withoutMeta({ metadata: _metadata, status: _status, ...rest }: Stored): object {
  return rest;
}

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: Record<string, unknown> = isObject ? { ...(target as Record<string, unknown>) } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}
