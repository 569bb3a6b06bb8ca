/**
 * The records of lives that ended: one ConfigMap in each namespace that had a Workspace. It outlives Workspaces and Temporal's retention, is read by
 * whoever may read the namespace's ConfigMaps, and goes with the namespace.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LifeRecord } from '../../api/history';
import type { WorkspaceRef } from '../../api/workflow';
import type { KubernetesClient } from '../../kubernetes/client';
import { isAlreadyExists, isConflict } from '../../kubernetes/errors';
import type { ConfigMap } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { fitted, merged } from './record';

export const HISTORY_CONFIG_MAP = 'kaito-history';

/** Lives that are kept in a namespace; the ones that ended first make room. */
const MOST_LIVES = 100;

/** Each write sends and merges the whole of what is kept: when many lives end at once, their records go together. */
const PAUSE_MS = 1_000;

/** What is kept of a namespace's Workspaces. */
export interface Records {
  /** Oldest end first. */
  readonly records: readonly LifeRecord[];
  /** Entries that somebody edited until they could not be read any more. */
  readonly unreadable: readonly string[];
}

/** The records of a namespace; of one name, if given. */
export async function readRecords(
  client: Pick<KubernetesClient, 'get'>,
  { namespace, name }: { readonly namespace: string; readonly name?: string },
  signal?: AbortSignal,
): Promise<Records> {
  const map = await client.get(RESOURCES.configMaps, { namespace, name: HISTORY_CONFIG_MAP }, signal && { signal });
  const { records, unreadable } = parse(map);
  return { records: records.filter((one) => name === undefined || one.name === name), unreadable };
}

/** Writes records: the first of a namespace at once; those that come while it is written, or within a second after, go together. */
export class RecordKeeper {
  readonly #client: Pick<KubernetesClient, 'get' | 'create' | 'patch'>;
  readonly #waiting = new Map<string, { readonly records: LifeRecord[]; readonly written: Promise<void> }>();
  readonly #writing = new Map<string, Promise<void>>();

  constructor(client: Pick<KubernetesClient, 'get' | 'create' | 'patch'>) {
    this.#client = client;
  }

  /** Resolves when the record is kept. The same life again adds to what is kept of it. */
  keep(record: LifeRecord): Promise<void> {
    const { namespace } = record;
    const next = this.#waiting.get(namespace);
    if (next !== undefined) {
      next.records.push(record);
      return next.written;
    }
    const records = [record];
    const before = this.#writing.get(namespace) ?? Promise.resolve();
    const written = before.then(() => {
      this.#waiting.delete(namespace);
      const writing = this.#write(namespace, records);
      const rested = writing
        .catch(() => undefined) // its own callers are told
        .then(() => delay(PAUSE_MS, undefined, { ref: false }))
        .then(() => {
          if (this.#writing.get(namespace) === rested) this.#writing.delete(namespace);
        });
      this.#writing.set(namespace, rested);
      return writing;
    });
    this.#waiting.set(namespace, { records, written });
    return written;
  }

  async #write(namespace: string, records: readonly LifeRecord[]): Promise<void> {
    const at = { namespace, name: HISTORY_CONFIG_MAP };
    for (;;) {
      const existing = await this.#client.get(RESOURCES.configMaps, at);
      const data = changes(existing, records);
      try {
        if (existing === undefined) await this.#client.create(RESOURCES.configMaps, configMap(at, data));
        else {
          const { resourceVersion } = existing.metadata;
          await this.#client.patch(RESOURCES.configMaps, at, { metadata: { resourceVersion }, data });
        }
        return;
      } catch (error) {
        // Another worker was quicker.
        if (!isConflict(error) && !isAlreadyExists(error)) throw error;
      }
    }
  }
}

/** What to set, and (null) what makes room. */
function changes(
  existing: ConfigMap | undefined,
  added: readonly LifeRecord[],
): Readonly<Record<string, string | null>> {
  const { records, unreadable } = parse(existing);
  const byKey = new Map(records.map((record) => [keyOf(record), record]));
  const set = new Map<string, LifeRecord>();
  for (const record of added) {
    const key = keyOf(record);
    const whole = fitted(merged(set.get(key) ?? byKey.get(key), record));
    set.set(key, whole);
    byKey.set(key, whole);
  }
  const newestFirst = [...byKey].sort(([, a], [, b]) => Date.parse(b.ended) - Date.parse(a.ended));
  const kept = new Set(newestFirst.slice(0, MOST_LIVES).map(([key]) => key));
  const leaving = [...records.map(keyOf).filter((key) => !kept.has(key)), ...unreadable];
  return {
    ...Object.fromEntries(
      [...set].filter(([key]) => kept.has(key)).map(([key, record]) => [key, JSON.stringify(record)]),
    ),
    ...Object.fromEntries(leaving.map((key) => [key, null])),
  };
}

function configMap(metadata: WorkspaceRef, data: Readonly<Record<string, string | null>>) {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...metadata, labels: { 'app.kubernetes.io/managed-by': 'kaito-temporal' } },
    data,
  };
}

/** Names may be used again: the UID tells lives apart. */
function keyOf({ name, uid }: LifeRecord): string {
  return `${name}.${uid}`;
}

function parse(map: ConfigMap | undefined): Records {
  const records: LifeRecord[] = [];
  const unreadable: string[] = [];
  for (const [key, text] of Object.entries(map?.data ?? {})) {
    const record = parseRecord(text);
    if (record === undefined || keyOf(record) !== key) unreadable.push(key);
    else records.push(record);
  }
  records.sort((a, b) => Date.parse(a.ended) - Date.parse(b.ended));
  return { records, unreadable };
}

function parseRecord(text: string): LifeRecord | undefined {
  try {
    const record = JSON.parse(text) as LifeRecord;
    return record.version === 1 && Array.isArray(record.logs) ? record : undefined;
  } catch {
    return undefined; // told as unreadable
  }
}
