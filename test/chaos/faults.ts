/** Which faults a run injects: they follow from the seed and from the moments that were recorded. Pure. */
import type { LifeName } from './lives';
import type { Random } from './random';
import type { ApiTrouble } from './api-proxy';
import type { Cut } from './relay';

/** What can be killed. */
export const TARGETS = ['worker', 'bridge', 'temporal', 'kube-apiserver'] as const;
export type Target = (typeof TARGETS)[number];

/** A wire that can be cut. */
export const WIRES = ['worker-temporal', 'bridge-api', 'worker-api', 'bridge-temporal'] as const;
export type Wire = (typeof WIRES)[number];

/** A moment in a life: how its moments are called, and which of those of that name. */
export interface Boundary {
  readonly life: LifeName;
  readonly moment: string;
  readonly occurrence: number;
}

interface Kill {
  readonly kind: 'kill';
  readonly target: Target;
  readonly at: Boundary;
}

export type Fault =
  | Kill
  /** Several at once, again and again. */
  | {
      readonly kind: 'kill-many';
      readonly kills: readonly { readonly targets: readonly Target[]; readonly afterMs: number }[];
    }
  | {
      readonly kind: 'partition';
      readonly wire: Wire;
      readonly cut: Cut;
      readonly afterMs: number;
      readonly lastsMs: number;
      /** Another worker takes over meanwhile. */
      readonly takenOver: boolean;
    }
  | { readonly kind: 'api'; readonly trouble: ApiTrouble; readonly lastsMs: number }
  /** Nodes whose clocks are off say for a while that they are not ready. */
  | { readonly kind: 'clock-skew'; readonly byMs: number; readonly lastsMs: number };

/** What a fault is counted as. */
export const KINDS = [
  ...TARGETS.map((target) => `kill-${target}` as const),
  'kill-many',
  'partition',
  'slow-api',
  'failing-api',
  'overloaded-api',
  'clock-skew',
] as const;
export type FaultKind = (typeof KINDS)[number];

export function kindOf(fault: Fault): FaultKind {
  switch (fault.kind) {
    case 'kill':
      return `kill-${fault.target}`;
    case 'api':
      return `${fault.trouble.kind}-api`;
    default:
      return fault.kind;
  }
}

/** One line for people. */
export function describeFault(fault: Fault): string {
  switch (fault.kind) {
    case 'kill': {
      const { life, moment, occurrence } = fault.at;
      return `kill ${fault.target} ${moment} #${occurrence} (${life})`;
    }
    case 'kill-many':
      return `kill ${fault.kills.map(({ targets, afterMs }) => `${targets.join('+')} at ${afterMs} ms`).join(', then ')}`;
    case 'partition': {
      const { wire, cut, afterMs, lastsMs, takenOver } = fault;
      return `cut ${wire} (${cut}) at ${afterMs} ms for ${lastsMs} ms${takenOver ? ', another worker takes over' : ''}`;
    }
    case 'api': {
      const { trouble, lastsMs } = fault;
      const how = trouble.kind === 'slow' ? `by ${trouble.fromMs} to ${trouble.toMs} ms` : `${trouble.percent} %`;
      return `API server ${trouble.kind} (${how}) for ${lastsMs} ms`;
    }
    case 'clock-skew':
      return `clocks of nodes off by ${fault.byMs / 3_600_000} h, not ready for ${fault.lastsMs} ms`;
  }
}

/** The lives whose activities are hit first: one inference on two machines, one tuning. */
const WHOLE_LIVES: readonly LifeName[] = ['grows', 'tunes'];

/** Of ten faults so many are kills at a moment; the others are of the other kinds, in turn. */
const KILLS_OF_TEN = 7;

/**
 * Chooses the faults. A moment more or less, as two recordings may differ by, changes that moment's faults and leaves the others where they are: portions
 * of a plan fit together. Kills come in passes: each boundary once, then each with another target, until every target was killed at every one.
 */
