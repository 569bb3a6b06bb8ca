import type { Workspace } from '../../api/workspace';
import type { World } from '../observe/world';
import { tally, type Tally } from './tally';

/** A burst of changes is counted once, for all that wait. */
const COUNT_AFTER_MS = 200;
/** Quotas may be raised without any Workspace changing. */
const COUNT_EVERY_MS = 15_000;

interface Waiters {
  readonly callbacks: Set<(tally: Tally) => void>;
  pending: NodeJS.Timeout | undefined;
}

export interface NamespaceWatch {
  /** The Workspaces of a namespace as this process sees them now. */
  count(namespace: string): Tally;
  /** Calls back after Workspaces of the namespace changed, and every now and then. Returns how to end that. */
  onChange(namespace: string, callback: (tally: Tally) => void): () => void;
}

/** One count of a namespace serves all its Workspaces that wait; nothing is watched while none does. */
export function watchNamespaces(world: Pick<World, 'workspaces'>): NamespaceWatch {
  const waiting = new Map<string, Waiters>();
  let stop: (() => void) | undefined;

  const count = (namespace: string): Tally =>
    tally([...world.workspaces.values()].filter(({ metadata }: Workspace) => metadata.namespace === namespace));

  function schedule(namespace: string | undefined): void {
    const waiters = namespace === undefined ? undefined : waiting.get(namespace);
    if (namespace === undefined || waiters === undefined) return;
    waiters.pending ??= setTimeout(() => {
      waiters.pending = undefined;
      const counted = count(namespace);
      for (const callback of [...waiters.callbacks]) callback(counted);
    }, COUNT_AFTER_MS);
  }

  function start(): () => void {
    const unsubscribe = world.workspaces.subscribe(({ object }) => schedule(object.metadata.namespace));
    const timer = setInterval(() => [...waiting.keys()].forEach(schedule), COUNT_EVERY_MS);
    return () => {
      unsubscribe();
      clearInterval(timer);
    };
  }

  return {
    count,
    onChange(namespace, callback) {
      const waiters = waiting.get(namespace) ?? { callbacks: new Set(), pending: undefined };
      waiters.callbacks.add(callback);
      waiting.set(namespace, waiters);
      stop ??= start();
      schedule(namespace);
      return () => {
        waiters.callbacks.delete(callback);
        if (waiters.callbacks.size > 0) return;
        clearTimeout(waiters.pending);
        waiting.delete(namespace);
        if (waiting.size > 0) return;
        stop?.();
        stop = undefined;
      };
    },
  };
}
