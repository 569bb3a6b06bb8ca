/**
 * The coordinator's state and how it changes; pure, with the time given. It is plain data that goes on into the next run, which may be of a later
 * release: what has a name here keeps its meaning.
 *
 * Nothing here needs a timer. What has passed (a dead session, a lesson, a full bucket) is seen when somebody speaks next.
 */
import type { Ask, CoordinatorSettings, Exchange, PoolCandidate } from '../../api/coordination';
import * as buckets from './bucket';
import * as memories from './memory';

/** A Workspace's place: at most one each. */
export interface Party {
  readonly lease: string;
  readonly session: string;
  readonly workspaceUid: string;
  readonly workspace: string;
  readonly candidate: PoolCandidate;
  readonly sinceMs: number;
  /**
   * `waiting` for a place; `admitted` among the pools under creation; there, `wanting` to send a PUT; `allowed` to, with a token
   * that comes back if it isn't used.
   */
  readonly phase: 'waiting' | 'admitted' | 'wanting' | 'allowed';
}

interface Session {
  readonly heardMs: number;
  /** Of the last exchange that was applied: one that is repeated is only answered. */
  readonly number: number;
}

export interface CoordinatorState {
  readonly settings: CoordinatorSettings;
  readonly bucket: buckets.Bucket;
  readonly sessions: Readonly<Record<string, Session>>;
  /** In the order in which they are served. */
  readonly parties: readonly Party[];
  readonly memory: memories.Memory;
}

/** The longest that the cloud's wish to be left alone is believed: a wrong header must not stop everything for good. */
const LONGEST_SHUT_MS = 60 * 60_000;

/** Before the first session: whatever it brings replaces it. */
export const NOTHING_YET: CoordinatorState = {
  settings: { burst: 1, perMinute: 1, creatingAtOnce: 1, leaseMs: 120_000, askAgainMs: 5_000 },
  bucket: { tokens: Number.MAX_SAFE_INTEGER, atMs: 0 },
  sessions: {},
  parties: [],
  memory: [],
};

export function hasPlace({ phase }: Party): boolean {
  return phase !== 'waiting';
}

/** The state after what a session said; undefined if it is unknown and has to join. */
export function told(state: CoordinatorState, said: Exchange, nowMs: number): CoordinatorState | undefined {
  const session = state.sessions[said.session];
  if (session === undefined && said.joins === undefined) return undefined;

  const heard = withHeard(state, said, nowMs);
  const isRepeated = session !== undefined && said.number <= session.number;
  const applied = isRepeated ? heard : withSaid(heard, said, nowMs);
  return advanced(applied, nowMs);
}

/** The state as the passage of time leaves it: the dead are gone, and those next in line are served. */
export function advanced(state: CoordinatorState, nowMs: number): CoordinatorState {
  const memory = memories.current(state.memory, nowMs);
  const bucket = buckets.refilled(state.bucket, state.settings, nowMs);
  return withTokensGiven(withPlacesGiven(withoutDead({ ...state, memory, bucket }, nowMs), nowMs), nowMs);
}

/** The state without what is remembered of one key, or of all. */
export function forgetting(state: CoordinatorState, key: string | undefined): CoordinatorState {
  return { ...state, memory: memories.forgotten(state.memory, key) };
}

function withHeard(state: CoordinatorState, { session, number }: Exchange, nowMs: number): CoordinatorState {
  const before = state.sessions[session]?.number ?? number;
  const heard = { heardMs: nowMs, number: Math.max(before, number) };
  return { ...state, sessions: { ...state.sessions, [session]: heard } };
}

function withSaid(state: CoordinatorState, said: Exchange, nowMs: number): CoordinatorState {
  let next = state;
  if (said.joins !== undefined) next = withSettings(next, said.joins, nowMs);
  if (said.throttledMs !== undefined) next = withShut(next, said.throttledMs, nowMs);
  for (const outcome of said.outcomes ?? []) {
    next = { ...next, memory: memories.learned(next.memory, outcome, nowMs) };
  }
  if (said.released !== undefined) next = withoutParties(next, namedIn(said.released));
  if (said.used !== undefined) next = withUsed(next, new Set(said.used));
  for (const ask of said.asks ?? []) next = withAsk(next, ask, said.session, nowMs);
  for (const lease of said.wants ?? []) next = withWant(next, lease);
  return next;
}

/** Settings change with a new release or configuration: the latest word counts. */
function withSettings(state: CoordinatorState, settings: CoordinatorSettings, nowMs: number): CoordinatorState {
  return { ...state, settings, bucket: buckets.refilled(state.bucket, settings, nowMs) };
}

