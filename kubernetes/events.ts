import { createHash } from 'node:crypto';
import { FIELD_MANAGER } from '../api/labels';
import { shorten } from '../api/shorten';
import type { KubernetesClient } from './client';
import { isAlreadyExists, isNotFound, KubernetesError } from './errors';
import type { Logger } from './logger';
import type { Manifest, ObjectReference } from './objects';
import { RESOURCES, type ObjectName } from './resources';
import { WorkQueue, type WorkContext } from './work-queue';

export interface EventFacts {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, for machines and filters. */
  readonly reason: string;
  /** For people; cut at 1 KiB. */
  readonly message: string;
  /** What was done or failed. */
  readonly action?: string;
}

export interface EventRecorderOptions {
  readonly logger: Logger;
  /** Named as the Events' source. Default: the product's field manager. */
  readonly component?: string;
  /** Name of this process, as the Events' reporting instance. Default: the component. */
  readonly instance?: string;
  /** Events that an object may cause at once. Default: 25. */
  readonly burst?: number;
  /** After which an object that used up its burst may cause one more, in milliseconds. Default: 60,000. */
  readonly refillMs?: number;
  /** Repetitions of an Event are counted here, and written at most so often, in milliseconds. Default: 10,000. */
  readonly repeatIntervalMs?: number;
}

export interface EventRecorderMetrics {
  readonly recorded: number;
  /** Over the object's rate, or too many waiting. */
  readonly dropped: number;
  /** Writes that failed; such an Event is tried again a few times, then given up. */
  readonly failed: number;
}

const MAX_MESSAGE_BYTES = 1024;
const MAX_REASON_CHARACTERS = 128;
/** Objects and Events that are remembered; the longest unused are forgotten first. */
const MAX_REMEMBERED = 4096;
const MAX_ATTEMPTS = 4;
/** Not allowed, no such namespace (any more), not valid: the same again would be refused again. */
const REFUSALS: ReadonlySet<number> = new Set([400, 403, 404, 422]);
/** Where Events about cluster-scoped objects live, as Kubernetes has it. */
const CLUSTER_NAMESPACE = 'default';

interface Series {
  readonly at: ObjectName;
  readonly manifest: EventManifest;
  /** Occurrences that are not written yet. */
  pending: number;
  /** As last written; 0: not by us, as far as we know. */
  count: number;
  lastSeen: string;
  writtenAt: number;
}

interface EventManifest extends Manifest {
  readonly firstTimestamp: string;
}

interface Bucket {
  tokens: number;
  refilledAt: number;
}

/**
 * Writes Events about objects, for `kubectl describe`.
 *
 * 1. `record` returns at once and never throws; failures are logged and counted.
 * 2. The same happening (object, type, reason, message) is one Event with a count. Its name follows from these, so that other processes and later
 *    lives of this one go on counting.
 * 3. An object that causes too many is throttled, and so is the writing of repetitions.
 */
export class EventRecorder {
  readonly #client: KubernetesClient;
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #queue: WorkQueue;
  #recorded = 0;
  #dropped = 0;
  #failed = 0;