export function planFaults(
  random: Random,
  count: number,
  boundaries: readonly Boundary[],
  only?: FaultKind,
): readonly Fault[] {
  const kills = allKills(random, boundaries);
  const others = otherFaults(random);
  if (only !== undefined) {
    const matching = (fault: Fault): boolean => kindOf(fault) === only;
    if (!TARGETS.some((target) => only === `kill-${target}`)) return take(others, count, matching);
    // At activities first, so that a shorter run may end with the last of them.
    const atActivity = ({ at }: Kill): number => Number(isOfActivity(at));
    const wanted = kills.filter(matching).sort((a, b) => atActivity(b) - atActivity(a));
    return wanted.slice(0, count);
  }
  const killCount = Math.min(Math.ceil((count * KILLS_OF_TEN) / 10), kills.length);
  const faults = [...kills.slice(0, killCount), ...take(others, count - killCount, () => true)];
  return random.byLot(faults, describeFault);
}

/** The other moments are writes to the API server. */
function isOfActivity({ moment }: Boundary): boolean {
  return /^\w+ \w+$/.test(moment);
}

function take(pool: Iterable<Fault>, count: number, matching: (fault: Fault) => boolean): readonly Fault[] {
  const taken: Fault[] = [];
  for (const fault of pool) {
    if (taken.length >= count) break;
    if (matching(fault)) taken.push(fault);
  }
  return taken;
}

function allKills(random: Random, boundaries: readonly Boundary[]): readonly Kill[] {
  // A run of usual length hits each activity of one inference and one tuning.
  const isFirst = (one: Boundary): boolean =>
    isOfActivity(one) && one.occurrence === 1 && WHOLE_LIVES.includes(one.life);
  const keyOf = ({ life, moment, occurrence }: Boundary): string => `${life} ${moment} ${occurrence}`;
  const shuffled = random.byLot(boundaries, keyOf);
  const ordered = [...shuffled.filter(isFirst), ...shuffled.filter((one) => !isFirst(one))];
  return TARGETS.flatMap((_, pass) =>
    ordered.map((at): Kill => ({
      kind: 'kill',
      target: TARGETS[(random.lotOf(`target ${keyOf(at)}`) + pass) % TARGETS.length] as Target,
      at,
    })),
  );
}

/** Without end. */
function* otherFaults(random: Random): Generator<Fault> {
  const partition = (wire: Wire): Fault => ({
    kind: 'partition',
    wire,
    cut: random.pick(['silent', 'refused'] as const),
    afterMs: random.between(0, 4_000),
    lastsMs: random.between(3_000, 10_000),
    takenOver: wire === 'worker-temporal' && random.between(0, 1) === 1,
  });
  const killMany = (): Fault => ({
    kind: 'kill-many',
    kills: Array.from({ length: random.between(2, 3) }, () => ({
      targets: random.shuffled(TARGETS).slice(0, random.between(1, TARGETS.length)),
      afterMs: random.between(0, 3_000),
    })),
  });
  const skew = (hours: number): Fault => ({
    kind: 'clock-skew',
    byMs: hours * 3_600_000,
    // The node lifecycle controller looks every 5 s: it sees some of them.
    lastsMs: random.between(1_000, 6_000),
  });
  const api = (trouble: ApiTrouble): Fault => ({ kind: 'api', trouble, lastsMs: random.between(5_000, 10_000) });
  for (;;) {
    yield killMany();
    yield partition(WIRES[0]);
    yield api({ kind: 'failing', percent: random.between(20, 50) });
    yield skew(-random.between(1, 48));
    yield partition(WIRES[1]);
    yield api({ kind: 'slow', fromMs: 100, toMs: random.between(500, 2_000) });
    yield killMany();
    yield api({ kind: 'overloaded', percent: random.between(20, 60) });
    yield partition(WIRES[2]);
    yield skew(random.between(1, 48));
    yield partition(WIRES[3]);
  }
}
