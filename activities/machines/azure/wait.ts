import { setTimeout as delay } from 'node:timers/promises';

/** Resolves after so many milliseconds; rejects with the signal's own reason. */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** From `ms` to twice that, so that those who were refused together do not come back together. */
export function jittered(ms: number): number {
  return ms * (1 + Math.random());
}
