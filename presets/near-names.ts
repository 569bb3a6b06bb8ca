/** How alike two names have to be, as share of the letters that they have in common, in order. */
const ALIKE = 0.6;

/** `; did you mean X?` for what a name was probably meant to be, or nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  const [nearest] = known
    .map((candidate) => ({ candidate, likeness: likeness(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter((near) => near.likeness >= ALIKE)
    .sort((a, b) => b.likeness - a.likeness);
  return nearest === undefined ? '' : `; did you mean ${nearest.candidate}?`;
}

/** 1 for the same, 0 for nothing in common. */
function likeness(a: string, b: string): number {
  return (2 * commonLength(a, b)) / (a.length + b.length);
}

/** Length of the longest common subsequence. */
function commonLength(a: string, b: string): number {
  let before = new Array<number>(b.length + 1).fill(0);
  for (const letter of a) {
    const row = [0];
    for (let j = 1; j <= b.length; j++) {
      const same = letter === b[j - 1];
      row.push(same ? (before[j - 1] ?? 0) + 1 : Math.max(before[j] ?? 0, row[j - 1] ?? 0));
    }
    before = row;
  }
  return before.at(-1) ?? 0;
}
