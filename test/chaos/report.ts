/** What a run found, for people and for programs. */
import { KINDS, type FaultKind } from './faults';
import type { Findings } from './findings';
import type { RoundResult } from './round';

export interface Counts {
  readonly faults: number;
  readonly duplicates: number;
  readonly orphans: number;
  readonly lostAdapters: number;
  readonly wrongStatuses: number;
  /** Others' objects that were harmed. */
  readonly foreign: number;
  /** Places where a Secret's text was found. */
  readonly secrets: number;
  /** Workspaces that did not get where they should be. */
  readonly stuck: number;
  readonly recoverMsP50: number;
  readonly recoverMsP99: number;
}

export interface Results extends Counts {
  readonly seed: number;
  /** Faults whose moment did not come; they are not counted. */
  readonly missed: number;
  readonly seconds: number;
  readonly perKind: Readonly<Partial<Record<FaultKind, Counts>>>;
  /** Every fault, in order. */
  readonly rounds: readonly RoundResult[];
}

const FINDINGS = [
  'duplicates',
  'orphans',
  'lostAdapters',
  'wrongStatuses',
  'foreign',
  'secrets',
  'stuck',
] as const satisfies readonly (keyof Findings)[];

export function resultsOf(seed: number, rounds: readonly RoundResult[], seconds: number): Results {
  const struck = rounds.filter((round) => round.struck);
  const perKind = KINDS.flatMap((kind) => {
    const ofKind = struck.filter((round) => round.kind === kind);
    return ofKind.length === 0 ? [] : [[kind, countsOf(ofKind)] as const];
  });
  return {
    seed,
    ...countsOf(struck),
    missed: rounds.length - struck.length,
    seconds: Math.round(seconds),
    perKind: Object.fromEntries(perKind),
    rounds,
  };
}

/** Nothing was found, and Workspaces got where they should be. */
export function isClean({ findings }: RoundResult): boolean {
  return FINDINGS.every((what) => findings[what].length === 0);
}

/** What was found in a round, a line each. */
export function findingsOf({ findings }: RoundResult): readonly string[] {
  return FINDINGS.flatMap((what) => findings[what].map((one) => `${what}: ${one}`));
}

export function tableOf({ perKind, ...all }: Results): string {
  const head = ['kind', 'faults', ...FINDINGS, 'recover p50', 'p99'];
  const row = (name: string, counts: Counts): string[] => [
    name,
    String(counts.faults),
    ...FINDINGS.map((what) => String(counts[what])),
    `${(counts.recoverMsP50 / 1_000).toFixed(1)} s`,
    `${(counts.recoverMsP99 / 1_000).toFixed(1)} s`,
  ];
  const rows = [head, ...Object.entries(perKind).map(([kind, counts]) => row(kind, counts)), row('all', all)];
  const widths = head.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

function countsOf(rounds: readonly RoundResult[]): Counts {
  const count = (what: (typeof FINDINGS)[number]): number =>
    rounds.reduce((sum, { findings }) => sum + findings[what].length, 0);
  const times = rounds.flatMap(({ recoverMs }) => recoverMs ?? []).sort((a, b) => a - b);
  return {
    faults: rounds.length,
    duplicates: count('duplicates'),
    orphans: count('orphans'),
    lostAdapters: count('lostAdapters'),
    wrongStatuses: count('wrongStatuses'),
    foreign: count('foreign'),
    secrets: count('secrets'),
    stuck: count('stuck'),
    recoverMsP50: quantile(times, 0.5),
    recoverMsP99: quantile(times, 0.99),
  };
}

/** By the nearest rank; 0 of nothing. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
