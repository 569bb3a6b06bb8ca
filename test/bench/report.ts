/** The results as a plain table, against the aims. */
import type { Churn } from './churn';
import type { Burst, Deletion, Latencies, Rest } from './measures';
import type { Spread } from './statistics';

export interface Results {
  readonly workspaces: number;
  readonly machines: 'test provisioner' | 'karpenter';
  readonly workers: number;
  readonly bridges: number;
  /** `memory`, `file`, or an address. */
  readonly temporal: string;
  readonly host: {
    readonly cores: number;
    readonly model: string;
    readonly memoryGiB: number;
    readonly loadBefore: number;
  };
  readonly time: string;
  readonly ones?: Latencies & { readonly count: number };
  readonly rigAlone?: Spread;
  readonly burst: Burst;
  readonly restEmpty?: Rest;
  readonly rest?: Rest;
  readonly churn?: Churn;
  readonly deletion: Deletion;
}

/** Seconds until all are Ready, by number of Workspaces: what is aimed at, and KAITO's own controller measured the same way. */
const BURST: Readonly<Record<number, { readonly aim: number; readonly kaito: number }>> = {
  50: { aim: 12, kaito: 23 },
  200: { aim: 45, kaito: 97 },
  500: { aim: 110, kaito: 244 },
};

const MOST_SERVED = 16;
/** The clock of CPU time ticks every 10 ms: with fewer Workspaces, a tick would be scaled up to the whole aim. */
const FEWEST_TO_SCALE = 50;

type Row = readonly [what: string, value: string, aim: string, kaito: string];

/** The whole report. */
export function report(results: Results): string {
  const { host, workspaces, machines } = results;
  const head = [
    `${workspaces} Workspaces at once, machines by ${machines === 'karpenter' ? 'Karpenter' : 'the test provisioner'}; ${results.time}`,
    `${results.workers} workers, ${results.bridges} bridges, Temporal: ${results.temporal}`,
    `${host.cores} cores (${host.model}), ${host.memoryGiB.toFixed(0)} GiB, load before the start ${host.loadBefore.toFixed(1)}`,
  ];
  return [
    ...head,
    '',
    ...table([['', 'measured', 'aim', 'KAITO'], ...rows(results)]),
    '',
    'Where the time went',
    ...table([
      ['process', 'CPU s, burst', 'CPU s, deletion', 'peak MiB', '% of a core at rest'],
      ...processRows(results),
    ]),
    '',
    ...table([
      ['activity (sample)', 'per Workspace', 'waits p50', 'waits p99', 'runs p50', 'runs p99'],
      ...activityRows(results),
    ]),
    '',
    ...(['burst', 'deletion'] as const).flatMap((phase) => [
      ...table([[`API requests per Workspace, ${phase}`, 'worker', 'bridge'], ...requestRows(results, phase)]),
      '',
      ...table([
        [`API server, all clients, ${phase} (most time)`, 'per Workspace', 'mean', 'in all'],
        ...servedRows(results, phase),
      ]),
      '',
    ]),
  ].join('\n');
}

/**
 * CPU of worker and bridge at rest with 1,000 Workspaces, percent of a core: what none cost, and what each adds. Undefined where there were too
 * few to scale up.
 */
export function restPer1000({ restEmpty, rest, workspaces }: Results): number | undefined {
  if (rest === undefined || restEmpty === undefined || workspaces < FEWEST_TO_SCALE) return undefined;
  return oursAtRest(restEmpty) + (Math.max(0, oursAtRest(rest) - oursAtRest(restEmpty)) * 1_000) / workspaces;
}

function oursAtRest({ cpuPercent }: Pick<Rest, 'cpuPercent'>): number {
  return ofRole(cpuPercent, 'worker') + ofRole(cpuPercent, 'bridge');
}

/** Of all processes of a role together. */
function ofRole(values: Readonly<Record<string, number>>, role: string): number {
  return Object.entries(values)
    .filter(([name]) => name === role || name.startsWith(`${role} `))
    .reduce((total, [, value]) => total + value, 0);
}

