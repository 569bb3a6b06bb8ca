import fc from 'fast-check';
import { shorten } from '../../../api/shorten';

test.each([
  ['short', 5, 'short'],
  ['shorter', 6, 'sho…'],
  ['ääää', 8, 'ääää'],
  ['ääää', 7, 'ää…'],
  ['ääää', 6, 'ä…'],
  ['a😀b', 6, 'a😀b'],
  ['a😀bc', 6, 'a…'],
])('%s in %i bytes is %s', (text, mostBytes, expected) => {
  expect(shorten(text, mostBytes)).toBe(expected);
});

test('what is kept fits, is the longest beginning that does, and has no half of a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 3, max: 40 }), (text, mostBytes) => {
      const short = shorten(text, mostBytes);
      if (Buffer.byteLength(text) <= mostBytes) return expect(short).toBe(text);
      expect(Buffer.byteLength(short)).toBeLessThanOrEqual(mostBytes);
      expect(short.isWellFormed()).toBe(true);
      const kept = short.slice(0, -1);
      expect(text.startsWith(kept) && short.endsWith('…')).toBe(true);
      const character = String.fromCodePoint(text.codePointAt(kept.length) ?? 0);
      return expect(Buffer.byteLength(`${short}${character}`)).toBeGreaterThan(mostBytes);
    }),
  );
});
