import fc from 'fast-check';
import { neverFits, noRoom, tally } from '../../../../activities/quotas/tally';
import { shortage } from '../../../../activities/quotas/words';
import type { Reservation, Workspace, WorkspaceStatus } from '../../../../api/workspace';
import { workspace } from '../objects';

function made(name: string, second: number, status: WorkspaceStatus = {}, metadata: object = {}): Workspace {
  const creationTimestamp = `2026-01-01T00:00:${String(second).padStart(2, '0')}Z`;
  return { ...workspace({ status }, { name, uid: `uid-${name}`, creationTimestamp, ...metadata }) };
}

const reserved = (state: Reservation['state'], machines: number, price?: string): WorkspaceStatus => ({
  reservation: { state, machines, instanceType: 'Size', ...(price !== undefined && { pricePerHour: price }) },
  step: { name: 'Machines' },
});

const seen = (count: number, phase: 'Ready' | 'Deleting' | 'Lost' = 'Ready', provider = 'karpenter') =>
  Array.from({ length: count }, (_, i) => ({ name: `m${i}`, provider, phase }));

const me = made('me', 30);

describe('what counts against a Workspace', () => {
  const cases: readonly (readonly [string, Workspace, number])[] = [
    ['nothing of one that has not asked', made('a', 1), 0],
    ['what an earlier one asks for', made('a', 1, reserved('Asked', 2)), 2],
    ['what a later one asks for', made('z', 59, reserved('Asked', 2)), 2],
    ['what a later one holds', made('z', 59, reserved('Held', 2)), 2],
    ['what an earlier one waits for', made('a', 1, reserved('Waiting', 2)), 2],
    ['not what a later one waits for', made('z', 59, reserved('Waiting', 2)), 0],
    [
      'nor what an earlier one waits for that is being deleted',
      made('a', 1, reserved('Waiting', 2), { deletionTimestamp: 'x' }),
      0,
    ],
    ['what one that is being deleted holds', made('a', 1, reserved('Held', 2), { deletionTimestamp: 'x' }), 2],
    ['machines of a time without quotas', made('a', 1, { machines: seen(3) }), 3],
    ['machines on their way out', made('z', 59, { ...reserved('Held', 1), machines: seen(2, 'Deleting') }), 2],
    ['machines of a later one that waits for more', made('z', 59, { ...reserved('Waiting', 4), machines: seen(1) }), 1],
    ['all that an earlier one waits for, once', made('a', 1, { ...reserved('Waiting', 4), machines: seen(1) }), 4],
    ['not machines that are lost', made('a', 1, { machines: seen(3, 'Lost') }), 0],
    ['not own nodes', made('a', 1, { machines: seen(3, 'Ready', 'own-nodes') }), 0],
    [
      'only what is left while an adapter is pushed',
      made('a', 1, { ...reserved('Held', 1), step: { name: 'Push' } }),
      0,
    ],
  ];
  test.each(cases)('%s', (_, other, machines) => {
    expect(tally([me, other]).against(me)).toMatchObject({ machines, by: machines === 0 ? [] : [other.metadata.name] });
  });

  test('never its own', () => {
    const mine = made('me', 30, { ...reserved('Held', 2), machines: seen(2) });
    expect(tally([mine]).against(mine)).toEqual({ machines: 0, pricePerHour: 0, by: [] });
  });

  test('of two of the same second, one is first for everybody', () => {
    const [a, b] = [made('a', 5, reserved('Waiting', 1)), made('b', 5, reserved('Waiting', 1))];
    expect(tally([b, a]).against(a).machines).toBe(0);
    expect(tally([a, b]).against(b).machines).toBe(1);
  });

  test('prices, as far as they are known', () => {
    const others = [
      made('a', 1, reserved('Held', 1, '3.5')),
      made('b', 2, { machines: seen(1), pricePerHour: '0.25' }),
    ];
    expect(tally(others).against(me)).toMatchObject({ machines: 2, pricePerHour: 3.75 });
    expect(tally([...others, made('c', 3, reserved('Held', 1))]).against(me).pricePerHour).toBeUndefined();
  });
});

test('limits', () => {
  const amount = (machines: number, pricePerHour?: number) => ({ machines, pricePerHour });
  expect(neverFits(amount(5), { maxMachines: 4 })).toBe('machines');
  expect(neverFits(amount(4), { maxMachines: 4 })).toBeUndefined();
  expect(neverFits(amount(1), { maxPricePerHour: 10 })).toBe('price-unknown');
  expect(neverFits(amount(1, 11), { maxPricePerHour: 10 })).toBe('price');
  expect(neverFits(amount(99, 99), {})).toBeUndefined();
  expect(noRoom(amount(2), amount(3), { maxMachines: 4 })).toBe('machines');
  expect(noRoom(amount(1), amount(3), { maxMachines: 4 })).toBeUndefined();
  expect(noRoom(amount(1, 0.1), amount(1, 0.2), { maxPricePerHour: 0.3 })).toBeUndefined();
  expect(noRoom(amount(1, 0.2), amount(1, 0.2), { maxPricePerHour: 0.3 })).toBe('price');
  expect(noRoom(amount(1, 0.1), amount(1), { maxPricePerHour: 0.3 })).toBe('price-unknown');
});

