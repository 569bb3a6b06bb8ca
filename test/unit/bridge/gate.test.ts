import { setTimeout as sleep } from 'node:timers/promises';
import { Gate } from '../../../bridge/gate';

function gateOf(most: number, patienceMs = 60_000) {
  const woken: string[] = [];
  const gate = new Gate({ most, patienceMs, wake: (key) => woken.push(key) });
  return { gate, woken };
}

describe('a gate', () => {
  test('lets so many in, and wakes the others in their order as those leave', () => {
    const { gate, woken } = gateOf(2);
    expect(['a', 'b', 'c', 'd'].map((key) => gate.enter(key))).toEqual([true, true, false, false]);
    expect(gate.waiting).toBe(2);
    gate.leave('a');
    expect(woken).toEqual(['c']);
    expect([gate.enter('c'), gate.enter('d')]).toEqual([true, false]);
    gate.leave('b');
    expect(woken).toEqual(['c', 'd']);
    gate.stop();
  });

  test('who is in stays in', () => {
    const { gate } = gateOf(1);
    expect([gate.enter('a'), gate.enter('a')]).toEqual([true, true]);
    gate.stop();
  });

  test('one that was woken and wants no more makes room for the next', () => {
    const { gate, woken } = gateOf(1);
    for (const key of ['a', 'b', 'c']) gate.enter(key);
    gate.leave('a');
    gate.leave('b');
    expect(woken).toEqual(['b', 'c']);
    gate.stop();
  });

  test('two that leave before the first woken one came make room for two', () => {
    const { gate, woken } = gateOf(2);
    for (const key of ['a', 'b', 'c', 'd']) gate.enter(key);
    gate.leave('a');
    gate.leave('b');
    expect(new Set(woken)).toEqual(new Set(['c', 'd']));
    gate.stop();
  });

  test('one that never leaves is counted no longer than the patience lasts', async () => {
    let wake: (key: string) => void = () => undefined;
    const woken = new Promise<string>((resolve) => (wake = resolve));
    const gate = new Gate({ most: 1, patienceMs: 20, wake });
    gate.enter('a');
    gate.enter('b');
    await expect(Promise.race([woken, sleep(5_000, 'nobody')])).resolves.toBe('b');
    expect(gate.enter('b')).toBe(true);
    gate.stop();
  });
});
