/**
 * Looks at the cluster from outside, by watches of its own, and notes when what happened.
 */
import { LABEL_WORKSPACE } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import { Cache } from '../../kubernetes/cache';
import type { KubernetesClient } from '../../kubernetes/client';
import type { KubernetesObject } from '../../kubernetes/objects';
import { RESOURCES, type Resource } from '../../kubernetes/resources';
import { createLogger } from '../../workers/logging';
import { refOfName } from './names';

/** When it happened, milliseconds of `performance.now()`. */
export interface Times {
  applied: number;
  nodeClaim?: number;
  statefulSet?: number;
  ready?: number;
  deleted?: number;
}

/** What must be gone in the end, besides the Workspace: what was made for it. */
const MADE = ['nodeClaims', 'nodes', 'statefulSets', 'pods'] as const;

export interface Observer {
  /** By name of the Workspace; entries are made by {@link expect}. */
  readonly times: ReadonlyMap<string, Times>;
  /** Notes that the Workspace is applied now. */
  expect(name: string): void;
  /** How many NodeClaims and StatefulSets were made so far, whether or not they are there still. */
  readonly made: { nodeClaims: number; statefulSets: number };
  /** Whether the Workspace is Ready as of that generation of its spec, or a later one. */
  isReadyAt(name: string, generation: number): boolean;
  /** Objects that belong to Workspaces, by kind. */
  left(): Readonly<Record<string, number>>;
  /** Those of `names` that are not Ready, with what they say. */
  notReady(names: readonly string[]): readonly string[];
  /** Asks again after each change. @throws with `why()` when the signal aborts first. */
  until(holds: () => boolean, why: () => string, signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the watches. */
export async function startObserver(client: KubernetesClient): Promise<Observer> {
  const logger = createLogger('warn');
  const times = new Map<string, Times>();
  const listeners = new Set<() => void>();

  const workspaces = new Cache<Workspace & KubernetesObject>(client, { resource: RESOURCES.workspaces, logger });
  const total = { nodeClaims: 0, statefulSets: 0 };
  const made = MADE.map((kind) => {
    const resource: Resource = RESOURCES[kind];
    return [kind, new Cache(client, { resource, logger, labelSelector: LABEL_WORKSPACE, metadataOnly: true })] as const;
  });
  const caches = [workspaces, ...made.map(([, cache]) => cache)] as const;
  for (const cache of caches) cache.start();
  await Promise.all(caches.map(({ synced }) => synced));

  const note = (name: string | undefined, what: 'nodeClaim' | 'statefulSet' | 'ready' | 'deleted'): void => {
    const noted = name === undefined ? undefined : times.get(name);
    if (noted !== undefined) noted[what] ??= performance.now();
  };
  workspaces.subscribe(({ type, object }) => {
    const { name } = object.metadata;
    if (type === 'deleted') note(name, 'deleted');
    else if (isReady(object)) note(name, 'ready');
  });
  for (const [kind, cache] of made) {
    cache.subscribe(({ type, object }) => {
      const name = object.metadata.labels?.[LABEL_WORKSPACE];
      if (type === 'added' && kind === 'nodeClaims') {
        total.nodeClaims += 1;
        note(name, 'nodeClaim');
      }
      if (type === 'added' && kind === 'statefulSets') {
        total.statefulSets += 1;
        note(name, 'statefulSet');
      }
    });
  }
  // After the notes, so that who is told sees them.
  for (const cache of caches) cache.subscribe(() => listeners.forEach((listener) => listener()));

  return {
    times,
    expect: (name) => void times.set(name, { applied: performance.now() }),
    made: total,
    isReadyAt(name, generation) {
      const workspace = workspaces.get(refOfName(name));
      return workspace !== undefined && workspace.metadata.generation >= generation && isReady(workspace);
    },
    left: () => ({
      workspaces: workspaces.size,
      ...Object.fromEntries(made.map(([kind, cache]) => [kind, cache.size])),
    }),
    notReady: (names) =>
      names.flatMap((name) => {
        const workspace = workspaces.get(refOfName(name));
        if (workspace !== undefined && isReady(workspace)) return [];
        const { step } = workspace?.status ?? {};
        return [
          `${name}: ${step === undefined ? 'no status' : `${step.name} ${step.cause ?? ''} ${step.message ?? ''}`}`,
        ];
      }),
    until(holds, why, signal) {
      return new Promise((resolve, reject) => {
        const end = (finish: () => void): void => {
          listeners.delete(look);
          signal.removeEventListener('abort', abort);
          finish();
        };
        const look = (): void => {
          if (holds()) end(resolve);
        };
        const abort = (): void => end(() => reject(new Error(why(), { cause: signal.reason })));
        listeners.add(look);
        signal.addEventListener('abort', abort, { once: true });
        if (signal.aborted) abort();
        else look();
      });
    },
    async stop() {
      await Promise.all(caches.map((cache) => cache.stop()));
    },
  };
}

function isReady({ metadata, status }: Workspace): boolean {
  return (
    status?.state === 'Ready' && status.step?.name === 'Ready' && status.observedGeneration === metadata.generation
  );
}
