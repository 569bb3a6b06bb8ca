import { orphanKeyOf, type Orphan } from '../api/sweep';
import type { Metrics } from './metrics';

/**
 * Keeps what the sweeper told last, for as long as it counts: sweeps run on whatever worker is free. What is being released here counts until that
 * ends, as nothing is told meanwhile and it may hang.
 */
export class Orphans {
  readonly #keepMs: number;
  readonly #now: () => number;
  readonly #releasing = new Set<Orphan>();
  #told: { readonly at: number; readonly orphans: readonly Orphan[] } | undefined;

  /** `keepMs`: a little longer than from one sweep to the next. */
  constructor(keepMs: number, now: () => number) {
    this.#keepMs = keepMs;
    this.#now = now;
  }

  tell(orphans: readonly Orphan[]): void {
    this.#told = { at: this.#now(), orphans };
  }

  /** A release has begun; to be called when it has ended. */
  releasing(orphan: Orphan): () => void {
    this.#releasing.add(orphan);
    return () => void this.#releasing.delete(orphan);
  }

  collect({ orphans: machines, orphansCost }: Metrics): void {
    machines.reset();
    orphansCost.reset();
    for (const { provider, instanceType, count, pricePerHour } of this.#present()) {
      const labels = { provider, instance_type: instanceType };
      machines.inc(labels, count);
      if (pricePerHour !== undefined) orphansCost.inc(labels, pricePerHour);
    }
  }

  /** Each once: what is being released was told of as well. */
  #present(): Iterable<Orphan> {
    const told = this.#told !== undefined && this.#now() - this.#told.at <= this.#keepMs ? this.#told.orphans : [];
    return new Map([...told, ...this.#releasing].map((one) => [orphanKeyOf(one), one])).values();
  }
}
