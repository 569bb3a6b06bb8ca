import { Slots } from '../../../kubernetes/slots';

/** Takes a slot, and notes it. */
function taker(slots: Slots, taken: string[]) {
  return async (name: string, signal?: AbortSignal): Promise<void> => {
    await slots.take(signal);
    taken.push(name);
  };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('lets so many through, and the others in order', async () => {
  const slots = new Slots(2);
  const taken: string[] = [];
  const take = taker(slots, taken);
  const all = ['a', 'b', 'c', 'd'].map((name) => take(name));
  await settled();
  expect(taken).toEqual(['a', 'b']);
  slots.release();
  await settled();
  expect(taken).toEqual(['a', 'b', 'c']);
  slots.release();
  await Promise.all(all);
  expect(taken).toEqual(['a', 'b', 'c', 'd']);
});

test('who gives up waiting takes nothing, and nobody’s slot is lost', async () => {
  const slots = new Slots(1);
  const taken: string[] = [];
  const take = taker(slots, taken);
  await take('a');
  const [early, late] = [new AbortController(), new AbortController()];
  const reason = new Error('gave up');
  const b = take('b', early.signal);
  const c = take('c', late.signal);
  early.abort(reason);
  await expect(b).rejects.toBe(reason);
  slots.release();
  // It is c's turn already.
  late.abort(reason);
  await c;
  slots.release();
  await take('d');
  await expect(take('e', AbortSignal.abort(reason))).rejects.toBe(reason);
  expect(taken).toEqual(['a', 'c', 'd']);
});
