/**
 * What is told of the cluster: read from the caches when somebody asks, so that it is right from the first answer after a restart.
 */
import type { MachineStatus, Workspace } from '../api/workspace';
import type { Cache } from '../kubernetes/cache';
import type { KubernetesObject } from '../kubernetes/objects';
import type { Metrics } from './metrics';

export interface ClusterView {
  readonly workspaces: Cache<Workspace & KubernetesObject>;
  /** Dollars an hour of a Workspace's machines, all together; undefined where that is not known. Default: as its status says. */
  readonly pricePerHour?: (workspace: Workspace) => number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Own nodes are named by their owners, who may give each another size. */
const MOST_SIZES = 100;
/** Label of what there are too many of, or what has no size. */
const OTHER = 'other';

/** Counts everything anew. */
export function collectWorkspaces(metrics: Metrics, { workspaces, pricePerHour = toldPrice, now }: ClusterView): void {
  const told = [metrics.workspaces, metrics.oldestStep, metrics.machines, metrics.machinesCost];
  for (const metric of [...told, metrics.machinesUnpriced]) metric.reset();
  const ages = new Map<string, number>();
  const sizes = new Set<string>();

  for (const workspace of workspaces.values()) {
    const { status, tuning } = workspace;
    const step = status?.step?.name ?? 'none';
    metrics.workspaces.inc({
      kind: tuning === undefined ? 'inference' : 'tuning',
      state: status?.state ?? 'New',
      step,
      cause: status?.step?.cause ?? '',
    });
    ages.set(step, Math.max(ages.get(step) ?? 0, ageMs(workspace, now())));

    countMachines(metrics, status?.machines ?? [], pricePerHour(workspace), (instanceType = OTHER) => {
      if (sizes.size < MOST_SIZES) sizes.add(instanceType);
      return sizes.has(instanceType) ? instanceType : OTHER;
    });
  }
  for (const [step, age] of ages) metrics.oldestStep.set({ step }, age / 1000);
}

function countMachines(
  metrics: Metrics,
  machines: readonly MachineStatus[],
  price: number | undefined,
  sizeOf: (instanceType: string | undefined) => string,
): void {
  const labelsOf = ({ provider, instanceType }: MachineStatus) => ({ provider, instance_type: sizeOf(instanceType) });
  for (const machine of machines) metrics.machines.inc({ ...labelsOf(machine), phase: machine.phase });
  // Nobody is billed for what is not launched yet, or gone; one's own nodes cost the same without us.
  const billed = machines.filter(
    ({ provider, phase }) => provider !== 'own-nodes' && phase !== 'Pending' && phase !== 'Lost',
  );
  for (const machine of billed) {
    if (price === undefined) metrics.machinesUnpriced.inc(labelsOf(machine));
    else metrics.machinesCost.inc(labelsOf(machine), price / billed.length);
  }
}

/** What the step that bought the machines found in the cloud's list. */
function toldPrice({ status }: Workspace): number | undefined {
  const price = Number(status?.pricePerHour ?? Number.NaN);
  return Number.isFinite(price) ? price : undefined;
}

/** Since the step began; a training that goes on tells so. A Workspace that nobody has looked at counts from its creation. */
function ageMs({ status, metadata }: Workspace, now: number): number {
  const { step, tuning } = status ?? {};
  const progress = step?.name === 'Training' ? tuning?.progress?.time : undefined;
  const signs = [step?.startedTime ?? metadata.creationTimestamp, progress]
    .map((time) => (time === undefined ? Number.NaN : Date.parse(time)))
    .filter((ms) => Number.isFinite(ms));
  return signs.length === 0 ? 0 : Math.max(0, now - Math.max(...signs));
}
