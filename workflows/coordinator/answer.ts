/** What the coordinator says: to a session, and to people. */
import type { CoordinatorReport, ExchangeAnswer, InFlight, LeaseState } from '../../api/coordination';
import { hasToken, isShut, waitMs } from './bucket';
import { reasonAgainst } from './memory';
import { advanced, hasPlace, type CoordinatorState, type Party } from './state';

/** A session speaks at least three times before it is taken for dead. */
const SPEAKS_PER_LEASE = 3;

/** Rounding must not make a session ask a moment too early, again and again. */
const SOONEST_MS = 20;

/** Each carries a text; the session gives these leases back at once, and then hears of the next ones. */
const MOST_REFUSALS = 100;

/** What holds for a session's leases. It follows from the state alone, so an answer that was lost is given again. */
export function answerFor(state: CoordinatorState, session: string, nowMs: number): ExchangeAnswer {
  let refusals = 0;
  const leases = state.parties
    .filter((party) => party.session === session)
    .flatMap((party) => leaseState(state, party, nowMs) ?? [])
    .filter(({ kind }) => kind !== 'avoid' || (refusals += 1) <= MOST_REFUSALS);
  const askAgainMs = nextChangeMs(state, session, nowMs);
  return { kind: 'answered', leases, ...(askAgainMs !== undefined && { askAgainMs }) };
}

function leaseState(state: CoordinatorState, party: Party, nowMs: number): LeaseState | undefined {
  const { lease, phase } = party;
  if (phase === 'admitted' || phase === 'allowed') return { lease, kind: phase };
  const reason = reasonAgainst(state.memory, party.candidate, nowMs);
  if (reason !== undefined) return { lease, kind: 'avoid', failure: reason.failure, until: iso(reason.untilMs) };
  return phase === 'wanting' ? { lease, kind: 'admitted' } : undefined;
}

/** When something may have changed for those of a session that wait; a token's time is known, a place's is not. */
function nextChangeMs(
  { parties, bucket, settings }: CoordinatorState,
  session: string,
  nowMs: number,
): number | undefined {
  const wanting = parties.filter(({ phase }) => phase === 'wanting');
  const firstWanting = wanting.findIndex((party) => party.session === session);
  const isWaiting = parties.some((party) => party.session === session && !hasPlace(party));
  if (firstWanting < 0 && !isWaiting) return undefined;

  const tokenMs = firstWanting < 0 ? Infinity : waitMs(bucket, settings, firstWanting + 1, nowMs);
  const placeMs = isWaiting ? settings.askAgainMs : Infinity;
  return Math.max(SOONEST_MS, Math.min(tokenMs, placeMs, settings.leaseMs / SPEAKS_PER_LEASE));
}

/** The state for people, as it is now. */
export function reportOf(before: CoordinatorState, nowMs: number): CoordinatorReport {
  const state = advanced(before, nowMs);
  const { bucket, settings, parties, memory } = state;
  return {
    time: iso(nowMs),
    settings,
    tokens: isShut(bucket, nowMs) ? 0 : Math.floor(bucket.tokens),
    ...(!hasToken(bucket, nowMs) && { nextToken: iso(nowMs + waitMs(bucket, settings, 1, nowMs)) }),
    ...(isShut(bucket, nowMs) && { throttledUntil: iso(bucket.atMs) }),
    creating: parties
      .filter(hasPlace)
      .sort((one, other) => one.sinceMs - other.sinceMs)
      .map((party) => ({ ...inFlight(party), since: iso(party.sinceMs), waitsForToken: party.phase === 'wanting' })),
    waiting: parties
      .filter((party) => !hasPlace(party))
      .map(({ workspace, candidate, sinceMs }) => ({
        workspace,
        instanceType: candidate.instanceType,
        since: iso(sinceMs),
      })),
    avoided: memory.map(({ key, fromVcpus, sinceMs, untilMs, failure }) => ({
      key,
      ...(fromVcpus !== undefined && { fromVcpus }),
      since: iso(sinceMs),
      until: iso(untilMs),
      failure,
    })),
  };
}

function inFlight({ workspaceUid, workspace, candidate }: Party): InFlight {
  const { family, instanceType, priority, vcpus } = candidate;
  return { workspaceUid, workspace, family, instanceType, priority, vcpus };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
