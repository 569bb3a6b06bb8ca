import type { Ask, CoordinatorSettings, Exchange, ExchangeAnswer, Outcome } from '../../../api/coordination';
import { answerFor, reportOf } from '../../../workflows/coordinator/answer';
import { NOTHING_YET, told, type CoordinatorState } from '../../../workflows/coordinator/state';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const START = Date.UTC(2026, 0, 1);

const settings: CoordinatorSettings = {
  burst: 2,
  perMinute: 1,
  creatingAtOnce: 2,
  leaseMs: 2 * MINUTE,
  askAgainMs: 5 * SECOND,
};

const quota = { cause: 'Quota', message: 'no quota' } as const;

/** The coordinator with a clock that the test moves, and the sessions' counters. */
function coordinator(rules: Partial<CoordinatorSettings> = {}) {
  let state: CoordinatorState = NOTHING_YET;
  let nowMs = START;
  const numbers = new Map<string, number>();

  const exchange = (said: Exchange): ExchangeAnswer => {
    const next = told(state, said, nowMs);
    if (next === undefined) return { kind: 'unknown' };
    // It goes on as plain data.
    state = JSON.parse(JSON.stringify(next)) as CoordinatorState;
    return answerFor(state, said.session, nowMs);
  };
  const subject = {
    exchange,
    /** What a session hears when it says something: `lease kind` of each. */
    say(session: string, said: Partial<Exchange> = {}): readonly string[] {
      const number = (numbers.get(session) ?? 0) + 1;
      numbers.set(session, number);
      const joins = number === 1 ? { joins: { ...settings, ...rules } } : {};
      const answer = exchange({ session, number, ...joins, ...said });
      return answer.kind === 'unknown' ? ['unknown'] : answer.leases.map(({ lease, kind }) => `${lease} ${kind}`);
    },
    /** The answer in full to a session that has nothing to say. */
    ask(session: string): ExchangeAnswer {
      const number = (numbers.get(session) ?? 0) + 1;
      numbers.set(session, number);
      return exchange({ session, number });
    },
    pass(ms: number) {
      nowMs += ms;
    },
    report: () => reportOf(state, nowMs),
  };
  return subject;
}

function ask(lease: string, more: Partial<Ask> = {}): Ask {
  return {
    lease,
    workspaceUid: `uid-${lease}`,
    workspace: `default/${lease}`,
    candidate: { family: 'A', instanceType: 'A100', priority: 'on-demand', vcpus: 24 },
    ...more,
  };
}

const asks = (...leases: string[]) => ({ asks: leases.map((lease) => ask(lease)) });
const failure = (ofLease: string): Outcome => ({
  kind: 'failed',
  candidate: ask(ofLease).candidate,
  lesson: 'allocation',
  failure: quota,
});