function withShut(state: CoordinatorState, throttledMs: number, nowMs: number): CoordinatorState {
  // A refusal that names no time: until our own bucket would have the next token.
  const shutMs = throttledMs > 0 ? throttledMs : buckets.periodMs(state.settings);
  const bucket = buckets.shut(state.bucket, nowMs + Math.min(shutMs, LONGEST_SHUT_MS));
  // Who was allowed and has not said that it went ahead is held back too.
  const parties = state.parties.map((party): Party =>
    party.phase === 'allowed' ? { ...party, phase: 'wanting' } : party,
  );
  return { ...state, bucket, parties };
}

function withoutParties(state: CoordinatorState, isGone: (party: Party) => boolean): CoordinatorState {
  const gone = state.parties.filter(isGone);
  if (gone.length === 0) return state;
  const bucket = gone
    .filter(({ phase }) => phase === 'allowed')
    .reduce((filling) => buckets.returned(filling, state.settings), state.bucket);
  return { ...state, bucket, parties: state.parties.filter((party) => !gone.includes(party)) };
}

function withUsed(state: CoordinatorState, leases: ReadonlySet<string>): CoordinatorState {
  let { bucket } = state;
  const parties = state.parties.map((party): Party => {
    if (!leases.has(party.lease)) return party;
    // It went ahead in the moment in which all were held back.
    if (party.phase === 'wanting') bucket = buckets.taken(bucket);
    return hasPlace(party) ? { ...party, phase: 'admitted' } : party;
  });
  return { ...state, bucket, parties };
}

/** A Workspace has one place: who asks later takes it over, in line as among the pools under creation. */
function withAsk(state: CoordinatorState, ask: Ask, session: string, nowMs: number): CoordinatorState {
  const { lease, workspaceUid, workspace, candidate, holds } = ask;
  const before = state.parties.find((party) => party.workspaceUid === workspaceUid);
  const keepsPlace = holds === true || (before !== undefined && hasPlace(before));
  const party: Party = {
    lease,
    session,
    workspaceUid,
    workspace,
    candidate,
    sinceMs: before?.sinceMs ?? nowMs,
    phase: keepsPlace ? 'admitted' : 'waiting',
  };
  if (before === undefined) return { ...state, parties: [...state.parties, party] };
  const bucket = before.phase === 'allowed' ? buckets.returned(state.bucket, state.settings) : state.bucket;
  return { ...state, bucket, parties: state.parties.map((one) => (one === before ? party : one)) };
}

/** To the end of the line: a Workspace that sends many PUTs lets the others go between them. */
function withWant(state: CoordinatorState, lease: string): CoordinatorState {
  const party = state.parties.find((one) => one.lease === lease);
  if (party?.phase !== 'admitted') return state;
  return { ...state, parties: [...state.parties.filter((one) => one !== party), { ...party, phase: 'wanting' }] };
}

function withoutDead(state: CoordinatorState, nowMs: number): CoordinatorState {
  const { leaseMs } = state.settings;
  const living = Object.entries(state.sessions).filter(([, { heardMs }]) => nowMs - heardMs < leaseMs);
  if (living.length === Object.keys(state.sessions).length) return state;
  const sessions = Object.fromEntries(living);
  return { ...withoutParties(state, ({ session }) => !Object.hasOwn(sessions, session)), sessions };
}

function withPlacesGiven(state: CoordinatorState, nowMs: number): CoordinatorState {
  let free = state.settings.creatingAtOnce - state.parties.filter(hasPlace).length;
  if (free <= 0) return state;
  const parties = state.parties.map((party): Party => {
    if (free <= 0 || party.phase !== 'waiting' || isAvoided(state, party, nowMs)) return party;
    free -= 1;
    return { ...party, phase: 'admitted' };
  });
  return { ...state, parties };
}

function withTokensGiven(state: CoordinatorState, nowMs: number): CoordinatorState {
  let { bucket } = state;
  const parties = state.parties.map((party): Party => {
    if (party.phase !== 'wanting' || !buckets.hasToken(bucket, nowMs) || isAvoided(state, party, nowMs)) return party;
    bucket = buckets.taken(bucket);
    return { ...party, phase: 'allowed' };
  });
  return { ...state, bucket, parties };
}

function isAvoided({ memory }: CoordinatorState, { candidate }: Party, nowMs: number): boolean {
  return memories.reasonAgainst(memory, candidate, nowMs) !== undefined;
}

function namedIn(leases: readonly string[]): (party: Party) => boolean {
  const names = new Set(leases);
  return ({ lease }) => names.has(lease);
}
