import type { Failure } from '../api/causes';
import { shorten } from '../api/shorten';

/** The status, an Event and the history each have a copy; what servers and admission answer may quote whole objects. */
const MOST_BYTES = 2_000;

export function isLong(message: string): boolean {
  return Buffer.byteLength(message) > MOST_BYTES;
}

/** The failure with as much of its message as people read. */
export function shortFailure(failure: Failure): Failure {
  const { message } = failure;
  return isLong(message) ? { ...failure, message: shorten(message, MOST_BYTES) } : failure;
}
