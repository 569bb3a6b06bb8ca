import { toError } from '../api/to-error';

/**
 * Closes one after the other; what can't be closed keeps no other from it.
 *
 * @throws when all had their turn: what went wrong, or an AggregateError of it with the first one as its cause.
 */
export async function closeAll(closing: readonly (() => Promise<void> | undefined)[]): Promise<void> {
  const errors: Error[] = [];
  for (const close of closing) {
    try {
      await close();
    } catch (error) {
      errors.push(toError(error));
    }
  }
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) throw first;
  throw new AggregateError(errors, errors.map(({ message }) => message).join('; '), { cause: first });
}

/** Closes all that was opened before `reason`, which stays what is thrown: what can't be closed is told to `warn`. */
export async function closeAfter(
  reason: unknown,
  closing: readonly (() => Promise<void>)[],
  warn: (problem: Error) => void,
): Promise<never> {
  await closeAll(closing).catch((problem: unknown) => warn(toError(problem)));
  throw reason;
}
