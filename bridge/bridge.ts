/**
 * The controller: turns changes of Workspaces, and of what belongs to them, into signals to their workflows. Level-triggered: it compares, it does not
 * remember; it decides nothing. More than one may run: a signal twice is harmless.
 */
import { FINALIZER } from '../api/labels';
import type { LookSample } from '../api/trace';
import type { Workspace } from '../api/workspace';
import type { LookReason, WorkspaceRef } from '../api/workflow';
import type { World } from '../activities/observe/world';
import { Cache } from '../kubernetes/cache';
import type { KubernetesClient } from '../kubernetes/client';
import { isConflict, isNotFound } from '../kubernetes/errors';
import { EventRecorder } from '../kubernetes/events';
import type { Logger } from '../kubernetes/logger';
import type { KubernetesObject } from '../kubernetes/objects';
import { RESOURCES, keyOf } from '../kubernetes/resources';
import { WorkQueue, type WorkQueueMetrics } from '../kubernetes/work-queue';
import { Gate } from './gate';
import { heartbeatTimeoutMs } from './heartbeat';
import { createStuckTeller } from './stuck';
import { configOf, whyLook } from './why-look';
import type { Workflows } from './workflows';

export interface BridgeOptions {
  readonly client: KubernetesClient;
  readonly world: World;
  readonly workflows: Workflows;
  readonly logger: Logger;
  /** How often Workspaces and running workflows are compared, both ways, milliseconds. */
  readonly resyncMs: number;
  readonly now?: () => number;
  /** Sends a look by calling `send`; for metrics and traces. */
  readonly aroundLook?: (sample: LookSample, send: () => Promise<void>) => Promise<void>;
}

export interface BridgeQueue extends WorkQueueMetrics {
  /** Waiting until other workflows have begun. */
  readonly held: number;
}

export interface Bridge {
  /** The bridge's own watches and its queue, for metrics and health. */
  watches(): ReturnType<World['watches']>;
  queue(): BridgeQueue;
  /** Ends the watches and the queue. */
  stop(): Promise<void>;
}

/**
 * What the objects say against the status is told again after this long, and then ever more rarely: the workflow may have looked before it could see it.
 * Everything else is told once: a signal is durable, and a workflow that does not run is the resync's business.
 */
const TELL_AGAIN_MS = 30_000;
const MOST_TELL_AGAIN_MS = 600_000;
/** A difference between objects and status must last this long: the two are watched separately, and one may be ahead. */
const SETTLE_MS = 300;

/** Workflows that were told of a spec or a deletion and have not begun with it: more at once would only wait for each other. */
const MOST_BEGINNING = 100;
const BEGINNING_PATIENCE_MS = 30_000;

interface Told {
  readonly fingerprint: string;
  readonly at: number;
  /** How long it is not told again. */
  readonly restMs: number;
}

