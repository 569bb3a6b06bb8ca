/**
 * What is kept of a Workspace's life when it is over: small, free of secrets, readable without Temporal. The workflow gathers it, the release writes it.
 */
import type { Attempt } from './workflow';
import type { StepName } from './workspace';

/** What is known of who changed the specification: the API server notes managers of fields, not users. */
export interface GenerationChange {
  readonly generation: number;
  /** First 12 digits of the specification's SHA-256: the same specification has the same digest. */
  readonly digest: string;
  /** Time of the change, ISO. */
  readonly time?: string;
  /** Field manager that changed the specification last, such as `kubectl-client-side-apply`. */
  readonly manager?: string;
  /** `Apply` or `Update`. */
  readonly operation?: string;
  /** Fields that differ from the former revision, such as `resource.instanceType`. */
  readonly changed?: readonly string[];
  /** The annotation kubernetes.io/change-cause. */
  readonly cause?: string;
}

/** How long the Workspace was in a step, of one generation: all walks together. */
export interface StepTime {
  readonly generation: number;
  readonly step: StepName;
  /** How often it was entered. */
  readonly times: number;
  readonly seconds: number;
  /** When it was entered first, ISO. */
  readonly first: string;
}

/** Machines of one size, from when they were asked for until they were let go. */
export interface MachineTime {
  readonly instanceType: string;
  readonly count: number;
  /** ISO. */
  readonly from: string;
  readonly to?: string;
  /** USD an hour for all of them, where the provider told. */
  readonly pricePerHour?: string;
}

/** What a workflow gathers; it survives continue-as-new, not termination: the next workflow of the same Workspace begins another one. */
export interface LifeLog {
  readonly generations: readonly GenerationChange[];
  readonly steps: readonly StepTime[];
  readonly machines: readonly MachineTime[];
  /** What the Workspace was before it was released: the step that it rested in, or that was interrupted. */
  readonly last?: StepName;
}

export type LifeEnd =
  /** Deleted, and everything released. */
  | 'Deleted'
  /** Cancelled; the Workspace is still there. */
  | 'Cancelled'
  /** The Workspace was torn away without release; what was left was released then. */
  | 'Gone';

/** The log of one workflow: of its first run and those that it was continued as. */
export interface WorkflowLog extends LifeLog {
  /** ID of the first run. */
  readonly run: string;
}

/** One life of a Workspace, as it is kept. */
export interface LifeRecord {
  readonly version: 1;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly end: LifeEnd;
  /** ISO. */
  readonly created?: string;
  readonly ended: string;
  readonly preset?: string;
  readonly instanceType?: string;
  readonly attempts?: readonly Attempt[];
  /** Where a tuning pushed its adapter. */
  readonly adapter?: { readonly image: string; readonly digest?: string };
  readonly workflowID: string;
  /** Oldest first; several where a workflow was terminated, or ended by a cancellation that was taken back. */
  readonly logs: readonly WorkflowLog[];
}

const MOST = { generations: 20, steps: 40, machines: 20 } as const;

export const NOTHING_LOGGED: LifeLog = { generations: [], steps: [], machines: [] };

/** The first that was seen of a generation counts. */
export function withGeneration(log: LifeLog, change: GenerationChange): LifeLog {
  if (log.generations.some(({ generation }) => generation === change.generation)) return log;
  return { ...log, generations: [...log.generations, change].slice(-MOST.generations) };
}

/** Adds time that was spent in a step. */
export function withStep(
  log: LifeLog,
  spent: { readonly generation: number; readonly step: StepName; readonly fromMs: number; readonly toMs: number },
): LifeLog {
  const { generation, step, fromMs, toMs } = spent;
  const seconds = (toMs - fromMs) / 1_000;
  const isIt = (one: StepTime): boolean => one.generation === generation && one.step === step;
  const known = log.steps.find(isIt);
  if (known === undefined) {
    const fresh = { generation, step, times: 1, seconds: rounded(seconds), first: new Date(fromMs).toISOString() };
    return { ...log, steps: [...log.steps, fresh].slice(-MOST.steps) };
  }
  const longer = { ...known, times: known.times + 1, seconds: rounded(known.seconds + seconds) };
  return { ...log, steps: log.steps.map((one) => (isIt(one) ? longer : one)) };
}

/** Machines are in use from `fromMs` on; those of another size or number are not any more. */
export function withMachines(
  log: LifeLog,
  used: { readonly instanceType: string; readonly count: number; readonly fromMs: number },
): LifeLog {
  const { fromMs, ...machines } = used;
  const last = log.machines.at(-1);
  const isSame = last?.to === undefined && last?.instanceType === used.instanceType && last.count === used.count;
  if (isSame) return log;
  const closed = withoutMachines(log, fromMs);
  const opened = { ...machines, from: new Date(fromMs).toISOString() };
  return { ...closed, machines: [...closed.machines, opened].slice(-MOST.machines) };
}

/** What the machines in use cost, once the provider has told. */
export function withPrice(log: LifeLog, instanceType: string | undefined, pricePerHour: string | undefined): LifeLog {
  const last = log.machines.at(-1);
  if (last === undefined || last.to !== undefined || pricePerHour === undefined) return log;
  if (last.instanceType !== instanceType || last.pricePerHour === pricePerHour) return log;
  return { ...log, machines: [...log.machines.slice(0, -1), { ...last, pricePerHour }] };
}

/** No machines are in use any more. */
export function withoutMachines(log: LifeLog, atMs: number): LifeLog {
  const to = new Date(atMs).toISOString();
  return { ...log, machines: log.machines.map((one) => (one.to === undefined ? { ...one, to } : one)) };
}

/** Hours of all machines, by size. */
export function machineHours(machines: readonly MachineTime[], nowMs: number): ReadonlyMap<string, number> {
  const hours = new Map<string, number>();
  for (const one of machines)
    hours.set(one.instanceType, (hours.get(one.instanceType) ?? 0) + one.count * hoursOf(one, nowMs));
  return hours;
}

/** USD for all machines; undefined where a price is not known. */
export function costOf(machines: readonly MachineTime[], nowMs: number): string | undefined {
  let cost = 0;
  for (const one of machines) {
    if (one.pricePerHour === undefined) return undefined;
    cost += Number(one.pricePerHour) * hoursOf(one, nowMs);
  }
  return machines.length === 0 ? undefined : cost.toFixed(2);
}

function hoursOf({ from, to }: MachineTime, nowMs: number): number {
  return Math.max(0, (to === undefined ? nowMs : Date.parse(to)) - Date.parse(from)) / 3_600_000;
}

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