describe('places', () => {
  it('as many as may be under creation, first come, first served', () => {
    const it = coordinator();
    expect(it.say('s', asks('a', 'b', 'c', 'd'))).toEqual(['a admitted', 'b admitted']);
    expect(it.say('s', { released: ['b'] })).toEqual(['a admitted', 'c admitted']);
    expect(it.say('s', { released: ['a', 'c'] })).toEqual(['d admitted']);
  });

  it('across sessions', () => {
    const it = coordinator();
    it.say('s', asks('a', 'b'));
    expect(it.say('t', asks('c'))).toEqual([]);
    it.say('s', asks('d'));
    it.say('s', { released: ['a'] });
    expect(it.say('t')).toEqual(['c admitted']);
  });

  it('a Workspace whose next candidate comes stands behind those who wait', () => {
    const it = coordinator({ creatingAtOnce: 1 });
    it.say('s', asks('a', 'b'));
    expect(it.say('s', { released: ['a'], asks: [ask('a2', { workspaceUid: 'uid-a' })] })).toEqual(['b admitted']);
  });

  it('who asks again for its Workspace takes its place over, and the former lease gives nothing back', () => {
    const it = coordinator({ creatingAtOnce: 1 });
    it.say('s', asks('a', 'b'));
    expect(it.say('t', { asks: [ask('a2', { workspaceUid: 'uid-a' })] })).toEqual(['a2 admitted']);
    expect(it.say('s', { released: ['a'] })).toEqual([]);
    expect(it.say('t')).toEqual(['a2 admitted']);
  });

  it('a place is taken over although others stand before it in line, and with it the token that was not used', () => {
    const it = coordinator({ creatingAtOnce: 1, burst: 1 });
    it.say('s', asks('a', 'b'));
    it.say('s', { wants: ['a'] });
    expect(it.report().tokens).toBe(0);
    expect(it.say('t', { asks: [ask('a2', { workspaceUid: 'uid-a' })] })).toEqual(['a2 admitted']);
    expect(it.report().tokens).toBe(1);
  });

  it('a place in line is taken over too', () => {
    const it = coordinator({ creatingAtOnce: 1 });
    it.say('s', asks('a', 'b', 'c'));
    it.say('s', { asks: [ask('b2', { workspaceUid: 'uid-b' })] });
    expect(it.say('s', { released: ['a'] })).toEqual(['b2 admitted']);
  });

  it('a pool that exists already counts, and does not wait', () => {
    const it = coordinator({ creatingAtOnce: 1 });
    it.say('s', asks('a', 'b'));
    expect(it.say('s', { asks: [ask('c', { holds: true })] })).toEqual(['a admitted', 'c admitted']);
    expect(it.say('s', { released: ['a'] })).toEqual(['c admitted']);
    expect(it.say('s', { released: ['c'] })).toEqual(['b admitted']);
  });
});

describe('tokens', () => {
  it('a burst, then one a minute, in the order of asking', () => {
    const it = coordinator({ creatingAtOnce: 4 });
    it.say('s', asks('a', 'b', 'c', 'd'));
    expect(it.say('s', { wants: ['c', 'a', 'd', 'b'] })).toEqual([
      'c allowed',
      'a allowed',
      'd admitted',
      'b admitted',
    ]);
    it.say('s', { used: ['c', 'a'] });
    it.pass(MINUTE - 1);
    expect(it.say('s')).not.toContain('d allowed');
    it.pass(1);
    expect(it.say('s')).toContain('d allowed');
  });

  it('one is spent only when used', () => {
    const it = coordinator();
    it.say('s', asks('a', 'b'));
    expect(it.say('s', { wants: ['a', 'b'] })).toEqual(['a allowed', 'b allowed']);
    expect(it.report().tokens).toBe(0);
    it.say('s', { released: ['a'], used: ['b'] });
    expect(it.report().tokens).toBe(1);
    it.say('s', { released: ['b'] });
    expect(it.report().tokens).toBe(1);
  });

  it('a Workspace that sends many PUTs lets others go between them', () => {
    const it = coordinator({ burst: 1 });
    it.say('s', asks('a', 'b'));
    it.say('s', { wants: ['a', 'b'] });
    it.say('s', { used: ['a'], wants: ['a'] });
    it.pass(MINUTE);
    expect(it.say('s')).toEqual(['b allowed', 'a admitted']);
  });

  it('a session is told when the next token is its own', () => {
    const it = coordinator({ creatingAtOnce: 4 });
    it.say('s', asks('a', 'b', 'c'));
    it.say('s', { wants: ['a', 'b', 'c'] });
    it.say('s', { used: ['a', 'b'] });
    it.pass(30 * SECOND);
    expect(it.ask('s')).toMatchObject({ askAgainMs: 30 * SECOND });
    it.say('s', { released: ['c'] });
    expect(it.ask('s')).not.toHaveProperty('askAgainMs');
    it.say('t', asks('x', 'y', 'z'));
    expect(it.ask('t')).toMatchObject({ askAgainMs: 5 * SECOND });
  });

  it('a session speaks often enough to stay alive, however long its token takes', () => {
    const it = coordinator({ burst: 1, perMinute: 0.001 });
    it.say('s', asks('a', 'b'));
    it.say('s', { wants: ['a', 'b'] });
    it.say('s', { used: ['a'] });
    expect(it.ask('s')).toMatchObject({ askAgainMs: 40 * SECOND });
  });

  it('new settings count at once', () => {
    const it = coordinator({ creatingAtOnce: 1 });
    it.say('s', asks('a', 'b'));
    expect(it.say('t', { joins: { ...settings, creatingAtOnce: 2 }, number: 1 })).toEqual([]);
    expect(it.say('s')).toEqual(['a admitted', 'b admitted']);
  });
});