function rows(results: Results): readonly Row[] {
  const { ones, rigAlone, burst, rest, churn, deletion, workspaces, machines } = results;
  // The aims are for instant machines.
  const isInstant = machines === 'test provisioner';
  const instant = (aim: string): string => (isInstant ? aim : '');
  const known = isInstant ? BURST[workspaces] : undefined;
  const per1000 = restPer1000(results);
  return [
    ...(ones === undefined
      ? []
      : ([
          [
            `one on an idle system (× ${ones.count}): apply → NodeClaim p50`,
            ms(ones.nodeClaim.p50),
            '≤ 150 ms',
            '34 ms',
          ],
          ['  apply → StatefulSet p50', ms(ones.statefulSet.p50), '', ''],
          ['  apply → Ready p50', ms(ones.ready.p50), instant('≤ 600 ms'), instant('1,796 ms')],
          ...provisionerRow(ones, '≤ 25 ms'),
        ] satisfies Row[])),
    ...(rigAlone === undefined
      ? []
      : ([['  the rig alone: StatefulSet → Pod Ready p50', ms(rigAlone.p50), '', '150 ms']] satisfies Row[])),
    ['burst: all Ready after', s(burst.wallSeconds), known ? `≤ ${known.aim} s` : '', known ? `${known.kaito} s` : ''],
    ['  apply → NodeClaim p50 / p99', both(burst.latencies.nodeClaim), '', ''],
    ['  apply → StatefulSet p50 / p99', both(burst.latencies.statefulSet), '', ''],
    ['  apply → Ready p50 / p99', both(burst.latencies.ready), '', ''],
    ...provisionerRow(burst.latencies, ''),
    ['  worker: CPU, peak memory', cpuAndMemory(burst, 'worker'), '', ''],
    ['  bridge: CPU, peak memory', cpuAndMemory(burst, 'bridge'), '', ''],
    ['  API requests per Workspace', burst.requestsPerWorkspace.toFixed(1), '≤ 25', '15.5'],
    [
      '  history events per Workspace (most)',
      `${burst.eventsPerWorkspace.mean.toFixed(1)} (${burst.eventsPerWorkspace.most})`,
      '≤ 60',
      '–',
    ],
    ['  history per Workspace', `${(burst.bytesPerWorkspace / 1_024).toFixed(1)} KiB`, '', ''],
    ...(rest === undefined
      ? []
      : ([
          [
            `at rest with ${workspaces} for ${s(rest.seconds)}: worker + bridge`,
            percentOfCore(oursAtRest(rest)),
            '',
            '',
          ],
        ] satisfies Row[])),
    ...(per1000 === undefined
      ? []
      : ([['  scaled up to 1,000', percentOfCore(per1000), '≤ 2 % of a core', '']] satisfies Row[])),
    ['  NodeClaims, StatefulSets made twice', `${burst.doubled.nodeClaims}, ${burst.doubled.statefulSets}`, '0, 0', ''],
    ...(churn === undefined
      ? []
      : ([
          [
            `1 % changing per minute for ${s(churn.seconds)} (${churn.changes} changes): change → Ready p50 / p99`,
            both(churn.settled),
            '',
            '',
          ],
          ['  worker + bridge', percentOfCore(oursAtRest(churn)), '', ''],
        ] satisfies Row[])),
    ['deletion: all gone after', s(deletion.wallSeconds), '', ''],
    ['  rate', `${deletion.perSecond.toFixed(1)} per s`, instant('≥ 24 per s'), instant('24 per s')],
    ['  garbage collected, too, after', s(deletion.nothingLeftSeconds), '', ''],
  ];
}

/** The part of the rig in the way of a Workspace. */
function provisionerRow({ provisioner }: Latencies, aim: string): readonly Row[] {
  if (provisioner === undefined) return [];
  return [['  of that, the test provisioner’s answer p50 / p99', both(provisioner), aim, '']];
}

function processRows({ burst, deletion, restEmpty, rest }: Results): readonly (readonly string[])[] {
  const names = Object.keys(burst.cpuSeconds).sort((a, b) => (burst.cpuSeconds[b] ?? 0) - (burst.cpuSeconds[a] ?? 0));
  const atRest = (name: string): string => {
    const [empty, full] = [restEmpty, rest].map((measured) => measured?.cpuPercent[name]?.toFixed(2) ?? '–');
    return `${empty} → ${full}`;
  };
  return [
    ...names.map((name) => [
      name,
      (burst.cpuSeconds[name] ?? 0).toFixed(1),
      (deletion.cpuSeconds[name] ?? 0).toFixed(1),
      (burst.peakRssMiB[name] ?? 0).toFixed(0),
      atRest(name),
    ]),
    ['all', sum(burst.cpuSeconds).toFixed(1), sum(deletion.cpuSeconds).toFixed(1), '', ''],
  ];
}

function activityRows({ burst }: Results): readonly (readonly string[])[] {
  return burst.activities.map(({ name, count, waitP50, waitP99, runP50, runP99 }) => [
    name,
    count.toFixed(1),
    ...[waitP50, waitP99, runP50, runP99].map(ms),
  ]);
}

type Phase = 'burst' | 'deletion';

function requestRows({ workspaces, ...results }: Results, phase: Phase): readonly (readonly string[])[] {
  const { requests } = results[phase];
  const kinds = [...new Set([...Object.keys(requests.worker), ...Object.keys(requests.bridge)])].sort();
  const per = (count = 0): string => (count === 0 ? '' : (count / workspaces).toFixed(2));
  return kinds.map((kind) => [kind, per(requests.worker[kind]), per(requests.bridge[kind])]);
}

function servedRows({ workspaces, ...results }: Results, phase: Phase): readonly (readonly string[])[] {
  return results[phase].apiServer
    .slice(0, MOST_SERVED)
    .map(({ sort, count, seconds }) => [
      sort,
      (count / workspaces).toFixed(2),
      ms((1_000 * seconds) / count),
      s(seconds),
    ]);
}

function sum(values: Readonly<Record<string, number>>): number {
  return Object.values(values).reduce((total, value) => total + value, 0);
}

function cpuAndMemory({ cpuSeconds, peakRssMiB }: Burst, name: string): string {
  return `${s(ofRole(cpuSeconds, name))}, ${ofRole(peakRssMiB, name).toFixed(0)} MiB`;
}

function percentOfCore(percent: number): string {
  return `${percent.toFixed(2)} % of a core`;
}

function s(seconds: number): string {
  return `${seconds.toFixed(1)} s`;
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(0)} ms`;
}

function both({ p50, p99 }: Spread): string {
  return `${ms(p50)} / ${ms(p99)}`;
}

/** Columns aligned: the first to the left, the others to the right. */
function table(lines: readonly (readonly string[])[]): readonly string[] {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((cells) => (cells[column] ?? '').length)));
  return lines.map((cells) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
}
