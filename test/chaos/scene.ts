/**
 * The cluster as it really is: seen by watches of our own, straight from the API server, so that nothing of what the product thinks is in it.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { LABEL_WORKSPACE, LABEL_WORKSPACE_NAMESPACE } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import { toError } from '../../api/to-error';
import { Cache, type CacheEvent } from '../../kubernetes/cache';
import type { KubernetesClient } from '../../kubernetes/client';
import { KubernetesError } from '../../kubernetes/errors';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import {
  findCondition,
  type ControllerRevision,
  type Job,
  type KubernetesObject,
  type Node,
  type NodeClaim,
  type PersistentVolumeClaim,
  type Pod,
  type Service,
  type StatefulSet,
} from '../../kubernetes/objects';
import { RESOURCES, type Resource } from '../../kubernetes/resources';

export interface Ref {
  readonly namespace: string;
  readonly name: string;
}

/** Kinds that are made for a Workspace, or matter to one. */
interface Kinds {
  readonly workspaces: Workspace & KubernetesObject;
  readonly nodeClaims: NodeClaim;
  readonly nodes: Node;
  readonly statefulSets: StatefulSet;
  readonly jobs: Job;
  readonly pods: Pod;
  readonly services: Service;
  readonly controllerRevisions: ControllerRevision;
  readonly persistentVolumeClaims: PersistentVolumeClaim;
}
export type Kind = keyof Kinds;

const KINDS = [
  'workspaces',
  'nodeClaims',
  'nodes',
  'statefulSets',
  'jobs',
  'pods',
  'services',
  'controllerRevisions',
  'persistentVolumeClaims',
] as const satisfies readonly Kind[];

const IN_NAMESPACES = KINDS.filter((kind) => RESOURCES[kind].namespaced);

/** Marks what the user of a namespace made. */
export const USERS = 'chaos.example.com/users';

/** After a server was killed, watches should come back at once. */
const BACKOFF = { initialMs: 100, maxMs: 1_000 };
const RETRY_MS = 200;

export class Scene {
  readonly client: KubernetesClient;
  readonly #caches: ReadonlyMap<Kind, Cache<KubernetesObject>>;
  readonly #listeners = new Set<(kind: Kind, event: CacheEvent<KubernetesObject>) => void>();
  readonly #waiting = new Set<() => void>();

  private constructor(client: KubernetesClient) {
    this.client = client;
    const open = (kind: Kind): Cache<KubernetesObject> => {
      const resource: Resource = RESOURCES[kind];
      return new Cache(client, { resource, logger: SILENT_LOGGER, backoff: BACKOFF }).start();
    };
    this.#caches = new Map(KINDS.map((kind) => [kind, open(kind)]));
  }

  static async open(client: KubernetesClient): Promise<Scene> {
    const scene = new Scene(client);
    await Promise.all([...scene.#caches.values()].map(({ synced }) => synced));
    for (const [kind, cache] of scene.#caches) {
      cache.subscribe((event) => {
        for (const listener of scene.#listeners) listener(kind, event);
        for (const look of [...scene.#waiting]) look();
      });
    }
    return scene;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#caches.values()].map((cache) => cache.stop()));
  }

  /** Told of every change, in the order of the changes of a kind. */
  onChange(listener: (kind: Kind, event: CacheEvent<KubernetesObject>) => void): void {
    this.#listeners.add(listener);
  }

  get<K extends Kind>(kind: K, at: { readonly namespace?: string; readonly name: string }): Kinds[K] | undefined {
    return this.#caches.get(kind)?.get(at) as Kinds[K] | undefined;
  }

  all<K extends Kind>(kind: K): readonly Kinds[K][] {
    return [...(this.#caches.get(kind)?.values() ?? [])] as unknown as readonly Kinds[K][];
  }

  claimsOf({ namespace, name }: Ref): readonly NodeClaim[] {
    return this.all('nodeClaims').filter(
      ({ metadata: { labels = {} } }) =>
        labels[LABEL_WORKSPACE] === name && labels[LABEL_WORKSPACE_NAMESPACE] === namespace,
    );
  }

  /**
   * What there is of a namespace's Workspaces, by kind and name; the user's own objects are not. Nodes are not, either: they are their provider's, and
   * go with their claims. (Karpenter's simulated cloud makes a node seconds after its claim, even when that has gone by then.)
   */
  remains(namespace: string): readonly string[] {
    const claims = this.all('nodeClaims').filter(
      ({ metadata }) => metadata.labels?.[LABEL_WORKSPACE_NAMESPACE] === namespace,
    );
    const made = IN_NAMESPACES.flatMap((kind) => this.all(kind) as readonly KubernetesObject[]).filter(
      ({ metadata }) => metadata.namespace === namespace && !(USERS in (metadata.labels ?? {})),
    );
    return [...claims, ...made].map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  }

  /** The first value other than undefined and false that `find` returns, asked now and after every change. */
  until<T>(find: () => T | undefined | false, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const end = (finish: () => void): void => {
        signal.removeEventListener('abort', abort);
        this.#waiting.delete(look);
        finish();
      };
      const look = (): void => {
        try {
          const found = find();
          if (found !== undefined && found !== false) end(() => resolve(found));
        } catch (error) {
          end(() => reject(toError(error)));
        }
      };
      const abort = (): void => end(() => reject(toError(signal.reason)));
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(look);
      if (signal.aborted) abort();
      else look();
    });
  }
}

/** Asks until it is answered: a server that was killed comes back. Refusals are thrown. */
export async function insist<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error;
      await delay(RETRY_MS, undefined, { signal });
    }
  }
}

const PASSING_GRPC = new Set([1, 4, 8, 14]); // CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE

function isPassing(error: unknown): boolean {
  if (error instanceof KubernetesError) return error.code === 0 || error.code === 429 || error.code >= 500;
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown };
  if (typeof code === 'number' && PASSING_GRPC.has(code)) return true;
  return cause instanceof Error && isPassing(cause);
}

export function isReadyNode(node: Node | undefined): node is Node {
  return node !== undefined && findCondition(node, 'Ready')?.status === 'True';
}
