import fc from 'fast-check';

import type { CoordinatorSettings, Exchange } from '../../../api/coordination';
import { answerFor } from '../../../workflows/coordinator/answer';
import { hasPlace, NOTHING_YET, told, type CoordinatorState } from '../../../workflows/coordinator/state';

const START = Date.UTC(2026, 0, 1);
const settings: CoordinatorSettings = {
  burst: 3,
  perMinute: 2,
  creatingAtOnce: 2,
  leaseMs: 120_000,
  askAgainMs: 5_000,
};

const workspaces = ['a', 'b', 'c', 'd', 'e'] as const;
const sessions = ['s', 't', 'u'] as const;

/** What the sessions do, in any order, sensible or not. */
const steps = fc.array(
  fc.record({
    session: fc.constantFrom(...sessions),
    workspace: fc.constantFrom(...workspaces),
    act: fc.constantFrom('ask', 'want', 'use', 'release', 'fail', 'throttle', 'repeat', 'idle'),
    passMs: fc.oneof(fc.constant(0), fc.nat(5_000), fc.nat(150_000)),
  }),
  { minLength: 10, maxLength: 120 },
);

type Step = typeof steps extends fc.Arbitrary<readonly (infer One)[]> ? One : never;

/** Plays steps; `seen` gets the state before and after each. */
function play(
  all: readonly Step[],
  seen: (before: CoordinatorState, after: CoordinatorState, nowMs: number, said: Exchange) => void,
): void {
  let state: CoordinatorState = NOTHING_YET;
  let nowMs = START;
  let number = 0;
  const last = new Map<string, Exchange>();
  for (const { session, workspace, act, passMs } of all) {
    nowMs += passMs;
    number += 1;
    const joins = session in state.sessions ? {} : { joins: settings };
    const fresh: Exchange = { session, number, ...joins, ...contentOf(act, session, workspace) };
    const said = act === 'repeat' ? { ...fresh, ...last.get(session), ...joins } : fresh;
    const before = state;
    state = told(before, said, nowMs) ?? fail();
    last.set(session, said);
    seen(before, state, nowMs, said);
  }
}

function contentOf(act: Step['act'], session: string, workspace: string): Partial<Exchange> {
  const lease = `${session}/${workspace}`;
  const candidate = { family: 'A', instanceType: workspace, priority: 'on-demand', vcpus: 8 } as const;
  switch (act) {
    case 'ask':
      return { asks: [{ lease, workspaceUid: workspace, workspace, candidate }] };
    case 'want':
      return { wants: [lease] };
    case 'use':
      return { used: [lease] };
    case 'release':
      return { released: [lease] };
    case 'fail': {
      const failure = { cause: 'Capacity', message: 'none' } as const;
      return { outcomes: [{ kind: 'failed', candidate, lesson: 'allocation', failure, ttlMs: 60_000 }] };
    }
    case 'throttle':
      return { throttledMs: 20_000 };
    case 'repeat':
    case 'idle':
      return {};
  }
}

function fail(): never {
  throw new Error('a session that joins is known');
}

describe('whatever the sessions do', () => {
  it('no more Workspaces have a place than may, and each has one', () => {
    fc.assert(
      fc.property(steps, (all) =>
        play(all, (_, { parties }) => {
          expect(parties.filter(hasPlace).length).toBeLessThanOrEqual(settings.creatingAtOnce);
          expect(new Set(parties.map(({ workspaceUid }) => workspaceUid)).size).toBe(parties.length);
        }),
      ),
    );
  });

  it('in no span of time more PUTs are used than the bucket has', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const usedAtMs: number[] = [];
        play(all, (before, _, nowMs, { used = [], session, number }) => {
          if (number <= (before.sessions[session]?.number ?? 0)) return;
          const isUsed = before.parties.some(({ lease, phase }) => used.includes(lease) && phase === 'allowed');
          if (isUsed) usedAtMs.push(nowMs);
        });
        // A PUT may be sent some time after it was allowed, but not after the lease ended.
        for (let from = 0; from < usedAtMs.length; from += 1) {
          for (let to = from; to < usedAtMs.length; to += 1) {
            const spanMs = (usedAtMs[to] ?? 0) - (usedAtMs[from] ?? 0) + settings.leaseMs;
            expect(to - from + 1).toBeLessThanOrEqual(settings.burst + (spanMs * settings.perMinute) / 60_000);
          }
        }
      }),
    );
  });

  it('while the cloud wants to be left alone, nobody is allowed', () => {
    fc.assert(
      fc.property(steps, (all) =>
        play(all, (_, { parties, bucket }, nowMs) => {
          if (bucket.atMs > nowMs) expect(parties.filter(({ phase }) => phase === 'allowed')).toEqual([]);
        }),
      ),
    );
  });

  it('those in line keep their order', () => {
    fc.assert(
      fc.property(steps, (all) =>
        play(all, (before, after) => {
          const uids = (state: CoordinatorState) =>
            state.parties.filter((party) => !hasPlace(party)).map(({ workspaceUid }) => workspaceUid);
          const stayed = uids(before).filter((uid) => uids(after).includes(uid));
          const inNewOrder = uids(after).filter((uid) => stayed.includes(uid));
          // Who left and came again within one exchange did not stay.
          expect(inNewOrder).toEqual(stayed);
        }),
      ),
    );
  });

  it('nobody waits while there is a place, or a token, that they may have', () => {
    fc.assert(
      fc.property(steps, (all) =>
        play(all, (_, state, nowMs) => {
          const avoided = sessions.flatMap((session) => {
            const answer = answerFor(state, session, nowMs);
            return answer.kind === 'unknown'
              ? []
              : answer.leases.filter(({ kind }) => kind === 'avoid').map(({ lease }) => lease);
          });
          const waiting = state.parties.filter(({ lease, phase }) => phase === 'waiting' && !avoided.includes(lease));
          const wanting = state.parties.filter(({ lease, phase }) => phase === 'wanting' && !avoided.includes(lease));
          const places = settings.creatingAtOnce - state.parties.filter(hasPlace).length;
          if (places > 0) expect(waiting).toEqual([]);
          if (state.bucket.tokens >= 1 && state.bucket.atMs <= nowMs) expect(wanting).toEqual([]);
        }),
      ),
    );
  });

  it('a message that is repeated changes nothing', () => {
    fc.assert(
      fc.property(steps, (all) =>
        play(all, (_, after, nowMs, said) => {
          expect(told(after, said, nowMs)).toEqual(after);
        }),
      ),
    );
  });
});
