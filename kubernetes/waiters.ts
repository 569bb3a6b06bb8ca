import { deferred } from './deferred';

/**
 * Those who wait until something is true of the objects under a key. A change only marks its key; once per turn of the event loop each marked
 * key's waiters are asked, so that a burst of changes costs one look.
 */
export class Waiters<T> {
  readonly #objectsOf: (key: string) => readonly T[];
  readonly #waiters = new Map<string, Set<Waiter<T>>>();
  readonly #touched = new Set<string>();
  #scheduled = false;

  constructor(objectsOf: (key: string) => readonly T[]) {
    this.#objectsOf = objectsOf;
  }

  /** How many wait. */
  get size(): number {
    let size = 0;
    for (const waiters of this.#waiters.values()) size += waiters.size;
    return size;
  }

  /** Asks `find` now and after each change under the key, until it returns something or throws. */
  async wait<R>(
    key: string,
    find: (objects: readonly T[]) => R | undefined,
    signal: AbortSignal | undefined,
  ): Promise<R> {
    signal?.throwIfAborted();
    const already = find(this.#objectsOf(key));
    if (already !== undefined) return already;

    const { promise, resolve, reject } = deferred<R>();
    const waiter: Waiter<T> = {
      ask(objects) {
        try {
          const found = find(objects);
          if (found !== undefined) resolve(found);
          return found !== undefined;
        } catch (error) {
          reject(error);
          return true;
        }
      },
      reject,
    };
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const waiters = this.#waiters.get(key);
    if (waiters === undefined) this.#waiters.set(key, new Set([waiter]));
    else waiters.add(waiter);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#drop(key, waiter);
    }
  }

  /** Something under that key changed. */
  touch(key: string): void {
    if (!this.#waiters.has(key)) return;
    this.#touched.add(key);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#askTouched();
    });
  }

  /** Ends every wait with an error. */
  end(error: Error): void {
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.reject(error);
  }

  #askTouched(): void {
    const keys = [...this.#touched];
    this.#touched.clear();
    for (const key of keys) {
      const waiters = this.#waiters.get(key);
      if (waiters === undefined) continue;
      const objects = this.#objectsOf(key);
      for (const waiter of [...waiters]) if (waiter.ask(objects)) this.#drop(key, waiter);
    }
  }

  #drop(key: string, waiter: Waiter<T>): void {
    const waiters = this.#waiters.get(key);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiters.delete(key);
  }
}

interface Waiter<T> {
  /** Whether it is done. */
  readonly ask: (objects: readonly T[]) => boolean;
  readonly reject: (error: unknown) => void;
}

/** The promise's outcome, or the signal's reason if that comes first. */
export async function untilAborted<R>(promise: Promise<R>, signal: AbortSignal | undefined): Promise<R> {
  if (signal === undefined) return await promise;
  signal.throwIfAborted();
  const { promise: aborted, reject } = deferred<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
