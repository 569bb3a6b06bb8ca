/**
 * The cluster as this process sees it: shared caches of Workspaces and of what belongs to them. The steps wait on it instead of polling, and
 * the bridge watches it for Workspaces at rest.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isDeepStrictEqual } from 'node:util';
import {
  LABEL_KAITO_POOL_NAMESPACE,
  LABEL_KAITO_POOL_WORKSPACE,
  LABEL_WORKSPACE,
  LABEL_WORKSPACE_NAMESPACE,
} from '../../api/labels';
import { toError } from '../../api/to-error';
import type { Workspace } from '../../api/workspace';
import type { WorkspaceRef } from '../../api/workflow';
import { Cache } from '../../kubernetes/cache';
import type { KubernetesClient } from '../../kubernetes/client';
import type { Logger } from '../../kubernetes/logger';
import type { Job, KubernetesObject, Node, Pod, Service, StatefulSet } from '../../kubernetes/objects';
import { RESOURCES, keyOf, type Resource } from '../../kubernetes/resources';
import type { OwnedObjects } from './observation';

export interface World {
  readonly workspaces: Cache<Workspace & KubernetesObject>;
  workspace(ref: WorkspaceRef): Workspace | undefined;
  owned(ref: WorkspaceRef): OwnedObjects;
  services(ref: WorkspaceRef): readonly Service[];
  /** Calls back, coalesced, after anything that may matter to the Workspace changed. Returns how to end that. */
  onChange(ref: WorkspaceRef, callback: () => void): () => void;
  /** As {@link onChange}, for all Workspaces, with their keys (`namespace/name`). */
  onAnyChange(callback: (key: string) => void): () => void;
  /** Calls back with the Workspace's key when the spec of one of its Services changed. */
  onServiceEdit(callback: (key: string) => void): () => void;
  /** The first value other than undefined of `evaluate`, asked now, after each change, and each `recheckMs` for what only time changes. */
  until<T>(
    ref: WorkspaceRef,
    evaluate: () => T | undefined,
    options: { readonly signal: AbortSignal; readonly recheckMs?: number },
  ): Promise<T>;
  /** How each cache is, for metrics and health. */
  watches(): readonly (Cache<KubernetesObject>['metrics'] & { readonly resource: string })[];
  stop(): Promise<void>;
}

