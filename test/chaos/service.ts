/** The worker or the bridge: kept running, and ready to be killed. */
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { startChild, type Child } from '../../local/demo/child';
import type { Role } from '../../workers/product';
import type { Order } from './process';

export interface Service {
  /** Ends it at once. It begins again by itself, as a kubelet or systemd would have it; resolves when it is dead. */
  kill(): Promise<void>;
  /** Resolves when it is at work. */
  atWork(): Promise<void>;
  stop(): Promise<void>;
}

export interface ServiceOptions {
  readonly role: Role;
  readonly env: Readonly<Record<string, string>>;
  readonly logs: string;
  /** File with the workflow code. */
  readonly bundle: string;
  readonly signal: AbortSignal;
}

/** Between two starts of one that ends by itself, say because the API server does not answer. */
const RESTART_MS = 300;
const FIRST_TRIES = 5;

/** Starts it, and again whenever it ends. The next process stands ready with everything loaded. */
export async function startService(options: ServiceOptions): Promise<Service> {
  let spare: Promise<Child> | undefined;
  let current: Child | undefined;
  let working: Promise<void> = Promise.resolve();
  let stopped = false;

  const takeSpare = (): Promise<Child> => {
    const taken = spare ?? load(options);
    spare = undefined;
    return taken;
  };

  /** Resolves when a process is at work; tries until then, at first only a few times. */
  const keepTrying = async (most = Infinity): Promise<void> => {
    for (let tries = 0; !stopped; tries += 1) {
      if (tries >= most) throw new Error(`${options.role} does not get to work; see ${options.logs}`);
      const child = await takeSpare();
      current = child;
      if (await begin(child)) {
        spare ??= load(options);
        spare.catch(() => undefined); // who takes it finds out
        void child.ended.catch(() => {
          if (!stopped && current === child) working = keepTrying();
        });
        return;
      }
      await delay(RESTART_MS);
    }
  };

  working = keepTrying(FIRST_TRIES);
  await working;
  return {
    async kill() {
      const child = current;
      if (child === undefined || child.process.exitCode !== null || child.process.signalCode !== null) return;
      const gone = once(child.process, 'close');
      child.process.kill('SIGKILL');
      await gone;
    },
    async atWork() {
      for (let before; before !== working;) {
        before = working;
        await working;
      }
    },
    async stop() {
      stopped = true;
      const ready = spare;
      spare = undefined;
      await current?.stop();
      if (ready !== undefined) await ready.then((child) => child.stop());
      await working;
    },
  };
}

/** A process with everything loaded, that waits for the word to begin. */
function load({ role, env, logs, bundle, signal }: ServiceOptions): Promise<Child> {
  return startChild({
    name: role,
    entry: path.join(__dirname, 'process.ts'),
    args: [role, bundle],
    env,
    logFile: path.join(logs, `${role}.log`),
    signal,
  });
}

/** Starts a process that nobody restarts: a second worker. */
export async function startOnce(options: ServiceOptions): Promise<Child> {
  const child = await load(options);
  await begin(child);
  return child;
}

/** True when it got to work, false when it ended before. */
async function begin(child: Child): Promise<boolean> {
  const ended = child.ended.catch(() => false);
  const reported = once(child.process, 'message').then(() => true);
  child.process.send('begin' satisfies Order);
  return Promise.race([reported, ended]);
}
