import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { componentNames, programNames } from './components';
import { describe, lay, removeFiles, removeIfEmpty, type Environment } from './files';
import { watchOverOwner, type Guardian } from './guardian';
import { prepareKarpenter } from './karpenter';
import {
  ComponentError,
  ProcessBook,
  STOP_GRACE_MS,
  componentStatus,
  startMissing,
  startOne,
  stopAll,
  type ComponentStatus,
} from './lifecycle';
import { withFileLock } from './lock';
import { applyManifestFolders } from './manifests';
import { applyVolumes } from './node/cluster-objects';
import { assertFitMachine } from './node/machine';
import { removeNode, withNode } from './node/node';
import { signalProcess, stopProcess } from './processes';
import { getPrograms } from './programs';
import { paths, readState, type ComponentName, type Parts, type PortName, type State } from './state';

const STOPPED_POLL_MS = 10;

export type { Environment } from './files';
export { NODE_CLASS, NODE_POOL } from './karpenter';
export type { ComponentStatus } from './lifecycle';
export type { ComponentName, Parts, PortName } from './state';

/** What to bring up, and where. */
export interface EnvironmentOptions {
  /** Folder of its state; any number of environments can run side by side, each in a folder of its own. */
  readonly dir: string;
  /** Default: all, with Temporal in memory. */
  readonly parts?: Partial<Parts>;
  /** Ports to take where they are free; any free one otherwise. */
  readonly preferredPorts?: Readonly<Partial<Record<PortName, number>>>;
  /**
   * `detached` (default): runs until `down`. `owner`: also ends, and leaves nothing, when this process ends, however it ends.
   */
  readonly lifetime?: 'detached' | 'owner';
  /** Manifests to apply to the cluster once it answers; folders that don't exist are passed over. */
  readonly manifestFolders?: readonly string[];
  /** Told each step, one line. */
  readonly log?: (line: string) => void;
  /** Aborting ends the start and stops what it had started. */
  readonly signal?: AbortSignal;
}

const PORT_TRIES = 3;

const guardians = new Map<string, Guardian>();

/**
 * Brings the environment up, or completes one that is up in part: what runs stays, what ended is started again.
 *
 * @throws MissingProgramError when a program cannot be got; ComponentError when one does not start. What was started by then is
 * stopped again; the logs stay.
 */
export async function up(options: EnvironmentOptions): Promise<Environment> {
  const dir = path.resolve(options.dir);
  const log = options.log ?? (() => undefined);
  return locked(dir, log, async () => {
    for (let attempt = 1; ; attempt += 1) {
      const before = await readState(dir);
      const parts = partsOf(options.parts, before, dir);
      if (parts.realNode === true) await assertFitMachine();
      const programs = await getPrograms(programNames(parts), log);
      options.signal?.throwIfAborted();
      const laid: State =
        before === undefined
          ? await lay(dir, parts, programs, options.preferredPorts ?? {})
          : { ...before, parts, programs: { ...before.programs, ...programs } };
      const state = parts.realNode === true ? await withNode(dir, laid, log) : laid;
      if (options.lifetime === 'owner' && !guardians.has(dir)) guardians.set(dir, await watchOverOwner(dir));
      try {
        const folders = options.manifestFolders ?? [];
        const apply = async (): Promise<void> => {
          if (parts.karpenter === 'kinds') await prepareKarpenter(dir, state);
          if (parts.realNode === true) await applyVolumes(dir, state);
          await applyManifestFolders(dir, state, folders);
        };
        await startMissing(dir, state, apply, log, options.signal ?? new AbortController().signal);
        return describe(dir, state);
      } catch (error) {
        await stopAll(dir, 0);
        if (before !== undefined) throw error;
        await removeNode(state);
        await removeFiles(dir, true); // nothing came of it; the logs tell why
        const portTaken = error instanceof ComponentError && /address already in use/.test(error.logTail);
        if (!portTaken || attempt === PORT_TRIES) throw error;
        log(`${error.component}: its port was taken meanwhile; trying others`);
      }
    }
  });
}

