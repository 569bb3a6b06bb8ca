/** The fake's time: real time, faster by a factor, or only what the test lets pass. */
export interface ArmClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Lets time pass, for a manual clock; everything due by then happens, in order. */
  advance(ms: number): Promise<void>;
}

interface Due {
  readonly at: number;
  readonly run: () => void;
}

/** {@link ArmClock} as the fake itself uses it. */
export class Clock implements ArmClock {
  readonly #scale: number;
  readonly #startMs = Date.now();
  readonly #timers = new Map<Due, NodeJS.Timeout | undefined>();
  #manualMs = this.#startMs;
  #isStopped = false;

  constructor(readonly mode: 'manual' | { readonly scale: number }) {
    this.#scale = mode === 'manual' ? 1 : mode.scale;
  }

  now(): number {
    return this.mode === 'manual' ? this.#manualMs : this.#startMs + (Date.now() - this.#startMs) * this.#scale;
  }

  /** How long a client has to wait, in real milliseconds, for so much to pass here. */
  realMs(ms: number): number {
    return ms / this.#scale;
  }

  /** Runs later, unless the result is called before. */
  after(ms: number, run: () => void): () => void {
    if (this.#isStopped) return () => undefined;
    const due: Due = { at: this.now() + ms, run };
    const fire = (): void => {
      this.#timers.delete(due);
      run();
    };
    this.#timers.set(due, this.mode === 'manual' ? undefined : setTimeout(fire, this.realMs(ms)));
    return () => {
      clearTimeout(this.#timers.get(due));
      this.#timers.delete(due);
    };
  }

  async advance(ms: number): Promise<void> {
    if (this.mode !== 'manual') throw new Error("clock.advance needs startFakeArm({ clock: 'manual' })");
    const until = this.#manualMs + ms;
    for (let next = this.#firstUntil(until); next !== undefined; next = this.#firstUntil(until)) {
      this.#manualMs = Math.max(this.#manualMs, next.at);
      this.#timers.delete(next);
      next.run();
      // What an event sets going (nodes that appear) may begin before the next one.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#manualMs = until;
  }

  /** Nothing happens any more. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #firstUntil(at: number): Due | undefined {
    return [...this.#timers.keys()].filter((due) => due.at <= at).sort((a, b) => a.at - b.at)[0];
  }
}
