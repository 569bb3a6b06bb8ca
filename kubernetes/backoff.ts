export interface Backoff {
  /** Wait after the first failure, in milliseconds. */
  readonly initialMs: number;
  readonly maxMs: number;
}

/** Doubles with each failure in a row; the half of it is random, so that what failed together does not come back together. */
export function backoffMs({ initialMs, maxMs }: Backoff, failures: number): number {
  const full = Math.min(maxMs, initialMs * 2 ** Math.max(0, failures - 1));
  return full / 2 + (Math.random() * full) / 2;
}
