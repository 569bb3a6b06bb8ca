import { Health, watchesMoving, watchesUpToDate } from '../../../telemetry/health';
import type { WatchState } from '../../../telemetry/kubernetes';

const NOW = Date.parse('2026-06-01T12:00:00Z');

function watch(parts: Partial<WatchState>): WatchState {
  return {
    resource: 'pods',
    size: 1,
    state: 'watching',
    reconnects: 0,
    relists: 0,
    gone: 0,
    errors: 0,
    events: 0,
    lastEventAt: NOW - 1_000,
    ...parts,
  };
}

const never: Partial<WatchState> = { lastEventAt: undefined as never };

it.each<[string, WatchState, string | undefined]>([
  ['open', watch({}), undefined],
  ['ended in good order', watch({ state: 'listing' }), undefined],
  ['opened anew after an error, and silent since', watch({ lastError: 'reset' }), undefined],
  ['broken', watch({ state: 'waiting', lastError: 'refused' }), 'pods: refused'],
  ['not listed yet', watch({ state: 'listing', ...never }), 'pods: not listed yet'],
])('ready: a watch that is %s', async (_, state, problem) => {
  expect(await watchesUpToDate(() => [state]).problem(new AbortController().signal)).toBe(problem);
});

it.each<[string, WatchState, string | undefined]>([
  ['quiet for a while', watch({ lastEventAt: NOW - 11 * 60_000 }), undefined],
  [
    'standing still',
    watch({ lastEventAt: NOW - 16 * 60_000 }),
    'pods: watching, nothing heard since 2026-06-01T11:44:00.000Z',
  ],
  [
    'failing, and trying again',
    watch({ lastEventAt: NOW - 60 * 60_000, state: 'waiting', lastError: 'refused' }),
    undefined,
  ],
])('live: a watch that is %s', async (_, state, problem) => {
  expect(
    await watchesMoving(
      () => [state],
      () => NOW,
    ).problem(new AbortController().signal),
  ).toBe(problem);
});

it('a check that throws, or takes too long, has failed; the others are told all the same', async () => {
  const health = new Health();
  health.add({ name: 'well', for: ['ready'], problem: () => undefined });
  health.add({ name: 'odd', for: ['ready'], problem: () => Promise.reject(new Error('refused')) });
  health.add({ name: 'deaf', for: ['ready'], problem: () => new Promise(() => undefined) });
  expect(await health.ready()).toEqual({
    ok: false,
    checks: {
      well: { ok: true },
      odd: { ok: false, problem: 'refused' },
      deaf: { ok: false, problem: 'no answer within 2000 ms' },
    },
  });
  expect(await health.live()).toEqual({ ok: true, checks: {} });
});

it('probes that come together ask once', async () => {
  let asked = 0;
  const health = new Health();
  health.add({
    name: 'counted',
    for: ['ready', 'live'],
    problem: () => {
      asked += 1;
      return undefined;
    },
  });
  await Promise.all([health.ready(), health.live(), health.all()]);
  expect(asked).toBe(1);
});
