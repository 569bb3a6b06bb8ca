import { createHash } from 'node:crypto';

/** Numbers that follow from a seed alone. */
export interface Random {
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number;
  /** One of them. */
  pick<T>(items: readonly T[]): T;
  /** All of them in another order. */
  shuffled<T>(items: readonly T[]): T[];
  /** A whole number from 0 that follows from the seed and the key alone, whatever else was drawn. */
  lotOf(key: string): number;
  /** All of them in the order of their lots: one more or less does not move the others. */
  byLot<T>(items: readonly T[], keyOf: (item: T) => string): T[];
}

/** The generator known as mulberry32: small, and good enough to choose by. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  const lotOf = (key: string): number => createHash('sha256').update(`${seed} ${key}`).digest().readUInt32BE();
  return {
    between,
    lotOf,
    byLot: (items, keyOf) => items.toSorted((a, b) => lotOf(keyOf(a)) - lotOf(keyOf(b))),
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError('nothing to choose from');
      return items[between(0, items.length - 1)] as T;
    },
    shuffled<T>(items: readonly T[]): T[] {
      const rest = [...items];
      for (let last = rest.length - 1; last > 0; last -= 1) {
        const other = between(0, last);
        [rest[last], rest[other]] = [rest[other] as T, rest[last] as T];
      }
      return rest;
    },
  };
}