describe('when the cloud wants to be left alone', () => {
  it('nobody is allowed until then, and then one', () => {
    const it = coordinator({ burst: 20, creatingAtOnce: 4 });
    it.say('s', asks('a', 'b'));
    expect(it.say('s', { throttledMs: 36 * SECOND, wants: ['a', 'b'] })).toEqual(['a admitted', 'b admitted']);
    expect(it.report()).toMatchObject({ tokens: 0, throttledUntil: new Date(START + 36 * SECOND).toISOString() });
    expect(it.ask('s')).toMatchObject({ askAgainMs: 36 * SECOND });
    it.pass(36 * SECOND - 1);
    expect(it.say('s')).toEqual(['a admitted', 'b admitted']);
    it.pass(1);
    expect(it.say('s')).toEqual(['a allowed', 'b admitted']);
  });

  it('who was allowed and has not gone ahead is held back', () => {
    const it = coordinator({ burst: 20 });
    it.say('s', asks('a'));
    it.say('s', { wants: ['a'] });
    it.say('t', { throttledMs: MINUTE });
    expect(it.say('s')).toEqual(['a admitted']);
    it.pass(MINUTE);
    expect(it.say('s')).toEqual(['a allowed']);
  });

  it('who had gone ahead in that moment has used the token that was promised', () => {
    const it = coordinator({ burst: 20 });
    it.say('s', asks('a', 'b'));
    it.say('s', { wants: ['a'] });
    it.say('t', { throttledMs: MINUTE });
    it.say('s', { used: ['a'], wants: ['b'] });
    it.pass(MINUTE);
    expect(it.say('s')).toEqual(['a admitted', 'b admitted']);
    it.pass(MINUTE);
    expect(it.say('s')).toEqual(['a admitted', 'b allowed']);
  });

  it('for the time of one token, where it does not say how long', () => {
    const it = coordinator({ burst: 20 });
    it.say('s', { throttledMs: 0 });
    expect(it.report().throttledUntil).toBe(new Date(START + MINUTE).toISOString());
  });

  it('the longest wish counts, but none for more than an hour', () => {
    const it = coordinator();
    it.say('s', { throttledMs: 10 * MINUTE });
    it.say('s', { throttledMs: MINUTE });
    expect(it.report().throttledUntil).toBe(new Date(START + 10 * MINUTE).toISOString());
    it.say('s', { throttledMs: 1_000 * 60 * MINUTE });
    expect(it.report().throttledUntil).toBe(new Date(START + 60 * MINUTE).toISOString());
  });
});

describe('what failed for one', () => {
  it('keeps the others from trying, those in line too, without a place or a token', () => {
    const it = coordinator({ creatingAtOnce: 1 });
    it.say('s', asks('a', 'b'));
    expect(it.say('s', { outcomes: [failure('a')], released: ['a'] })).toEqual(['b avoid']);
    expect(it.say('t', asks('c'))).toEqual(['c avoid']);
    const other = ask('d', { candidate: { ...ask('d').candidate, instanceType: 'H100' } });
    expect(it.say('t', { released: ['c'], asks: [other] })).toEqual(['d admitted']);
    expect(it.report().avoided).toEqual([
      {
        key: 'allocation/A100/*/on-demand',
        since: new Date(START).toISOString(),
        until: new Date(START + 60 * MINUTE).toISOString(),
        failure: quota,
      },
    ]);
  });

  it('is told to a hundred at once: answers stay small', () => {
    const it = coordinator();
    it.say('s', { outcomes: [failure('a')] });
    const names = Array.from({ length: 150 }, (_, index) => `w${index}`);
    expect(it.say('s', asks(...names))).toEqual(names.slice(0, 100).map((name) => `${name} avoid`));
    expect(it.say('s', { released: names.slice(0, 100) })).toEqual(names.slice(100).map((name) => `${name} avoid`));
  });

  it('keeps those from sending who have a place already', () => {
    const it = coordinator();
    it.say('s', asks('a', 'b'));
    it.say('s', { outcomes: [failure('a')] });
    expect(it.say('s', { wants: ['b'] })).toEqual(['a admitted', 'b avoid']);
  });

  it('is tried again when its time has passed, or a success refutes it', () => {
    const it = coordinator();
    it.say('s', { outcomes: [failure('a')], ...asks('b') });
    it.pass(60 * MINUTE);
    expect(it.say('s', { joins: settings, ...asks('b') })).toEqual(['b admitted']);
    it.say('s', { outcomes: [failure('a')] });
    it.say('s', { outcomes: [{ kind: 'succeeded', candidate: ask('a').candidate }] });
    expect(it.report().avoided).toEqual([]);
  });
});

