import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
const SCENARIOS = 45;

/** Rows of docs/azure.md: number of a scenario, and the files that test it. */
function documented(): ReadonlyMap<number, readonly string[]> {
  const lines = readFileSync(join(ROOT, 'docs/azure.md'), 'utf8').split('\n');
  return new Map(
    lines.flatMap((line): [number, string[]][] => {
      const [, number] = /^\| (\d+) +\|/.exec(line) ?? [];
      if (number === undefined) return [];
      return [[Number(number), [...line.matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file)]];
    }),
  );
}

test('every scenario of Azure is documented, and tested where the document says', () => {
  const scenarios = documented();
  expect([...scenarios.keys()]).toEqual(Array.from({ length: SCENARIOS }, (_, index) => index + 1));
  for (const [number, files] of scenarios) {
    expect({ number, files }).not.toEqual({ number, files: [] });
    for (const file of files) {
      const names = new RegExp(`scenarios? (\\d+, )*${number}[^0-9]`);
      expect({ number, file, isTested: names.test(readFileSync(join(ROOT, file), 'utf8')) }).toMatchObject({
        isTested: true,
      });
    }
  }
});