/** Starts the caches and waits until each has its first list. */
export async function openWorld(
  client: KubernetesClient,
  logger: Logger,
  kinds: { readonly nodeClaims: boolean },
): Promise<World> {
  const open = <T extends KubernetesObject>(
    resource: Resource<T>,
    options: { labelSelector?: string; index?: (object: T) => readonly string[]; trim?: (object: T) => T } = {},
  ): Cache<T> => new Cache<T>(client, { resource, logger, ...options }).start();

  const byWorkspace = (object: KubernetesObject): readonly string[] => {
    const key = workspaceKeyOf(object);
    return key === undefined ? [] : [key];
  };
  const byKaitoPool = ({ metadata: { labels = {} } }: Node): readonly string[] => {
    const { [LABEL_KAITO_POOL_WORKSPACE]: name, [LABEL_KAITO_POOL_NAMESPACE]: namespace } = labels;
    return name === undefined || namespace === undefined ? [] : [kaitoPoolKey({ namespace, name })];
  };
  const ours = { labelSelector: LABEL_WORKSPACE, index: byWorkspace };

  const workspaces = open(RESOURCES.workspaces);
  const statefulSets = open(RESOURCES.statefulSets, { ...ours, trim: trimStatefulSet });
  const jobs = open(RESOURCES.jobs, { ...ours, trim: trimJob });
  const pods = open(RESOURCES.pods, { ...ours, trim: trimPod });
  const services = open(RESOURCES.services, ours);
  const nodes = open(RESOURCES.nodes, {
    index: (node) => [...byWorkspace(node), ...byKaitoPool(node)],
    trim: trimNode,
  });
  const nodeClaims = kinds.nodeClaims ? open(RESOURCES.nodeClaims, { ...ours, trim: trimMeta }) : undefined;
  const caches = [
    workspaces,
    statefulSets,
    jobs,
    pods,
    services,
    nodes,
    ...(nodeClaims === undefined ? [] : [nodeClaims]),
  ];
  await Promise.all(caches.map(({ synced }) => synced));

  const listeners = new Map<string, Set<() => void>>();
  const general = new Set<(key: string) => void>();
  const changed = new Set<string>();
  let flushing: NodeJS.Immediate | undefined;

  function flush(): void {
    flushing = undefined;
    const keys = [...changed];
    changed.clear();
    for (const key of keys) {
      for (const callback of [...(listeners.get(key) ?? [])]) callback();
      for (const callback of [...general]) callback(key);
    }
  }
  function touch(key: string | undefined): void {
    if (key === undefined) return;
    changed.add(key);
    flushing ??= setImmediate(flush);
  }

  /** Own nodes carry no mark of the Workspaces that use them: all of those look again. */
  function touchOwnNodeUsers(): void {
    for (const workspace of workspaces.values()) {
      if (workspace.resource.instanceType === undefined) touch(keyOf(workspace.metadata));
    }
  }

  const ends = [
    workspaces.subscribe(({ object }) => touch(keyOf(object.metadata))),
    nodes.subscribe((event) => {
      if (event.type === 'modified' && sameNodeFacts(event.previous, event.object)) return;
      const key = workspaceKeyOf(event.object);
      if (key === undefined) touchOwnNodeUsers();
      else touch(key);
    }),
    ...[statefulSets, jobs, pods, services, nodeClaims].map((cache) =>
      (cache as Cache<KubernetesObject> | undefined)?.subscribe(({ object }) => touch(workspaceKeyOf(object))),
    ),
  ];

  const onChange = (ref: WorkspaceRef, callback: () => void): (() => void) => {
    const key = keyOf(ref);
    const callbacks = listeners.get(key) ?? new Set();
    // What it does belongs to who asked, not to the watch that told: for log lines and traces.
    const bound = AsyncLocalStorage.bind(callback);
    listeners.set(key, callbacks.add(bound));
    return () => {
      callbacks.delete(bound);
      if (callbacks.size === 0) listeners.delete(key);
    };
  };

  return {
    workspaces,
    workspace: (ref) => workspaces.get(ref),
    owned: (ref) => ({
      nodeClaims: nodeClaims?.byIndex(keyOf(ref)) ?? [],
      statefulSet: statefulSets.get(ref),
      jobs: jobs.byIndex(keyOf(ref)),
      pods: pods.byIndex(keyOf(ref)),
      boughtNodes: nodes.byIndex(keyOf(ref)),
      kaitoPoolNodes: nodes.byIndex(kaitoPoolKey(ref)),
      nodes: () => [...nodes.values()],
      nodeNamed: (name) => nodes.get({ name }),
    }),
    services: (ref) => services.byIndex(keyOf(ref)),
    onChange,
    onAnyChange(callback) {
      general.add(callback);
      return () => general.delete(callback);
    },
    onServiceEdit: (callback) =>
      services.subscribe((event) => {
        const key = workspaceKeyOf(event.object);
        const isEdit = event.type === 'modified' && !isDeepStrictEqual(event.previous.spec, event.object.spec);
        if (isEdit && key !== undefined) callback(key);
      }),
    until(ref, evaluate, { signal, recheckMs }) {
      signal.throwIfAborted();
      return new Promise((resolve, reject) => {
        const end = (): void => {
          stopListening();
          clearInterval(timer);
          signal.removeEventListener('abort', aborted);
        };
        const aborted = (): void => {
          end();
          reject(toError(signal.reason));
        };
        const look = (): void => {
          try {
            const found = evaluate();
            if (found === undefined) return;
            end();
            resolve(found);
          } catch (error) {
            end();
            reject(toError(error));
          }
        };
        const stopListening = onChange(ref, look);
        const timer = recheckMs === undefined ? undefined : setInterval(look, recheckMs);
        signal.addEventListener('abort', aborted, { once: true });
        look();
      });
    },
    watches: () => caches.map((cache) => ({ resource: cache.resource, ...cache.metrics })),
    async stop() {
      for (const end of ends) end?.();
      clearImmediate(flushing);
      await Promise.all(caches.map((cache) => cache.stop()));
    },
  };
}

/** `namespace/name` of the Workspace that an object belongs to, by KAITO's labels. */
export function workspaceKeyOf({ metadata }: KubernetesObject): string | undefined {
  const name = metadata.labels?.[LABEL_WORKSPACE];
  const namespace = metadata.namespace ?? metadata.labels?.[LABEL_WORKSPACE_NAMESPACE];
  return name === undefined || namespace === undefined ? undefined : keyOf({ namespace, name });
}

/** Beside the nodes' keys by our own labels. */
function kaitoPoolKey(ref: WorkspaceRef): string {
  return `kaito-pool/${keyOf(ref)}`;
}

// Caches keep what is read here: a cluster has thousands of nodes and pods, and their bulk is never looked at.

function trimMeta<T extends KubernetesObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function trimStatefulSet(statefulSet: StatefulSet): StatefulSet {
  const { replicas, selector, template } = statefulSet.spec;
  return trimMeta({
    ...statefulSet,
    spec: {
      ...(replicas !== undefined && { replicas }),
      selector,
      template: { spec: { containers: template.spec.containers.map(({ name }) => ({ name })) } },
    },
  });
}

function trimJob(job: Job): Job {
  return trimMeta({ ...job, spec: { template: { spec: { containers: [] } } } });
}

function trimPod(pod: Pod): Pod {
  const { nodeName } = pod.spec;
  return trimMeta({ ...pod, spec: { containers: [], ...(nodeName !== undefined && { nodeName }) } });
}

function trimNode(node: Node): Node {
  const { allocatable, conditions } = node.status ?? {};
  return trimMeta({
    ...node,
    status: { ...(allocatable && { allocatable }), ...(conditions && { conditions }) },
  });
}

/** Kubelets report every few seconds; only what the product reads counts as a change. */
function sameNodeFacts(a: Node, b: Node): boolean {
  const facts = ({ metadata, status }: Node): string =>
    JSON.stringify([
      metadata.labels,
      metadata.deletionTimestamp,
      status?.allocatable,
      status?.conditions?.map((condition) => [condition.type, condition.status, condition.reason]),
    ]);
  return facts(a) === facts(b);
}