/**
 * Ends every process of the environment and removes its files.
 *
 * @param options.keepData ends it in good order and keeps what the cluster and Temporal (with a file) hold, for the next `up`.
 * @param options.keepLogs leaves the logs.
 */
export async function down(
  folder: string,
  options: { readonly keepData?: boolean; readonly keepLogs?: boolean } = {},
): Promise<void> {
  const dir = path.resolve(folder);
  if ((await readState(dir)) !== undefined) {
    await locked(
      dir,
      () => undefined,
      async () => {
        await stopAll(dir, options.keepData === true ? STOP_GRACE_MS : 0);
        if (options.keepData === true) return;
        const state = await readState(dir);
        if (state !== undefined) await removeNode(state);
        await removeFiles(dir, options.keepLogs === true);
      },
    );
  }
  await removeIfEmpty(dir);
  // What is kept is still its owner's: the guardian, once dismissed, would take it away.
  if (options.keepData === true) return;
  guardians.get(dir)?.dismiss();
  guardians.delete(dir);
}

/** How the environment is; undefined when there is none. */
export async function status(
  folder: string,
): Promise<{ readonly environment: Environment; readonly components: readonly ComponentStatus[] } | undefined> {
  const dir = path.resolve(folder);
  const state = await readState(dir);
  if (state === undefined) return undefined;
  const components = await Promise.all(componentNames(state.parts).map((name) => componentStatus(dir, state, name)));
  return { environment: describe(dir, state), components };
}

/** Ends one component and leaves it ended until `startComponent` or `up`: SIGKILL for a crash, SIGSTOP for one that hangs. */
export async function stopComponent(
  folder: string,
  name: ComponentName,
  signal: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' = 'SIGKILL',
): Promise<void> {
  const dir = path.resolve(folder);
  const state = await existing(dir);
  const identity = state.processes[name];
  if (identity === undefined) return;
  if (signal === 'SIGSTOP') {
    signalProcess(identity, signal);
    // Its threads stop one after the other; until then it may still answer.
    while ((await componentStatus(dir, state, name)).state === 'ready') await delay(STOPPED_POLL_MS);
  } else await stopProcess(identity, signal === 'SIGTERM' ? STOP_GRACE_MS : 0);
}

/** Starts a component that has ended, or wakes one that was stopped by SIGSTOP; returns when it is ready. */
export async function startComponent(folder: string, name: ComponentName): Promise<void> {
  const dir = path.resolve(folder);
  await locked(
    dir,
    () => undefined,
    async () => {
      const state = await existing(dir);
      const identity = state.processes[name];
      if (identity !== undefined) signalProcess(identity, 'SIGCONT');
      await startOne(dir, state, name, new ProcessBook(dir, state));
    },
  );
}

async function existing(dir: string): Promise<State> {
  const state = await readState(dir);
  if (state === undefined) throw new Error(`there is no environment in ${dir}`);
  return state;
}

function partsOf(asked: Partial<Parts> | undefined, before: State | undefined, dir: string): Parts {
  const base = before?.parts ?? { kubernetes: true, karpenter: true, temporal: 'memory' as const };
  const parts = { ...base, ...asked };
  if (before !== undefined && (before.parts.realNode ?? false) !== (parts.realNode ?? false)) {
    const has = before.parts.realNode === true ? 'has a real node' : 'has no real node';
    throw new Error(`the environment in ${dir} ${has}, which cannot change: take it down first`);
  }
  if (parts.realNode === true && !parts.kubernetes) throw new Error('a real node needs the part kubernetes');
  return { ...parts, karpenter: parts.kubernetes && parts.karpenter };
}

function locked<T>(dir: string, log: (line: string) => void, work: () => Promise<T>): Promise<T> {
  return withFileLock(paths(dir).lock, ({ pid }) => log(`waiting for process ${pid}, which is changing ${dir}`), work);
}
