/**
 * Whether the process is well, for the kubelet and for people: each check says for itself what is wrong. Live: worth keeping alive. Ready: does its work.
 */
import { toError } from '../api/to-error';
import type { WatchState } from './kubernetes';

export interface Check {
  readonly name: string;
  /** What a failure means: `live` ones restart the process, so only what a restart mends. */
  readonly for: readonly ('live' | 'ready')[];
  /** Undefined: all is well. Else what is wrong; what it throws is wrong, too. */
  readonly problem: (signal: AbortSignal) => string | undefined | Promise<string | undefined>;
}

export interface Verdict {
  readonly ok: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly problem?: string }>>;
}

/** The kubelet gives a probe a second or more; what takes longer is no answer. */
const PATIENCE_MS = 2_000;
/** Probes and scrapes that come together are answered by one look. */
const FRESH_MS = 1_000;

/** The checks of a process; more are added as its parts come up. */
export class Health {
  readonly #checks = new Map<string, Check>();
  readonly #looks = new Map<string, { readonly at: number; readonly problem: Promise<string | undefined> }>();

  /** Replaces the check of that name. */
  add(check: Check): void {
    this.#checks.set(check.name, check);
    this.#looks.delete(check.name);
  }

  /** A part that is gone is not asked any more. */
  remove(name: string): void {
    this.#checks.delete(name);
    this.#looks.delete(name);
  }

  live(): Promise<Verdict> {
    return this.#judge(({ for: uses }) => uses.includes('live'));
  }

  ready(): Promise<Verdict> {
    return this.#judge(({ for: uses }) => uses.includes('ready'));
  }

  all(): Promise<Verdict> {
    return this.#judge(() => true);
  }

  async #judge(isAsked: (check: Check) => boolean): Promise<Verdict> {
    const asked = [...this.#checks.values()].filter(isAsked);
    const results = await Promise.all(
      asked.map(async (check) => {
        const problem = await this.#look(check);
        return [check.name, problem === undefined ? { ok: true } : { ok: false, problem }] as const;
      }),
    );
    return { ok: results.every(([, { ok }]) => ok), checks: Object.fromEntries(results) };
  }

  #look(check: Check): Promise<string | undefined> {
    const last = this.#looks.get(check.name);
    if (last !== undefined && Date.now() - last.at < FRESH_MS) return last.problem;
    const problem = look(check);
    this.#looks.set(check.name, { at: Date.now(), problem });
    return problem;
  }
}

async function look({ problem }: Check): Promise<string | undefined> {
  const impatience = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<string>((resolve) => {
    timer = setTimeout(() => {
      impatience.abort();
      resolve(`no answer within ${PATIENCE_MS} ms`);
    }, PATIENCE_MS);
  });
  try {
    // A check that does not heed the signal is not waited for either.
    return await Promise.race([Promise.resolve(problem(impatience.signal)), tooLong]);
  } catch (error) {
    return toError(error).message;
  } finally {
    clearTimeout(timer);
  }
}

/** A watch is read whole every ten minutes even when all seems well: one that is older than this does nothing any more. */
const STUCK_MS = 15 * 60_000;

/** Ready: every cache has its first list, and its watch is open or was ended in good order. */
export function watchesUpToDate(watches: () => readonly WatchState[]): Check {
  return {
    name: 'watches',
    for: ['ready'],
    problem: () =>
      sentence(
        watches().flatMap(({ resource, lastEventAt, lastError, state }) => {
          // The error is told until the watch brings something, which may take a minute; that it is open is good enough.
          if (lastError !== undefined && state !== 'watching') return [`${resource}: ${lastError}`];
          return lastEventAt === undefined ? [`${resource}: not listed yet`] : [];
        }),
      ),
  };
}

/** Live: no cache stands still. One that fails and tries again is not helped by a restart. */
export function watchesMoving(watches: () => readonly WatchState[], now: () => number): Check {
  return {
    name: 'watches-moving',
    for: ['live'],
    problem: () =>
      sentence(
        watches().flatMap(({ resource, lastEventAt, lastError, state }) => {
          const isTrying = lastError !== undefined && state !== 'watching';
          if (isTrying || lastEventAt === undefined || now() - lastEventAt <= STUCK_MS) return [];
          return [`${resource}: ${state}, nothing heard since ${new Date(lastEventAt).toISOString()}`];
        }),
      ),
  };
}

function sentence(problems: readonly string[]): string | undefined {
  return problems.length === 0 ? undefined : problems.join('; ');
}
