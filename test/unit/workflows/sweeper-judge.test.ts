import fc from 'fast-check';

import type { FoundOrphan, Orphan } from '../../../api/sweep';
import { judge } from '../../../workflows/sweeper/judge';

const MINUTE = 60_000;
const graceMs = 15 * MINUTE;

function found(name: string, identity = 'first'): FoundOrphan {
  const workspace = { namespace: 'team', name: 'phi', uid: 'uid-1' };
  return {
    provider: 'karpenter',
    kind: 'NodeClaim',
    name,
    identity,
    workspace,
    instanceType: 'A100',
    count: 1,
    isSpot: false,
  };
}

function seen(name: string, minute: number, over: Partial<Orphan> = {}): Orphan {
  return { ...found(name), firstSeenTime: new Date(minute * MINUTE).toISOString(), ...over };
}

function at(minute: number) {
  return { nowMs: minute * MINUTE, graceMs };
}

test('what is found for the first time is remembered, and not due', () => {
  expect(judge([found('a')], [], at(10))).toEqual({ due: [], waiting: [seen('a', 10)] });
});

test('… not even without any grace: two looks decide', () => {
  expect(judge([found('a')], [], { nowMs: 0, graceMs: 0 }).due).toEqual([]);
});

test('what is found again waits until the grace is over, since the first look', () => {
  expect(judge([found('a')], [seen('a', 10)], at(24))).toEqual({ due: [], waiting: [seen('a', 10)] });
  expect(judge([found('a')], [seen('a', 10)], at(25))).toEqual({ due: [seen('a', 10)], waiting: [] });
});

test('what a look did not find is forgotten: it begins anew', () => {
  const { waiting } = judge([], [seen('a', 0)], at(10));
  expect(waiting).toEqual([]);
  expect(judge([found('a')], waiting, at(20))).toEqual({ due: [], waiting: [seen('a', 20)] });
});

test('another one of the same name begins anew', () => {
  const again = found('a', 'second');
  expect(judge([again], [seen('a', 0)], at(60))).toEqual({
    due: [],
    waiting: [{ ...again, firstSeenTime: new Date(60 * MINUTE).toISOString() }],
  });
});

test('a release that failed is tried again, and why is told until then', () => {
  const failed = seen('a', 0, { failure: 'no right to delete' });
  expect(judge([found('a')], [failed], at(60))).toEqual({ due: [failed], waiting: [] });
});

test('what could not be released comes after what was not tried yet', () => {
  const before = [seen('a', 0, { failure: 'no right to delete' }), seen('b', 1), seen('c', 2)];
  const { due } = judge(
    ['a', 'b', 'c'].map((name) => found(name)),
    before,
    at(60),
  );
  expect(due.map(({ name }) => name)).toEqual(['b', 'c', 'a']);
});

test('what is known longest comes first', () => {
  const orphans = ['new-b', 'older', 'new-a', 'old'].map((name) => found(name));
  const { due, waiting } = judge(orphans, [seen('old', 1), seen('older', 0)], at(60));
  expect(due.map(({ name }) => name)).toEqual(['older', 'old']);
  expect(waiting.map(({ name }) => name)).toEqual(['new-a', 'new-b']);
});

test('nothing is ever due that was not found now and before, for as long as the grace', () => {
  const orphans = fc.uniqueArray(
    fc.record({ name: fc.constantFrom('a', 'b', 'c'), identity: fc.constantFrom('1', '2') }),
    {
      selector: ({ name, identity }) => `${name}/${identity}`,
    },
  );
  const looks = fc.array(fc.record({ orphans, afterMinutes: fc.integer({ min: 0, max: 30 }) }), { maxLength: 12 });
  fc.assert(
    fc.property(looks, (row) => {
      let minute = 0;
      let memory: readonly Orphan[] = [];
      const since = new Map<string, number>();
      for (const { orphans: present, afterMinutes } of row) {
        minute += afterMinutes;
        const keys = present.map(({ name, identity }) => `${name}/${identity}`);
        for (const key of since.keys()) if (!keys.includes(key)) since.delete(key);
        const { due, waiting } = judge(
          present.map(({ name, identity }) => found(name, identity)),
          memory,
          at(minute),
        );
        for (const { name, identity } of due) {
          const firstMinute = since.get(`${name}/${identity}`);
          expect(firstMinute).toBeDefined();
          expect(minute - (firstMinute ?? 0)).toBeGreaterThanOrEqual(15);
        }
        for (const key of keys) if (!since.has(key)) since.set(key, minute);
        expect(due.length + waiting.length).toBe(present.length);
        memory = [...due, ...waiting];
      }
    }),
  );
});
