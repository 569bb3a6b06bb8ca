import type { GenerationChange, LifeRecord } from '../../api/history';

/** One thing that happened to a Workspace, as its history tells it. */
export interface Entry {
  /** ISO time; of what takes long, its beginning. */
  readonly time: string;
  readonly kind: 'asked' | 'step' | 'state' | 'pause' | 'end';
  /** For steps, as the status names them. */
  readonly step?: string;
  readonly what: string;
  readonly durationMs?: number;
  /** Attempts that it took, if more than one. */
  readonly attempts?: number;
  /** It has not ended. */
  readonly isUnderWay?: boolean;
  readonly failure?: { readonly cause: string; readonly message: string; readonly remedy?: string };
  /** Of a plan: who brought the generation about that it was the first to see. */
  readonly change?: GenerationChange;
  /** Who asked: the identity of the client. */
  readonly by?: string;
}

/** An entry with the Workspace that it belongs to: one name may have had several. */
export interface LifeEntry extends Entry {
  /** Undefined as long as the history has not told. */
  readonly uid: string | undefined;
}

/** One Workspace of the name, from its creation to its deletion. */
export interface Life {
  readonly uid: string;
  /** From Temporal; empty once it has forgotten. */
  readonly entries: readonly Entry[];
  /** What the cluster keeps of it after its end. */
  readonly record?: LifeRecord;
}

/** The lives of a name, oldest first. What came before a UID was known belongs to the next one. */
export function livesOf(entries: readonly LifeEntry[]): readonly Life[] {
  const lives: { uid: string; entries: Entry[] }[] = [];
  let waiting: Entry[] = [];
  for (const { uid, ...entry } of entries) {
    const last = lives.at(-1);
    if (uid === undefined || uid === last?.uid) {
      (last?.entries ?? waiting).push(entry);
      continue;
    }
    lives.push({ uid, entries: [...waiting, entry] });
    waiting = [];
  }
  return waiting.length === 0 ? lives : [{ uid: '', entries: waiting }, ...lives];
}
