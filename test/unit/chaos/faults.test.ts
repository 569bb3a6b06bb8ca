import { describeFault, kindOf, planFaults, TARGETS, type Boundary, type Fault } from '../../chaos/faults';
import { createRandom } from '../../chaos/random';
import { quantile } from '../../chaos/report';

const BOUNDARIES: readonly Boundary[] = ['grows', 'tunes', 'changes'].flatMap((life) =>
  ['before planWorkspace', 'done planWorkspace', 'after worker create nodeclaims'].map((moment): Boundary => ({
    life: life as Boundary['life'],
    moment,
    occurrence: 1,
  })),
);

const plan = (seed: number, count: number, only?: Parameters<typeof planFaults>[3]): readonly Fault[] =>
  planFaults(createRandom(seed), count, BOUNDARIES, only);

const placesOf = (faults: readonly Fault[]): readonly string[] =>
  faults.flatMap((fault) => (fault.kind === 'kill' ? [`${fault.at.life} ${fault.at.moment}`] : []));

it('follows from the seed, in whatever order the moments were recorded', () => {
  const recordedOtherwise = planFaults(createRandom(7), 12, [...BOUNDARIES].reverse());

  expect(recordedOtherwise).toEqual(plan(7, 12));
  expect(plan(8, 12)).not.toEqual(plan(7, 12));
});

it('keeps its order when a moment more or less was recorded', () => {
  const killsOf = (faults: readonly Fault[]): readonly string[] =>
    faults.filter((fault) => fault.kind === 'kill').map(describeFault);
  const all = killsOf(plan(7, 40));
  const fewer = killsOf(planFaults(createRandom(7), 40, BOUNDARIES.slice(1)));
  const gone = 'before planWorkspace #1 (grows)';

  const kept = all.filter((line) => fewer.includes(line));
  expect(fewer.filter((line) => all.includes(line))).toEqual(kept);
  expect(all.filter((line) => !kept.includes(line)).every((line) => line.includes(gone))).toBe(true);
  expect(kept.length).toBeGreaterThan(20);
});

it('hits each activity of an inference and of a tuning before any moment twice', () => {
  const places = placesOf(plan(1, 6));

  expect(new Set(places)).toEqual(
    new Set([
      'grows before planWorkspace',
      'grows done planWorkspace',
      'tunes before planWorkspace',
      'tunes done planWorkspace',
      ...places,
    ]),
  );
  expect(new Set(places).size).toBe(places.length);
});

it('kills every target at every moment when there are enough faults', () => {
  const kills = plan(3, 100).filter((fault) => fault.kind === 'kill');

  expect(new Set(kills.map(describeFault)).size).toBe(BOUNDARIES.length * TARGETS.length);
  expect(kills).toHaveLength(BOUNDARIES.length * TARGETS.length);
});

it('injects one kind only when asked', () => {
  expect(new Set(plan(1, 5, 'clock-skew').map(kindOf))).toEqual(new Set(['clock-skew']));
  expect(new Set(plan(1, 5, 'kill-temporal').map(kindOf))).toEqual(new Set(['kill-temporal']));
  expect(plan(1, 5, 'clock-skew')).toHaveLength(5);
});

it('kills one target at every activity before it goes on with the writes', () => {
  const isOfActivity = (place: string): boolean => place.split(' ').length === 3;
  const places = placesOf(plan(1, BOUNDARIES.length, 'kill-bridge'));

  expect(places.map(isOfActivity)).toEqual([true, true, true, true, true, true, false, false, false]);
  expect(new Set(places).size).toBe(BOUNDARIES.length);
});

it('says which share of times lies below', () => {
  expect([quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.99), quantile([], 0.5)]).toEqual([2, 4, 0]);
});
