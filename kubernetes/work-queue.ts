import { backoffMs, type Backoff } from './backoff';
import type { LogFields, Logger } from './logger';

export interface WorkQueueOptions {
  /** For logs. */
  readonly name: string;
  /** Handles one key; what it throws makes the key come again after a back-off. The signal ends at the end of {@link WorkQueue.stop}'s patience. */
  readonly handle: (key: string, context: WorkContext) => Promise<void>;
  /** Keys handled at once. Default: 10. */
  readonly concurrency?: number;
  /** What the log says of a key beside the key itself. */
  readonly fieldsOf?: (key: string) => LogFields;
  /** Per key. Default: 200 ms to 60 s. */
  readonly backoff?: Backoff;
  readonly logger: Logger;
}

export interface WorkContext {
  /** 1, and one more for each failure in a row. */
  readonly attempt: number;
  readonly signal: AbortSignal;
}

export interface WorkQueueMetrics {
  /** Waiting for a free hand. */
  readonly ready: number;
  readonly active: number;
  /** Waiting for their time. */
  readonly delayed: number;
  readonly handled: number;
  readonly failed: number;
}

const DEFAULT_BACKOFF: Backoff = { initialMs: 200, maxMs: 60_000 };

/**
 * Keys to be looked at, each at most once at a time.
 *
 * 1. However often a key is added while it waits, it is handled once.
 * 2. Added while it is being handled, it is handled once more afterwards: nothing that happened meanwhile is overlooked.
 * 3. A failure brings it back after a back-off of its own; adding it sooner overrides the wait.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** In order of arrival; a Set keeps that order and drops duplicates. */
  readonly #ready = new Set<string>();
  readonly #active = new Set<string>();
  /** Added while active. */
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, { readonly timer: NodeJS.Timeout; readonly dueAt: number }>();
  readonly #failures = new Map<string, number>();
  readonly #abort = new AbortController();
  readonly #idleListeners = new Set<() => void>();
  #stopped = false;
  #handled = 0;
  #failed = 0;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  get metrics(): WorkQueueMetrics {
    return {
      ready: this.#ready.size + this.#again.size,
      active: this.#active.size,
      delayed: this.#timers.size,
      handled: this.#handled,
      failed: this.#failed,
    };
  }

  /** As soon as a hand is free. After {@link stop} it does nothing. */
  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelTimer(key);
    if (this.#active.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#ready.add(key);
    this.#pump();
  }

  /** After that time, in milliseconds; of several such wishes for a key the soonest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopped || this.#ready.has(key) || this.#again.has(key)) return;
    const dueAt = Date.now() + delayMs;
    const present = this.#timers.get(key);
    if (present !== undefined && present.dueAt <= dueAt) return;
    this.#cancelTimer(key);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, delayMs);
    this.#timers.set(key, { timer, dueAt });
  }

  /** Resolves when nothing is ready or active; what waits for its time doesn't count. */
  async idle(): Promise<void> {
    while (this.#active.size > 0 || this.#ready.size > 0) {
      await new Promise<void>((resolve) => this.#idleListeners.add(resolve));
    }
  }

  /**
   * Takes no more keys, drops those that wait for their time, and finishes the others; after `patienceMs` (default 10,000) it drops those still
   * waiting, aborts the handlers' signal, and waits for the handlers to end.
   */
  async stop({ patienceMs = 10_000 }: { readonly patienceMs?: number } = {}): Promise<void> {
    this.#stopped = true;
    for (const key of [...this.#timers.keys()]) this.#cancelTimer(key);
    const impatience = setTimeout(() => {
      this.#ready.clear();
      this.#again.clear();
      this.#abort.abort(new Error(`the queue ${this.#options.name} is stopped`));
      this.#tellIfIdle();
    }, patienceMs);
    try {
      await this.idle();
    } finally {
      clearTimeout(impatience);
    }
  }

  #pump(): void {
    const { concurrency = 10 } = this.#options;
    for (const key of this.#ready) {
      if (this.#active.size >= concurrency) return;
      this.#ready.delete(key);
      this.#active.add(key);
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    const { handle, backoff = DEFAULT_BACKOFF, logger, name, fieldsOf } = this.#options;
    const failures = this.#failures.get(key) ?? 0;
    let failed = false;
    try {
      await handle(key, { attempt: failures + 1, signal: this.#abort.signal });
      this.#handled++;
      this.#failures.delete(key);
    } catch (error) {
      failed = true;
      this.#failed++;
      this.#failures.set(key, failures + 1);
      const fields = { queue: name, key, ...fieldsOf?.(key), attempt: failures + 1, error };
      logger.warn('queue: handling failed, trying again', fields);
    }
    this.#active.delete(key);
    if (this.#again.delete(key)) this.#ready.add(key);
    else if (failed) this.addAfter(key, backoffMs(backoff, failures + 1));
    this.#pump();
    this.#tellIfIdle();
  }

  #tellIfIdle(): void {
    if (this.#active.size > 0 || this.#ready.size > 0) return;
    for (const tell of this.#idleListeners) tell();
    this.#idleListeners.clear();
  }

  #cancelTimer(key: string): void {
    const present = this.#timers.get(key);
    if (present === undefined) return;
    clearTimeout(present.timer);
    this.#timers.delete(key);
  }
}
