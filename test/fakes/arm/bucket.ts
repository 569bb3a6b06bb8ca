import type { Clock } from './clock';

/** A token bucket on the fake's clock. */
export class Bucket {
  #tokens: number;
  #atMs: number;

  constructor(
    readonly clock: Clock,
    readonly burst: number,
    readonly perMinute: number,
  ) {
    this.#tokens = burst;
    this.#atMs = clock.now();
  }

  /** Takes a token; where there is none, says how long until there is one, in milliseconds of real time. */
  take(): 'taken' | { readonly waitMs: number } {
    const now = this.clock.now();
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#atMs) / 60_000) * this.perMinute);
    this.#atMs = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 'taken';
    }
    return { waitMs: this.clock.realMs(((1 - this.#tokens) / this.perMinute) * 60_000) };
  }
}
