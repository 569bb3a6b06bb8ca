import type { Lesson, PoolCandidate } from '../../../api/coordination';
import { current, forgotten, learned, reasonAgainst, type Memory } from '../../../workflows/coordinator/memory';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = Date.UTC(2026, 0, 1);

const a100: PoolCandidate = {
  family: 'standardNCADSA100v4Family',
  instanceType: 'Standard_NC24ads_A100_v4',
  zone: '1',
  priority: 'on-demand',
  vcpus: 24,
};
const sibling = { ...a100, instanceType: 'Standard_NC48ads_A100_v4', vcpus: 48 };
const h100: PoolCandidate = { ...a100, family: 'standardNCADSH100v5Family', instanceType: 'Standard_NC40ads_H100_v5' };

function failed(lesson: Lesson, candidate = a100, memory: Memory = [], atMs = NOW, ttlMs?: number): Memory {
  const failure = { cause: 'Quota', message: `${lesson} of ${candidate.instanceType}` } as const;
  return learned(memory, { kind: 'failed', candidate, lesson, failure, ...(ttlMs !== undefined && { ttlMs }) }, atMs);
}

const isAvoided = (memory: Memory, candidate: PoolCandidate, atMs = NOW) =>
  reasonAgainst(memory, candidate, atMs) !== undefined;

describe('who learns from a failure', () => {
  const spot = { ...a100, priority: 'spot' } as const;
  const others: Record<string, PoolCandidate> = {
    itself: a100,
    'a larger size of the family': sibling,
    'a smaller pool of the family': { ...a100, instanceType: 'Standard_NC12', vcpus: 12 },
    'another zone': { ...a100, zone: '2' },
    'any zone': withoutZone(a100),
    'another variant': { ...a100, variant: 'ephemeral' },
    spot,
    'another family': h100,
    'another family as spot': { ...h100, priority: 'spot' },
  };
  const cases: [string, Lesson, PoolCandidate, string[]][] = [
    [
      'little quota: all of the family that need as much',
      'quota-low',
      a100,
      ['itself', 'a larger size of the family', 'another zone', 'any zone', 'another variant'],
    ],
    [
      'no quota: all of the family',
      'quota-zero',
      a100,
      [
        'itself',
        'a larger size of the family',
        'a smaller pool of the family',
        'another zone',
        'any zone',
        'another variant',
      ],
    ],
    [
      'quota of the region: all that need as much',
      'quota-region',
      a100,
      ['itself', 'a larger size of the family', 'another zone', 'any zone', 'another variant', 'another family'],
    ],
    ['quota of spot: all spot', 'quota-spot', spot, ['spot', 'another family as spot']],
    ['allocation: the same size, zone and variant', 'allocation', a100, ['itself']],
    ['allocation anywhere: who asks for anywhere', 'allocation', withoutZone(a100), ['any zone']],
    ['size not offered in a zone: that zone', 'size-unavailable', a100, ['itself', 'another variant']],
    [
      'size not offered: all zones',
      'size-unavailable',
      withoutZone(a100),
      ['itself', 'another zone', 'any zone', 'another variant'],
    ],
  ];
  it.each(cases)('%s', (_, lesson, candidate, expected) => {
    const memory = failed(lesson, candidate);
    const avoided = Object.entries(others).filter(([, other]) => isAvoided(memory, other));
    expect(avoided.map(([name]) => name)).toEqual(expected);
  });
});

describe('how long', () => {
  it.each([
    ['quota-low', 'on-demand', 10 * MINUTE],
    ['quota-zero', 'on-demand', HOUR],
    ['allocation', 'on-demand', HOUR],
    ['size-unavailable', 'on-demand', 23 * HOUR],
    ['size-unavailable', 'spot', HOUR],
  ] as const)('%s of %s is believed for %d ms', (lesson, priority, ttlMs) => {
    const candidate = { ...a100, priority };
    const memory = failed(lesson, candidate);
    expect(isAvoided(memory, candidate, NOW + ttlMs - 1)).toBe(true);
    expect(isAvoided(memory, candidate, NOW + ttlMs)).toBe(false);
    expect(current(memory, NOW + ttlMs)).toEqual([]);
  });

  it('as the outcome says, where it says so', () => {
    expect(reasonAgainst(failed('allocation', a100, [], NOW, 5_000), a100, NOW)?.untilMs).toBe(NOW + 5_000);
  });

  it('a later failure prolongs, and the smaller need counts', () => {
    const first = failed('quota-low', sibling);
    const memory = failed('quota-low', a100, first, NOW + MINUTE);
    expect(memory).toHaveLength(1);
    expect(reasonAgainst(memory, a100, NOW)).toMatchObject({ fromVcpus: 24, untilMs: NOW + 11 * MINUTE });
  });

  it('a later failure does not shorten', () => {
    const memory = failed('quota-low', a100, failed('quota-zero'), NOW + MINUTE);
    expect(reasonAgainst(memory, a100, NOW)?.untilMs).toBe(NOW + HOUR);
  });

  it('what has passed does not make a later failure wider', () => {
    const zero = failed('quota-zero');
    const memory = failed('quota-low', sibling, zero, NOW + HOUR);
    expect(isAvoided(memory, a100, NOW + HOUR)).toBe(false);
    expect(isAvoided(memory, sibling, NOW + HOUR)).toBe(true);
  });

  it('of several reasons the longest is told', () => {
    const memory = failed('size-unavailable', a100, failed('quota-low'));
    expect(reasonAgainst(memory, a100, NOW)?.key).toBe('size/Standard_NC24ads_A100_v4/1/on-demand');
  });
});

describe('what is forgotten', () => {
  it('what a success refutes, and no more', () => {
    const memory = failed('quota-low', sibling, failed('allocation', h100, failed('allocation')));
    const after = learned(memory, { kind: 'succeeded', candidate: a100 }, NOW);
    expect(after.map(({ key }) => key).sort()).toEqual([
      'allocation/Standard_NC40ads_H100_v5/1/on-demand',
      'quota/standardNCADSA100v4Family/on-demand',
    ]);
  });

  it('one key, or all', () => {
    const memory = failed('allocation', a100, failed('quota-low'));
    expect(forgotten(memory, 'quota/standardNCADSA100v4Family/on-demand').map(({ key }) => key)).toEqual([
      'allocation/Standard_NC24ads_A100_v4/1/on-demand',
    ]);
    expect(forgotten(memory, undefined)).toEqual([]);
  });
});

it('it stays small: few entries, short texts', () => {
  let memory: Memory = [];
  for (let index = 0; index < 600; index += 1) {
    const candidate = { ...a100, instanceType: `size-${index}` };
    const failure = { cause: 'Capacity', message: 'x'.repeat(40_000), remedy: 'y'.repeat(40_000) } as const;
    memory = learned(memory, { kind: 'failed', candidate, lesson: 'allocation', failure }, NOW + index);
  }
  expect(memory).toHaveLength(500);
  expect(memory.every(({ key }) => key !== 'allocation/size-0/1/on-demand')).toBe(true);
  expect(memory[0]?.failure).toEqual({ cause: 'Capacity', message: 'x'.repeat(512), remedy: 'y'.repeat(512) });
});

function withoutZone({ zone: _zone, ...anywhere }: PoolCandidate): PoolCandidate {
  return anywhere;
}