describe('sessions', () => {
  it('one that is not heard of loses its places; what it did not use comes back', () => {
    const it = coordinator();
    it.say('dead', asks('a', 'b'));
    it.say('dead', { wants: ['a', 'b'], number: 2 });
    it.say('dead', { used: ['b'], number: 3 });
    expect(it.say('s', asks('c'))).toEqual([]);
    it.pass(2 * MINUTE - 1);
    expect(it.say('s')).toEqual([]);
    it.pass(1);
    expect(it.say('s')).toEqual(['c admitted']);
    expect(it.report()).toMatchObject({ tokens: 2, creating: [{ workspace: 'default/c' }], waiting: [] });
  });

  it('one that speaks keeps them', () => {
    const it = coordinator();
    it.say('s', asks('a'));
    for (let times = 0; times < 10; times += 1) {
      it.pass(MINUTE);
      expect(it.say('s')).toEqual(['a admitted']);
    }
  });

  it('the dead do not show as creating, although nobody spoke since', () => {
    const it = coordinator();
    it.say('s', asks('a'));
    it.pass(2 * MINUTE);
    expect(it.report().creating).toEqual([]);
  });

  it('one that was given up is told so, joins again with what it holds, and loses nothing but its place in line', () => {
    const it = coordinator({ creatingAtOnce: 1 });
    it.say('s', asks('a', 'b'));
    it.pass(2 * MINUTE);
    it.say('t', asks('c'));
    expect(it.say('s')).toEqual(['unknown']);
    expect(
      it.say('s', { joins: { ...settings, creatingAtOnce: 1 }, asks: [ask('a', { holds: true }), ask('b')] }),
    ).toEqual(['a admitted']);
    expect(it.report().creating.map(({ workspace }) => workspace)).toEqual(['default/c', 'default/a']);
  });

  it('what is said twice is applied once, and answered as the state is', () => {
    const it = coordinator({ creatingAtOnce: 4 });
    it.say('s', asks('a', 'b'));
    it.say('s', { wants: ['a'] });
    const said = { session: 's', number: 3, used: ['a'], wants: ['a'] };
    const answer = it.exchange(said);
    expect(answer).toMatchObject({ leases: [{ lease: 'b' }, { lease: 'a', kind: 'allowed' }] });
    expect(it.exchange(said)).toEqual(answer);
    expect(it.report().tokens).toBe(0);
  });
});

it('people read who creates, who waits, what is avoided', () => {
  const it = coordinator({ burst: 1 });
  it.say('s', asks('a', 'b', 'c'));
  it.say('s', { wants: ['a', 'b'] });
  it.say('s', { used: ['a'] });
  it.pass(15 * SECOND);
  const since = new Date(START).toISOString();
  const pool = { family: 'A', instanceType: 'A100', priority: 'on-demand', vcpus: 24, since };
  expect(it.report()).toEqual({
    time: new Date(START + 15 * SECOND).toISOString(),
    settings: { ...settings, burst: 1 },
    tokens: 0,
    nextToken: new Date(START + MINUTE).toISOString(),
    creating: [
      { workspaceUid: 'uid-a', workspace: 'default/a', ...pool, waitsForToken: false },
      { workspaceUid: 'uid-b', workspace: 'default/b', ...pool, waitsForToken: true },
    ],
    waiting: [{ workspace: 'default/c', instanceType: 'A100', since }],
    avoided: [],
  });
});