/** Starts the bridge; the world's caches must be synced. */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { client, world, workflows, logger, now = Date.now, aroundLook = (_, send) => send() } = options;
  const told = new Map<string, Told>();
  const differs = new Map<string, { fingerprint: string; since: number }>();
  const editedServices = new Set<string>();
  /** When the oldest change that is not handled yet was seen. */
  const changedAt = new Map<string, number>();
  const events = new EventRecorder(client, { logger });
  const tellStuck = createStuckTeller({ world, workflows, events, logger });

  const configMaps = new Cache<KubernetesObject>(client, {
    resource: RESOURCES.configMaps,
    logger,
    metadataOnly: true,
    trim: trimConfigMap,
  }).start();
  await configMaps.synced;

  const queue: WorkQueue = new WorkQueue({
    name: 'bridge',
    logger,
    concurrency: 32,
    handle: (key) => sync(refOfKey(key), takeChange(key)),
    fieldsOf(key) {
      const uid = world.workspace(refOfKey(key))?.metadata.uid;
      return { workspace: key, ...(uid !== undefined && { uid }) };
    },
  });

  const gate = new Gate({ most: MOST_BEGINNING, patienceMs: BEGINNING_PATIENCE_MS, wake: (key) => queue.add(key) });

  /** Since when the change that is handled now has been known. */
  function takeChange(key: string): number {
    const at = changedAt.get(key) ?? now();
    changedAt.delete(key);
    return at;
  }

  async function sync(ref: WorkspaceRef, since: number): Promise<void> {
    const key = keyOf(ref);
    const workspace = world.workspace(ref);
    if (workspace === undefined) {
      gate.leave(key);
      return;
    }
    if (workspace.metadata.deletionTimestamp === undefined && !(await hasFinalizer(workspace))) {
      changedAt.set(key, since);
      return;
    }

    const config = configOf(workspace);
    const found = whyLook(workspace, {
      owned: world.owned(ref),
      services: world.services(ref),
      neighbour: (name) => world.workspace({ namespace: ref.namespace, name }),
      configVersion: config && configMaps.get({ namespace: ref.namespace, name: config })?.metadata.resourceVersion,
    });
    const why = found ?? whyEdited(key, workspace);
    const isAsked = why?.reason === 'generation' || why?.reason === 'deleted';
    if (!isAsked) gate.leave(key);
    if (why === undefined) {
      differs.delete(key);
      // What was told has been put right: should it come again, it is told again, and at once.
      if (workspace.status?.step?.name === 'Ready') forgetTold(key);
      return;
    }
    if (why.reason === 'objects' && !hasSettled(key, why.fingerprint)) {
      changedAt.set(key, since);
      return;
    }
    const before = told.get(key);
    const isTold = before?.fingerprint === why.fingerprint;
    if (isTold && (why.reason !== 'objects' || now() - before.at < before.restMs)) return;
    if (isTold && !(await isUpToDate(workspace))) return;
    if (isAsked && !gate.enter(key)) {
      changedAt.set(key, since);
      return;
    }
    // On record before it is sent, so that a resync meanwhile does not send it too; off the record if it can't be sent.
    const restMs = isTold ? Math.min(2 * before.restMs, MOST_TELL_AGAIN_MS) : TELL_AGAIN_MS;
    told.set(key, { fingerprint: why.fingerprint, at: now(), restMs });
    try {
      await look(workspace, why.reason, since);
    } catch (error) {
      told.delete(key);
      changedAt.set(key, since);
      throw error;
    }
    editedServices.delete(key);
  }

  function forgetTold(key: string): void {
    const before = told.get(key);
    if (before !== undefined) told.set(key, { ...before, fingerprint: '' });
  }

  function whyEdited(key: string, { status }: Workspace): { reason: LookReason; fingerprint: string } | undefined {
    if (!editedServices.has(key) || status?.step?.name !== 'Ready') return undefined;
    return { reason: 'objects', fingerprint: `edited/${now()}` };
  }

  function hasSettled(key: string, fingerprint: string): boolean {
    const before = differs.get(key);
    if (before?.fingerprint === fingerprint || fingerprint.startsWith('edited/')) {
      const waitMs = SETTLE_MS - (now() - (before?.since ?? 0));
      if (waitMs <= 0) return true;
      queue.addAfter(key, waitMs);
      return false;
    }
    differs.set(key, { fingerprint, since: now() });
    queue.addAfter(key, SETTLE_MS);
    return false;
  }

  async function look(workspace: Workspace, reason: LookReason, since: number): Promise<void> {
    const { uid, generation, namespace, name } = workspace.metadata;
    await aroundLook({ namespace, name, uid, generation, reason, changedAt: since }, async () => {
      const beats = { heartbeatTimeoutMs: heartbeatTimeoutMs(world.workspaces.values()) };
      await workflows.signalWithStart(workspace, { uid, generation, reason, ...beats });
      logger.info('look', { namespace, name, generation, reason });
    });
  }

  /**
   * A workflow that does not run, though the watch says that it should, may have ended by a cancellation that the watch has yet to bring: starting
   * it would undo that. Where the watch lags, what it brings decides.
   */
  async function isUpToDate({ metadata }: Workspace): Promise<boolean> {
    const now = await client.get(RESOURCES.workspaces, metadata);
    return now?.metadata.uid === metadata.uid && now.metadata.resourceVersion === metadata.resourceVersion;
  }

  /**
   * The finalizer comes before the workflow: from then on the Workspace can't go without being released. False: another bridge or a user was
   * quicker, and the watch brings what they wrote.
   */
  async function hasFinalizer({ metadata }: Workspace): Promise<boolean> {
    const { finalizers = [], resourceVersion } = metadata;
    if (finalizers.includes(FINALIZER)) return true;
    try {
      await client.patch(RESOURCES.workspaces, metadata, {
        metadata: { resourceVersion, finalizers: [...finalizers, FINALIZER] },
      });
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  }

  /** The Workspaces that serve what this one tunes. */
  function wakeUsers({ metadata: { namespace, name }, tuning }: Workspace): void {
    if (tuning === undefined) return;
    for (const { metadata, inference } of world.workspaces.values()) {
      const isUser = inference?.adapters?.some(({ source }) => source.workspace === name) === true;
      if (isUser && metadata.namespace === namespace) queue.add(keyOf(metadata));
    }
  }

  const ends = [
    world.onAnyChange((key) => {
      if (!changedAt.has(key)) changedAt.set(key, now());
      queue.add(key);
    }),
    world.workspaces.subscribe((event) => {
      wakeUsers(event.object);
      if (event.type !== 'deleted') return;
      const key = keyOf(event.object.metadata);
      const { uid, generation } = event.object.metadata;
      const knowsOfDeletion = told.get(key)?.fingerprint.startsWith(`deleted/${uid}/`) === true;
      told.delete(key);
      differs.delete(key);
      editedServices.delete(key);
      // Released by its workflow: that is how it ends, and a quick release is never told. Otherwise somebody took the finalizer away.
      if (knowsOfDeletion || event.object.status?.step?.name === 'Release') return;
      workflows.signalIfRunning(refOfKey(key), { uid, generation, reason: 'gone' }).catch((error: unknown) => {
        logger.warn('could not tell a workflow that its Workspace is gone; the next resync does', { key, error });
      });
    }),
    world.onServiceEdit((key) => {
      editedServices.add(key);
      queue.add(key);
    }),
    configMaps.subscribe(({ object }) => {
      const { namespace, name } = object.metadata;
      for (const workspace of world.workspaces.values()) {
        if (workspace.metadata.namespace === namespace && configOf(workspace) === name)
          queue.add(keyOf(workspace.metadata));
      }
    }),
  ];

  /** Every Workspace has a workflow, and every workflow a Workspace. */
  async function resync(): Promise<void> {
    const graceMs = Math.min(TELL_AGAIN_MS, options.resyncMs);
    const running = await workflows.running();
    for (const workspace of world.workspaces.values()) {
      const key = keyOf(workspace.metadata);
      queue.add(key);
      const rests = workspace.status?.step?.name === 'Cancelled' && whyNotResume(workspace);
      // New ones are the queue's business; visibility may not know yet what was started a moment ago.
      const isNew = !workspace.metadata.finalizers?.includes(FINALIZER) || now() - (told.get(key)?.at ?? 0) < graceMs;
      if (running.has(key) || rests || isNew || !(await isUpToDate(workspace))) continue;
      await look(workspace, 'resync', now());
    }
    for (const key of running) {
      const ref = refOfKey(key);
      if (world.workspace(ref) !== undefined) continue;
      await workflows.signalIfRunning(ref, { uid: '', generation: 0, reason: 'gone' });
    }
    await tellStuck();
  }

  let resyncing: Promise<void> = Promise.resolve();
  const tick = (): void => {
    resyncing = resyncing.then(resync).catch((error: unknown) => {
      logger.warn('resync failed; the next one comes', { error });
    });
  };
  tick();
  const timer = setInterval(tick, options.resyncMs);

  return {
    watches: () => [{ resource: configMaps.resource, ...configMaps.metrics }],
    queue: () => ({ ...queue.metrics, held: gate.waiting }),
    async stop() {
      clearInterval(timer);
      for (const end of ends) end();
      await Promise.all([queue.stop(), configMaps.stop(), resyncing]);
      gate.stop();
      await events.stop();
    },
  };
}

/** A cancelled Workspace rests until its spec changes, a retry is asked for, or it is deleted. */
function whyNotResume(workspace: Workspace): boolean {
  return workspace.status?.observedGeneration === workspace.metadata.generation;
}

function refOfKey(key: string): WorkspaceRef {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}

/** A cluster has many ConfigMaps: of each, name and version are all that is needed. */
function trimConfigMap(object: KubernetesObject): KubernetesObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    ...object,
    metadata: { name, uid, resourceVersion, creationTimestamp, ...(namespace !== undefined && { namespace }) },
  };
}
