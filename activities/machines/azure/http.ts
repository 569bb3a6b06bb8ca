/**
 * What all requests to Azure have in common: errors with all that the answer said, Retry-After, and patience with reads.
 */
import { isRestError } from '@azure/core-rest-pipeline';
import { wait } from './wait';
import { AzureError, leavesOf } from './error-tree';

/** An answer, as far as it is looked at here. */
export interface Answer {
  readonly status: number;
  readonly headers: { get(name: string): string | undefined };
  readonly bodyAsText?: string | null | undefined;
}

/** Where Azure says that it is too much but not for how long. */
export const DEFAULT_RETRY_AFTER_MS = 60_000;

/** A wait that is over already, by clocks that differ, is short but a wait. */
const LEAST_RETRY_AFTER_MS = 1_000;

/** Milliseconds of `Retry-After`: seconds, or a date. */
export function retryAfterOf({ headers }: Answer, now = Date.now()): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+$/.test(value)) return Math.max(Number(value) * 1_000, LEAST_RETRY_AFTER_MS);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(at - now, LEAST_RETRY_AFTER_MS);
}

/** The error that an answer stands for. */
export function errorOf(asked: string, answer: Answer, cause?: unknown): AzureError {
  const { status, headers, bodyAsText } = answer;
  const retryAfterMs = retryAfterOf(answer) ?? (status === 429 ? DEFAULT_RETRY_AFTER_MS : undefined);
  const correlationId = headers.get('x-ms-correlation-request-id') ?? headers.get('x-ms-request-id');
  const body = bodyAsText ?? '';
  return new AzureError(
    {
      asked,
      status,
      leaves: leavesOf(parsed(body), { code: `Http${status}`, message: body || 'the answer was empty' }),
      ...(correlationId !== undefined && { correlationId }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
    { cause },
  );
}

/** The answer that refused. The SDK shows only a list's first page; of a later one its error tells. */
export function refusalOf(error: unknown, shown: Answer | undefined): Answer | undefined {
  if (shown !== undefined && shown.status >= 400) return shown;
  if (!isRestError(error) || error.statusCode === undefined) return undefined;
  const { statusCode: status, code, message, response } = error;
  return { status, headers: response?.headers ?? new Map(), bodyAsText: JSON.stringify({ error: { code, message } }) };
}

/** The error of a request that got no answer: whether it had an effect is not known. */
export function unanswered(asked: string, error: unknown): AzureError {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  const leaf = { code: code ?? 'NoAnswer', message: message ?? String(error) };
  return new AzureError({ asked, leaves: [leaf] }, { cause: error });
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // A proxy's page for people; it is told as it is.
    return undefined;
  }
}

/** Tries of a read that fails for Azure's own reasons, and the pause before the second; doubled for each further one. */
const READ_TRIES = 5;
const FIRST_PAUSE_MS = 500;

/** Repeats a read while it fails for reasons that pass: at once after what Retry-After says, however often; else a few times. */
export async function patiently<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failed = 0; ;) {
    signal.throwIfAborted();
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof AzureError) || signal.aborted) throw error;
      const { status, retryAfterMs } = error.report;
      if (status === 429) {
        await wait(retryAfterMs ?? DEFAULT_RETRY_AFTER_MS, signal);
        continue;
      }
      const passes = status === undefined || status === 408 || status >= 500;
      failed += 1;
      if (!passes || failed >= READ_TRIES) throw error;
      await wait(Math.max(retryAfterMs ?? 0, FIRST_PAUSE_MS * 2 ** (failed - 1)), signal);
    }
  }
}
