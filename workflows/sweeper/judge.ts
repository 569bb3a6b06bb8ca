import type { FoundOrphan, Orphan } from '../../api/sweep';

/** More than this is not remembered at once: the result of a sweep has to stay small. The others' turn comes when these are gone. */
export const MOST_ORPHANS = 500;

export interface Judgement {
  /** Seen again, and long enough: to be released. */
  readonly due: readonly Orphan[];
  /** Seen for the first time, or not for long enough. */
  readonly waiting: readonly Orphan[];
}

/**
 * Two looks decide, never one: what a look finds is remembered, and due when a later one finds it still, after the grace. What a look in between
 * did not find begins anew.
 */
export function judge(
  found: readonly FoundOrphan[],
  before: readonly Orphan[],
  { nowMs, graceMs }: { readonly nowMs: number; readonly graceMs: number },
): Judgement {
  const known = new Map(before.map((orphan) => [keyOf(orphan), orphan]));
  const orphans = found
    .map((one): Orphan => {
      const earlier = known.get(keyOf(one));
      const firstSeenTime = earlier?.firstSeenTime ?? new Date(nowMs).toISOString();
      return { ...one, firstSeenTime, ...(earlier?.failure !== undefined && { failure: earlier.failure }) };
    })
    .sort((a, b) => compare(a.firstSeenTime, b.firstSeenTime) || compare(keyOf(a), keyOf(b)))
    .slice(0, MOST_ORPHANS);
  const isDue = (orphan: Orphan): boolean =>
    known.has(keyOf(orphan)) && nowMs - Date.parse(orphan.firstSeenTime) >= graceMs;
  return { due: orphans.filter(isDue), waiting: orphans.filter((orphan) => !isDue(orphan)) };
}

function keyOf({ provider, name, identity }: FoundOrphan): string {
  return [provider, name, identity].join('/');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
