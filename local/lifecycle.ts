import { setTimeout as delay } from 'node:timers/promises';

import { component, componentNames, processSpec } from './components';
import { linkPrograms, logTail, writeEnvFile, writeKubeconfig } from './files';
import { prepareKarpenter } from './karpenter';
import { isSameProcess, startDetached, stopProcess, type ProcessIdentity } from './processes';
import { paths, readState, writeState, type ComponentName, type State } from './state';

/** How one component is. */
export interface ComponentStatus {
  readonly name: ComponentName;
  /** `ended`: by itself, or killed. `not ready`: it runs and does not answer. */
  readonly state: 'ready' | 'not ready' | 'ended' | 'stopped';
  readonly pid?: number;
  readonly log: string;
  /** The last lines of its log, when it is not ready. */
  readonly logTail?: string;
}

/** A component that could not be started, with the tail of its log. */
export class ComponentError extends Error {
  constructor(
    readonly component: ComponentName,
    why: string,
    readonly logTail: string,
  ) {
    super(`${component} ${why}. The end of its log:\n${logTail}`);
  }
}

/** How long a component that is asked to end may take before it is killed, milliseconds. */
export const STOP_GRACE_MS = 10_000;

const READY_WITHIN_MS = 60_000;
const PROBE_EVERY_MS = 25;

/** Keeps the state file in step with the processes, while several are started at once. */
export class ProcessBook {
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly dir: string,
    private state: State,
  ) {}

  of(name: ComponentName): ProcessIdentity | undefined {
    return this.state.processes[name];
  }

  note(name: ComponentName, identity: ProcessIdentity): Promise<void> {
    this.state = { ...this.state, processes: { ...this.state.processes, [name]: identity } };
    this.writing = this.writing.then(() => writeState(this.dir, this.state));
    return this.writing;
  }
}

/**
 * Starts what does not run, each as soon as what it needs is ready.
 *
 * @param whenApiServerAnswers runs beside the start of the rest.
 */
export async function startMissing(
  dir: string,
  state: State,
  whenApiServerAnswers: () => Promise<void>,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await linkPrograms(dir, state);
  await writeState(dir, state);
  const book = new ProcessBook(dir, state);
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const ready = new Map<ComponentName, Promise<void>>();
  for (const name of componentNames(state.parts)) {
    const needs = component(dir, state, name).needs.map((need) => ready.get(need) ?? Promise.resolve());
    ready.set(
      name,
      Promise.all(needs).then(() => bringUp(name)),
    );
  }
  const cluster = ready.get('kube-apiserver');
  const steps = [...ready.values(), ...(cluster === undefined ? [] : [cluster.then(whenApiServerAnswers)])];
  for (const step of steps) step.catch((error: unknown) => failed.abort(error));
  // All are awaited, so that nothing is still being started when the caller stops what was.
  await Promise.allSettled(steps);
  either.throwIfAborted();
  await writeEnvFile(dir, state);

  async function bringUp(name: ComponentName): Promise<void> {
    const identity = book.of(name);
    const runs = identity !== undefined && isSameProcess(identity);
    if (name === 'karpenter' && !runs) await prepareKarpenter(dir, state);
    const started = Date.now();
    if (await startOne(dir, state, name, book, either)) {
      log(`${name} is ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    }
    if (name === 'kube-apiserver') await writeKubeconfig(dir, state);
  }
}

/** Starts a component unless it runs; returns when it answers: true when it had to be started. */
export async function startOne(
  dir: string,
  state: State,
  name: ComponentName,
  book: ProcessBook,
  signal?: AbortSignal,
): Promise<boolean> {
  signal?.throwIfAborted();
  const it = component(dir, state, name);
  let identity = book.of(name);
  const start = identity === undefined || !isSameProcess(identity);
  let startedAtMs: number | undefined;
  if (identity === undefined || start) {
    await it.beforeStart?.();
    startedAtMs = Date.now();
    identity = await startDetached(processSpec(dir, state, it));
    await book.note(name, identity);
  }
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await it.isReady())) {
    signal?.throwIfAborted();
    if (!isSameProcess(identity)) throw new ComponentError(name, 'ended while starting', await logTail(dir, name));
    if (Date.now() > deadline) throw new ComponentError(name, 'does not answer', await logTail(dir, name));
    await delay(PROBE_EVERY_MS);
  }
  await it.afterStart?.({ identity, ...(startedAtMs === undefined ? {} : { startedAtMs }) });
  return start;
}

/** Ends every process of the environment. */
export async function stopAll(dir: string, graceMs: number): Promise<void> {
  const state = await readState(dir);
  if (state === undefined) return;
  const names = [
    ...componentNames({ kubernetes: true, karpenter: true, temporal: 'memory', realNode: true }),
  ].reverse();
  const stop = async (name: ComponentName): Promise<void> => {
    const identity = state.processes[name];
    if (identity !== undefined) await stopProcess(identity, graceMs);
  };
  // In good order, what others need ends last.
  if (graceMs === 0) await Promise.all(names.map(stop));
  else for (const name of names) await stop(name);
  await writeState(dir, { ...state, processes: {} });
}

/** Looks at one component. */
export async function componentStatus(dir: string, state: State, name: ComponentName): Promise<ComponentStatus> {
  const identity = state.processes[name];
  const log = paths(dir).log(name);
  if (identity === undefined) return { name, state: 'stopped', log };
  const runs = isSameProcess(identity);
  if (runs && (await component(dir, state, name).isReady())) return { name, state: 'ready', pid: identity.pid, log };
  const tail = { log, logTail: await logTail(dir, name) };
  return runs ? { name, state: 'not ready', pid: identity.pid, ...tail } : { name, state: 'ended', ...tail };
}
