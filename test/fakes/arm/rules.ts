import type { Rule, Turn } from './types';

/** What scripted requests and scripted outcomes have in common: who they are for, how often they were met, and waiting for that. */
export class Met<Subject, Effect> implements Rule {
  #seen = 0;
  #hits = 0;
  #removed = false;
  readonly #waiting: { readonly times: number; readonly done: () => void }[] = [];

  constructor(
    readonly matches: (subject: Subject) => boolean,
    readonly turn: Turn,
    readonly effect: Effect,
  ) {}

  get hits(): number {
    return this.#hits;
  }

  /** Counts the subject if it matches; whether it is its turn. */
  meets(subject: Subject): boolean {
    if (this.#removed || !this.matches(subject)) return false;
    this.#seen += 1;
    if (!isTurn(this.turn, this.#seen)) return false;
    this.#hits += 1;
    for (const { times, done } of this.#waiting) if (this.#hits >= times) done();
    return true;
  }

  async met(times = 1): Promise<void> {
    if (this.#hits >= times) return;
    await new Promise<void>((done) => this.#waiting.push({ times, done }));
  }

  remove(): void {
    this.#removed = true;
  }
}

function isTurn(turn: Turn, nth: number): boolean {
  if (turn === 'every') return true;
  return typeof turn === 'number' ? turn === nth : nth >= turn[0] && nth <= turn[1];
}
