/** Lets so many of those who ask in at once. A burst of thousands is worked off in its order, instead of all being begun and none being done. */
export interface GateOptions {
  readonly most: number;
  /** Who has not left after so long is no longer counted, milliseconds: what never ends must not keep out the others. */
  readonly patienceMs: number;
  /** Called with one that was kept out, when it may ask again. */
  readonly wake: (key: string) => void;
}

export class Gate {
  readonly #options: GateOptions;
  /** With what ends the patience with each. */
  readonly #inside = new Map<string, NodeJS.Timeout>();
  readonly #waiting = new Set<string>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** How many were kept out and have not come back. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether the key is in; if not, it is woken in its turn. */
  enter(key: string): boolean {
    if (this.#inside.has(key)) return true;
    if (this.#inside.size >= this.#options.most) {
      this.#waiting.add(key);
      return false;
    }
    this.#waiting.delete(key);
    this.#inside.set(
      key,
      setTimeout(() => this.leave(key), this.#options.patienceMs),
    );
    return true;
  }

  /** The key is done with, or wants nothing more. */
  leave(key: string): void {
    clearTimeout(this.#inside.get(key));
    const made = this.#inside.delete(key) || this.#waiting.delete(key);
    if (made) this.#wakeNext();
  }

  stop(): void {
    for (const timer of this.#inside.values()) clearTimeout(timer);
    this.#inside.clear();
    this.#waiting.clear();
  }

  /** As many as there is room for: whoever is woken enters or leaves, and so wakes the next. */
  #wakeNext(): void {
    let room = this.#options.most - this.#inside.size;
    for (const key of this.#waiting) {
      if (room <= 0) return;
      room -= 1;
      this.#options.wake(key);
    }
  }
}
