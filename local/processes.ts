import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process, told apart from a later one that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, as the system notes it; opaque, only compared. */
  readonly startTime: string;
}

/** A program to run in the background. */
export interface ProcessSpec {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Gets stdout and stderr, appended. */
  readonly logFile: string;
}

const STOP_POLL_MS = 10;

/** Starts a program in a process group of its own that outlives this process. */
export async function startDetached(spec: ProcessSpec): Promise<ProcessIdentity> {
  const log = openSync(spec.logFile, 'a');
  try {
    const child = spawn(spec.command, spec.args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...spec.env },
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    const pid = child.pid as number;
    return { pid, startTime: startTimeOf(pid) ?? 'ended at once' };
  } finally {
    closeSync(log);
  }
}

/** This very process. */
export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, startTime: startTimeOf(process.pid) as string };
}

/** True while the process runs; false once its number is free, is a zombie's, or belongs to another. */
export function isSameProcess(identity: ProcessIdentity): boolean {
  return startTimeOf(identity.pid) === identity.startTime;
}

/** Sends a signal to the process and its group, unless it is gone. True when it was sent. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  return isSameProcess(identity) && signalGroup(identity.pid, signal);
}

function signalGroup(leader: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-leader, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Ends the process and its group: politely, and by force after `graceMs`. Returns when it is gone. */
export async function stopProcess(identity: ProcessIdentity, graceMs: number): Promise<void> {
  if (graceMs > 0 && signalProcess(identity, 'SIGTERM')) {
    if (await ended(identity, Date.now() + graceMs)) signalGroup(identity.pid, 'SIGKILL'); // what it may have left behind
  }
  signalProcess(identity, 'SIGKILL');
  if (!(await ended(identity, Date.now() + 10_000))) throw new Error(`process ${identity.pid} does not end`);
}

/** Processes that are no children of this one cannot be waited for, only looked at. */
async function ended(identity: ProcessIdentity, untilMs: number): Promise<boolean> {
  while (isSameProcess(identity)) {
    if (Date.now() > untilMs) return false;
    await delay(STOP_POLL_MS);
  }
  return true;
}

function startTimeOf(pid: number): string | undefined {
  return process.platform === 'linux' ? startTimeOnLinux(pid) : startTimeByPs(pid);
}

/** proc(5): after the name in parentheses come the state (field 3), the number of threads (20) and the start in ticks since boot (22). */
function startTimeOnLinux(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, threads, startTicks] = [fields[0], Number(fields[17]), fields[19]];
  // A killed program whose first thread has ended holds its ports until the others have, too.
  const hasEnded = state === 'X' || (state === 'Z' && threads <= 1);
  return hasEnded || startTicks === undefined ? undefined : `${bootId()} ${startTicks}`;
}

let cachedBootId: string | undefined;

function bootId(): string {
  cachedBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return cachedBootId;
}

function startTimeByPs(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
  } catch {
    return undefined;
  }
}
