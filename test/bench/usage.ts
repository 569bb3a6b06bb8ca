/** What processes use, as Linux counts it (proc(5)). */
import { readFile } from 'node:fs/promises';

/** Of Linux on every machine that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** User and system time of all threads since its start. */
  readonly cpuSeconds: number;
  /** Most memory that it ever held, MiB. */
  readonly peakRssMiB: number;
}

export type Usages = Readonly<Record<string, Usage>>;

/** The usage of each process so far, by the names given. */
export async function usages(pids: Readonly<Record<string, number>>): Promise<Usages> {
  const entries = Object.entries(pids).map(async ([name, pid]) => [name, await usage(pid)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/** CPU seconds between two looks, by name. */
export function cpuBetween(before: Usages, after: Usages): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(after).map(([name, { cpuSeconds }]) => [name, cpuSeconds - (before[name]?.cpuSeconds ?? 0)]),
  );
}

async function usage(pid: number): Promise<Usage> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ]);
  // The name in parentheses may hold blanks; counted from the state, which is field 3, utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const peakKiB = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
  return { cpuSeconds: ticks / TICKS_PER_SECOND, peakRssMiB: peakKiB / 1_024 };
}
