import type { Orphan } from '../api/sweep';
import type { Metrics } from './metrics';

/** Keeps what the sweeper told last, for as long as it counts: sweeps run on whatever worker is free. */
export class Orphans {
  readonly #keepMs: number;
  readonly #now: () => number;
  #told: { readonly at: number; readonly orphans: readonly Orphan[] } | undefined;

  /** `keepMs`: a little longer than from one sweep to the next. */
  constructor(keepMs: number, now: () => number) {
    this.#keepMs = keepMs;
    this.#now = now;
  }

  tell(orphans: readonly Orphan[]): void {
    this.#told = { at: this.#now(), orphans };
  }

  collect({ orphans: machines, orphansCost }: Metrics): void {
    machines.reset();
    orphansCost.reset();
    if (this.#told === undefined || this.#now() - this.#told.at > this.#keepMs) return;
    for (const { provider, instanceType, count, pricePerHour } of this.#told.orphans) {
      const labels = { provider, instance_type: instanceType };
      machines.inc(labels, count);
      if (pricePerHour !== undefined) orphansCost.inc(labels, pricePerHour);
    }
  }
}
