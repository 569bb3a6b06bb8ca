import fc from 'fast-check';
import { LineSplitter } from '../../../kubernetes/lines';

test('however the bytes are cut, the same lines come out', () => {
  const lines = fc.array(fc.string({ unit: 'grapheme' }).filter((line) => !line.includes('\n')));
  fc.assert(
    fc.property(lines, fc.array(fc.nat(500)), (wanted, cuts) => {
      const bytes = Buffer.from(wanted.map((line) => `${line}\n`).join(''));
      const at = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b);
      const splitter = new LineSplitter();
      const got = at.slice(1).flatMap((end, i) => [...splitter.push(bytes.subarray(at[i], end))]);
      expect(got).toEqual(wanted.filter((line) => line !== ''));
    }),
  );
});

test('a line without end is refused rather than kept', () => {
  const splitter = new LineSplitter();
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  expect(() => {
    for (let i = 0; i < 33; i++) expect([...splitter.push(chunk)]).toEqual([]);
  }).toThrow('longer than');
});
