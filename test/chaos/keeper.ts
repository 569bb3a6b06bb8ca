/** What a kubelet does for a control plane: parts that end by themselves begin again. */
import { setTimeout as delay } from 'node:timers/promises';

import { startComponent, status, type ComponentName } from '../../local/environment';

/** None of them is killed here; the scheduler ends by itself when it finds its cache wrong, as it may after the API server was killed. */
const KEPT: ReadonlySet<ComponentName> = new Set(['kube-scheduler', 'kube-controller-manager', 'kwok', 'karpenter']);
const LOOK_MS = 1_000;

export interface Keeper {
  stop(): Promise<void>;
}

/** Looks after the environment in `dir` until stopped. */
export function startKeeper(dir: string, log: (line: string) => void): Keeper {
  const end = new AbortController();
  const { signal } = end;

  async function look(): Promise<void> {
    const components = (await status(dir))?.components ?? [];
    // Without an API server none of them gets to work.
    if (!components.some(({ name, state }) => name === 'kube-apiserver' && state === 'ready')) return;
    for (const { name, state, logTail } of components) {
      if (!KEPT.has(name) || state !== 'ended') continue;
      log(`${name} ended by itself, and is started again: ${logTail ?? 'no log'}`);
      await startComponent(dir, name);
    }
  }

  const running = (async () => {
    while (!signal.aborted) {
      await look().catch((error: unknown) => log(`the control plane could not be looked after: ${String(error)}`));
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      end.abort();
      await running;
    },
  };
}