test('who waits is told for whom', () => {
  const used = { machines: 7, pricePerHour: 0, by: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] };
  const wanted = { machines: 2, pricePerHour: undefined };
  expect(shortage('team-a', '2 × Size', wanted, used, { maxMachines: 8 }, 'machines')).toEqual({
    cause: 'NamespaceQuota',
    message: 'namespace team-a may have 8 machines; 7 are in use by a, b, c, d, e and 2 more; this needs 2 (2 × Size)',
  });
});

/**
 * The protocol of admission, as a model: each Workspace writes that it asks, sees all writes up to its own, and then decides; the steps of all are
 * interleaved at will. Views are as stale as a watch may be: a prefix of the writes that has the viewer's own.
 */
describe('Workspaces that ask at the same time', () => {
  const MACHINES = 4;
  interface Actor {
    readonly name: string;
    readonly second: number;
    readonly needs: number;
    phase: 'idle' | 'asked' | 'waiting' | 'held';
    /** Number of writes that its process has seen. */
    view: number;
  }

  function run(needs: readonly number[], schedule: readonly number[]): readonly Actor[] {
    const actors: Actor[] = needs.map((count, i) => ({
      name: `w${i}`,
      second: i,
      needs: count,
      phase: 'idle',
      view: 0,
    }));
    const writes: { readonly name: string; readonly status: WorkspaceStatus }[] = [];
    const write = (actor: Actor, state: Reservation['state']): void => {
      writes.push({ name: actor.name, status: reserved(state, actor.needs) });
    };
    const decide = (actor: Actor): boolean => {
      const latest = new Map(writes.slice(0, actor.view).map(({ name, status }) => [name, status]));
      const all = actors.map(({ name, second }) => made(name, second, latest.get(name)));
      const mine = all.find(({ metadata }) => metadata.name === actor.name)!;
      return (
        noRoom({ machines: actor.needs, pricePerHour: 0 }, tally(all).against(mine), { maxMachines: MACHINES }) ===
        undefined
      );
    };
    const act = (actor: Actor, isFresh: boolean): void => {
      if (isFresh) actor.view = writes.length;
      switch (actor.phase) {
        case 'idle':
          write(actor, 'Asked');
          actor.view = Math.max(actor.view, writes.length);
          actor.phase = 'asked';
          return;
        case 'asked':
          actor.phase = decide(actor) ? 'held' : 'waiting';
          write(actor, actor.phase === 'held' ? 'Held' : 'Waiting');
          return;
        case 'waiting':
          if (decide(actor)) actor.phase = 'idle';
          return;
        case 'held':
          return;
      }
    };
    for (const pick of schedule) act(actors[Math.abs(pick) % actors.length]!, pick % 2 === 0);
    const held = () => actors.filter(({ phase }) => phase === 'held').reduce((sum, actor) => sum + actor.needs, 0);
    expect(held()).toBeLessThanOrEqual(MACHINES);
    // Then everybody sees everything, again and again.
    for (let round = 0; round < 20; round += 1) actors.forEach((actor) => act(actor, true));
    expect(held()).toBeLessThanOrEqual(MACHINES);
    return actors;
  }

  test('never have more than the quota together, and the first that waits is let in when there is room', () => {
    const needs = fc.array(fc.integer({ min: 1, max: MACHINES }), { minLength: 2, maxLength: 6 });
    const schedule = fc.array(fc.nat(1000), { maxLength: 60 });
    fc.assert(
      fc.property(needs, schedule, (counts, picks) => {
        const actors = run(counts, picks);
        const held = actors.filter(({ phase }) => phase === 'held').reduce((sum, actor) => sum + actor.needs, 0);
        const first = actors.find(({ phase }) => phase !== 'held');
        if (first !== undefined) expect(held + first.needs).toBeGreaterThan(MACHINES);
      }),
      { numRuns: 300 },
    );
  });
});

test('a price that was not asked for when it was reserved is the one that was found when it was bought', () => {
  const a = made('a', 1, { ...reserved('Held', 2), machines: seen(2), pricePerHour: '6.5' });
  expect(tally([a]).against(me)).toEqual({ machines: 2, pricePerHour: 6.5, by: ['a'] });
});
