import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { ROOT } from '../defaults';

/** A TypeScript program to run beside this one. */
export interface ChildSpec {
  /** For messages. */
  readonly name: string;
  /** Its file. When it is at work it logs a JSON line with the `msg` "started". */
  readonly entry: string;
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Gets its output, appended. */
  readonly logFile: string;
  /** Further files that Node loads before the entry. */
  readonly preload?: readonly string[];
  /** Gets what it says by `process.send`. */
  readonly onMessage?: (message: unknown) => void;
  /** Aborts the start. */
  readonly signal: AbortSignal;
}

/** A running child process. */
export interface Child {
  readonly pid: number;
  readonly logFile: string;
  /** Its channel, for `send` and messages. */
  readonly process: ChildProcess;
  /** Rejects when it ends without having been asked to. */
  readonly ended: Promise<never>;
  /** Ends it: politely, and by force after a while. Returns when it is gone. */
  stop(): Promise<void>;
}

const STARTED_WITHIN_MS = 120_000;
const STOP_GRACE_MS = 15_000;
const TAIL_LINES = 15;

/**
 * Starts the child; returns when it is at work. It is in a process group of its own, so that a terminal's Ctrl-C reaches only this process,
 * and it ends with this process whatever happens.
 */
export async function startChild(spec: ChildSpec): Promise<Child> {
  const { name, logFile, signal } = spec;
  const child = spawn(process.execPath, [...importing(spec.preload ?? []), spec.entry, ...(spec.args ?? [])], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...spec.env },
  });
  if (spec.onMessage !== undefined) child.on('message', spec.onMessage);
  const tail: string[] = [];
  let stopping = false;
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      if (stopping) return;
      const how = killedBy ?? `exit code ${code}`;
      reject(new Error(`${name} ended by itself (${how}). The end of ${logFile}:\n${tail.join('\n')}`));
    });
  });
  ended.catch(() => undefined); // looked at by whoever waits for something that needs it

  const log = createWriteStream(logFile, { flags: 'a' });
  const isAtWork = new Promise<void>((resolve) => {
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output as NodeJS.ReadableStream }).on('line', (line) => {
        log.write(`${line}\n`);
        tail.push(line);
        if (tail.length > TAIL_LINES) tail.shift();
        if (line.includes('"msg":"started"')) resolve();
      });
    }
  });
  child.once('close', () => log.end());

  const stop = async (): Promise<void> => {
    stopping = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await closed;
    clearTimeout(force);
  };
  const waiting = new AbortController();
  try {
    await Promise.race([isAtWork, ended, tooLate(spec, AbortSignal.any([signal, waiting.signal]))]);
    return { pid: child.pid as number, logFile, process: child, ended, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    waiting.abort();
  }
}

function importing(preload: readonly string[]): readonly string[] {
  const files = [require.resolve('tsx'), require.resolve('./end-with-parent'), ...preload];
  return files.flatMap((file) => ['--import', pathToFileURL(file).href]);
}

async function tooLate({ name, logFile }: ChildSpec, signal: AbortSignal): Promise<never> {
  await delay(STARTED_WITHIN_MS, undefined, { signal });
  throw new Error(`${name} was not at work within ${STARTED_WITHIN_MS / 1_000} s; see ${logFile}`);
}
