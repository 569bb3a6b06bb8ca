import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { ROOT } from '../defaults';
import { NODE_POOL, type Environment } from '../environment';

/** Worker and bridge as a child process. */
export interface RunningProduct {
  readonly logFile: string;
  /** Rejects when it ends without having been asked to. */
  readonly ended: Promise<never>;
  /** Ends it: politely, and by force after a while. Returns when it is gone. */
  stop(): Promise<void>;
}

const STARTED_WITHIN_MS = 60_000;
const STOP_GRACE_MS = 15_000;
const TAIL_LINES = 15;

/** What `npm start` needs to serve the local environment, as environment variables. */
export function productVariables(environment: Environment): Readonly<Record<string, string>> {
  return {
    ...environment.variables,
    KAITO_NODE_CLASS_PROFILE: 'kwok',
    KAITO_NODE_POOL: NODE_POOL,
    ...(environment.temporal === undefined ? {} : { KAITO_TEMPORAL_UI: environment.temporal.uiUrl }),
  };
}

/**
 * Starts `npm start` against the environment; returns when worker and bridge are at work. It is in a process group of its own, so that a
 * terminal's Ctrl-C reaches only this process, and ends with this process whatever happens.
 */
export async function startProduct(environment: Environment, signal: AbortSignal): Promise<RunningProduct> {
  const logFile = path.join(environment.logs, 'product.log');
  const imports = [require.resolve('tsx'), path.join(__dirname, 'end-with-parent.ts')];
  const child = spawn(
    process.execPath,
    [...imports.flatMap((file) => ['--import', pathToFileURL(file).href]), path.join(ROOT, 'workers', 'start.ts')],
    {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...productVariables(environment) },
    },
  );
  const tail: string[] = [];
  let stopping = false;
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      if (stopping) return;
      reject(
        new Error(
          `worker and bridge ended by themselves (${killedBy ?? `exit code ${code}`}). The end of ${logFile}:\n${tail.join('\n')}`,
        ),
      );
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

  const product: RunningProduct = {
    logFile,
    ended,
    async stop() {
      stopping = true;
      await stopChild(child);
    },
  };
  const waiting = new AbortController();
  try {
    await Promise.race([isAtWork, ended, tooLate(logFile, AbortSignal.any([signal, waiting.signal]))]);
    return product;
  } catch (error) {
    await product.stop();
    throw error;
  } finally {
    waiting.abort();
  }
}

async function tooLate(logFile: string, signal: AbortSignal): Promise<never> {
  await delay(STARTED_WITHIN_MS, undefined, { signal });
  throw new Error(`worker and bridge were not at work within ${STARTED_WITHIN_MS / 1_000} s; see ${logFile}`);
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
  await closed;
  clearTimeout(force);
}
