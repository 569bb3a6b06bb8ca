import { compare, orphanKeyOf, type FoundOrphan, type Orphan } from '../../api/sweep';

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
  const known = new Map(before.map((orphan) => [orphanKeyOf(orphan), orphan]));
  const orphans = found
    .map((one): Orphan => {
      const earlier = known.get(orphanKeyOf(one));
      const firstSeenTime = earlier?.firstSeenTime ?? new Date(nowMs).toISOString();
      return { ...one, firstSeenTime, ...(earlier?.failure !== undefined && { failure: earlier.failure }) };
    })
    .sort((a, b) => compare(a.firstSeenTime, b.firstSeenTime) || compare(orphanKeyOf(a), orphanKeyOf(b)));
  const isDue = (orphan: Orphan): boolean =>
    known.has(orphanKeyOf(orphan)) && nowMs - Date.parse(orphan.firstSeenTime) >= graceMs;
  // What could not be released may take as long as it is given: the others come first.
  const turnOf = ({ failure }: Orphan): number => (failure === undefined ? 0 : 1);
  const due = orphans.filter(isDue).sort((a, b) => turnOf(a) - turnOf(b));
  return { due, waiting: orphans.filter((orphan) => !isDue(orphan)) };
}
