/**
 * Where a CPU profile spent its time: `node --import tsx test/bench/hot.ts FILE.cpuprofile…` prints the functions with the most time of their
 * own, and the packages.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

const MOST = 25;

function selfTimes(profile: Profile): readonly { where: string; owner: string; ms: number }[] {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map<string, { where: string; owner: string; ms: number }>();
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id);
    if (frame === undefined) continue;
    const file = frame.url.replace(/^file:\/\//, '');
    const where = `${frame.functionName || '(anonymous)'} ${file === '' ? '' : `${path.relative(process.cwd(), file)}:${frame.lineNumber + 1}`}`;
    const entry = times.get(where) ?? { where, owner: ownerOf(frame.functionName, file), ms: 0 };
    entry.ms += (profile.timeDeltas[index] ?? 0) / 1_000;
    times.set(where, entry);
  }
  return [...times.values()].filter(({ owner }) => owner !== '(idle)').sort((a, b) => b.ms - a.ms);
}

function ownerOf(functionName: string, file: string): string {
  if (file === '') return functionName.startsWith('(') ? functionName : '(native)';
  const [, dependency] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? [];
  return (
    dependency ?? file.split('/').find((_, index, parts) => parts[index - 1] === path.basename(process.cwd())) ?? file
  );
}

function list(entries: readonly (readonly [string, number])[]): void {
  for (const [what, ms] of entries.slice(0, MOST)) process.stdout.write(`  ${ms.toFixed(1).padStart(9)} ms  ${what}\n`);
}

for (const file of process.argv.slice(2)) {
  const times = selfTimes(JSON.parse(readFileSync(file, 'utf8')) as Profile);
  const owners = new Map<string, number>();
  for (const { owner, ms } of times) owners.set(owner, (owners.get(owner) ?? 0) + ms);
  process.stdout.write(`${file}\n by owner\n`);
  list([...owners].sort((a, b) => b[1] - a[1]));
  process.stdout.write(' by function\n');
  list(times.map(({ where, ms }) => [where, ms] as const));
}
