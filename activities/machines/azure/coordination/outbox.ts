import type { Ask, Exchange, Outcome } from '../../../../api/coordination';

/** What a session has to say, until it is said. */
export interface Outbox {
  throttledMs?: number;
  outcomes: Outcome[];
  released: string[];
  used: string[];
  asks: Ask[];
  wants: string[];
  /** Those who want to know that it was heard. */
  told: Told[];
}

export interface Told {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function emptyOutbox(): Outbox {
  return { outcomes: [], released: [], used: [], asks: [], wants: [], told: [] };
}

export function isEmpty({ throttledMs, told, ...lists }: Outbox): boolean {
  return throttledMs === undefined && told.length === 0 && Object.values(lists).every((list) => list.length === 0);
}

/** As it travels: without what is empty. */
export function contentOf({ throttledMs, outcomes, released, used, asks, wants }: Outbox): Partial<Exchange> {
  const lists = Object.entries({ outcomes, released, used, asks, wants }).filter(([, list]) => list.length > 0);
  return { ...(throttledMs !== undefined && { throttledMs }), ...Object.fromEntries(lists) };
}

/** What is still worth saying to a coordinator that forgot the session: what it was told of leases is told again otherwise. */
export function putBack(outbox: Outbox, unheard: Outbox): void {
  outbox.outcomes.unshift(...unheard.outcomes);
  outbox.told.unshift(...unheard.told);
  throttle(outbox, unheard.throttledMs);
}

export function throttle(outbox: Outbox, throttledMs: number | undefined): void {
  if (throttledMs !== undefined) outbox.throttledMs = Math.max(throttledMs, outbox.throttledMs ?? 0);
}