  constructor(client: KubernetesClient, options: EventRecorderOptions) {
    this.#client = client;
    this.#options = options;
    this.#queue = new WorkQueue({
      name: 'events',
      concurrency: 4,
      backoff: { initialMs: 500, maxMs: 10_000 },
      logger: options.logger,
      handle: (key, context) => this.#write(key, context),
    });
  }

  get metrics(): EventRecorderMetrics {
    return { recorded: this.#recorded, dropped: this.#dropped, failed: this.#failed };
  }

  record(regarding: ObjectReference, facts: EventFacts): void {
    if (!this.#takeToken(regarding.uid)) {
      this.#dropped++;
      this.#options.logger.debug('events: over the rate, dropped', { name: regarding.name, reason: facts.reason });
      return;
    }
    const now = new Date();
    const manifest = this.#render(regarding, facts, now);
    const key = manifest.metadata.name;
    const known = this.#series.get(key);
    const series = known ?? { ...toSeries(manifest), pending: 0, count: 0, lastSeen: '', writtenAt: 0 };
    series.pending++;
    series.lastSeen = now.toISOString();
    remember(this.#series, key, series, ({ pending }) => pending === 0);
    if (this.#series.size > MAX_REMEMBERED) {
      // The API server has not taken any for long; those that wait tell the older, more telling part.
      this.#series.delete(key);
      this.#dropped++;
      return;
    }
    this.#recorded++;
    const sinceWritten = now.getTime() - series.writtenAt;
    const { repeatIntervalMs = 10_000 } = this.#options;
    if (sinceWritten >= repeatIntervalMs) this.#queue.add(key);
    else this.#queue.addAfter(key, repeatIntervalMs - sinceWritten);
  }

  /** Writes what is not written yet. */
  async flush(): Promise<void> {
    for (const [key, { pending }] of this.#series) if (pending > 0) this.#queue.add(key);
    await this.#queue.idle();
  }

  /** Writes what is not written yet, for so long as a shutdown may take, and ends. */
  async stop({ patienceMs = 5_000 }: { readonly patienceMs?: number } = {}): Promise<void> {
    for (const [key, { pending }] of this.#series) if (pending > 0) this.#queue.add(key);
    await this.#queue.stop({ patienceMs });
  }

  #takeToken(uid: string): boolean {
    const { burst = 25, refillMs = 60_000 } = this.#options;
    const now = Date.now();
    const bucket = this.#buckets.get(uid) ?? { tokens: burst, refilledAt: now };
    const refill = Math.floor((now - bucket.refilledAt) / refillMs);
    bucket.tokens = Math.min(burst, bucket.tokens + refill);
    bucket.refilledAt += refill * refillMs;
    remember(this.#buckets, uid, bucket, () => true);
    if (bucket.tokens === 0) return false;
    bucket.tokens--;
    return true;
  }

  async #write(key: string, { attempt, signal }: WorkContext): Promise<void> {
    const series = this.#series.get(key);
    if (series === undefined || series.pending === 0) return;
    const added = series.pending;
    try {
      series.count = await this.#count(series, added, signal);
      series.pending -= added;
      series.writtenAt = Date.now();
    } catch (error) {
      this.#failed++;
      const refused = error instanceof KubernetesError && REFUSALS.has(error.code);
      if (attempt < MAX_ATTEMPTS && !refused) throw error;
      series.pending = 0;
      const { name, namespace } = series.at;
      this.#options.logger.warn('events: given up', { name, namespace, attempt, error });
    }
  }

  /** Adds occurrences to the stored Event, wherever it stands, and returns the new count. */
  async #count(series: Series, added: number, signal: AbortSignal): Promise<number> {
    const { at, manifest, lastSeen } = series;
    const stored = series.count > 0 ? series.count : await this.#create(series, added, signal);
    if (stored === 0) return added;
    const count = stored + added;
    try {
      await this.#client.patch(RESOURCES.events, at, { count, lastTimestamp: lastSeen }, { signal });
      return count;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // Events live for an hour.
      await this.#client.create(RESOURCES.events, occurrence(manifest, added, lastSeen), { signal });
      return added;
    }
  }

  /** Creates the Event; 0, or the count of the one that another process has made. */
  async #create({ at, manifest, lastSeen }: Series, added: number, signal: AbortSignal): Promise<number> {
    try {
      await this.#client.create(RESOURCES.events, occurrence(manifest, added, lastSeen), { signal });
      return 0;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return (await this.#client.get(RESOURCES.events, at, { signal }))?.count ?? 1;
    }
  }

  #render(regarding: ObjectReference, facts: EventFacts, now: Date): EventManifest & { metadata: { name: string } } {
    const { component = FIELD_MANAGER, instance = component } = this.#options;
    const reason = facts.reason.slice(0, MAX_REASON_CHARACTERS);
    const message = shorten(facts.message, MAX_MESSAGE_BYTES);
    const identity = [component, regarding.uid, facts.type, reason, message, facts.action ?? ''];
    const hash = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 16);
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      // Names of Events may be as long as those of objects.
      metadata: {
        name: `${regarding.name.slice(0, 236)}.${hash}`,
        namespace: regarding.namespace ?? CLUSTER_NAMESPACE,
      },
      involvedObject: regarding,
      type: facts.type,
      reason,
      message,
      ...(facts.action !== undefined && { action: facts.action }),
      firstTimestamp: now.toISOString(),
      source: { component },
      reportingComponent: component,
      reportingInstance: instance,
    };
    return event;
  }
}

function occurrence(manifest: EventManifest, count: number, lastTimestamp: string): Manifest {
  return { ...manifest, count, lastTimestamp } as Manifest;
}

function toSeries(manifest: EventManifest & { metadata: { name: string } }): Pick<Series, 'at' | 'manifest'> {
  const { name, namespace } = manifest.metadata;
  return { manifest, at: { name, ...(namespace !== undefined && { namespace }) } };
}

/** Puts the entry last, and forgets the first ones that may be forgotten. */
function remember<V>(map: Map<string, V>, key: string, value: V, forgettable: (value: V) => boolean): void {
  map.delete(key);
  map.set(key, value);
  for (const [oldKey, oldValue] of map) {
    if (map.size <= MAX_REMEMBERED || oldKey === key) return;
    if (forgettable(oldValue)) map.delete(oldKey);
  }
}
