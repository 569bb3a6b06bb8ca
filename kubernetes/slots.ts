/** Lets so many through at once; the others wait for their turn, in order. */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves when there is a slot, which is then the caller's until {@link release}. @throws the signal's reason. */
  async take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    let isMine = false;
    await new Promise<void>((resolve) => {
      const turn = (): void => {
        isMine = true;
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        this.#waiting.delete(turn);
        resolve();
      };
      this.#waiting.add(turn);
      signal?.addEventListener('abort', abort, { once: true });
    });
    if (!isMine) signal?.throwIfAborted();
  }

  /** The first that waits has it next. */
  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

/** Takes a slot of `first`, then one of `second`; resolves with what gives both back. @throws the signal's reason, with neither taken. */
export async function takeBoth(first: Slots, second: Slots, signal?: AbortSignal): Promise<() => void> {
  await first.take(signal);
  try {
    await second.take(signal);
  } catch (error) {
    first.release();
    throw error;
  }
  return () => {
    second.release();
    first.release();
  };
}
