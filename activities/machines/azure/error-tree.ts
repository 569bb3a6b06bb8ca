/**
 * Azure's errors as they travel: in an envelope or without one, nested in `details` or `innererror`, and as JSON within a message. What happened is
 * told by the innermost; the outer ones only say who passed it on.
 */

/** One level of an error. */
export interface ErrorLeaf {
  readonly code: string;
  readonly message: string;
}

/** What is known of a request or an operation that failed. */
export interface ErrorReport {
  /** What was asked, for people: `create agent pool kabc`. */
  readonly asked: string;
  /** Of the HTTP answer; undefined where there was none, and for operations that failed after they had been accepted. */
  readonly status?: number;
  /** From the outermost inwards; never empty. */
  readonly leaves: readonly [ErrorLeaf, ...ErrorLeaf[]];
  readonly correlationId?: string;
  readonly operationId?: string;
  /** How long the service wants to be left alone. */
  readonly retryAfterMs?: number;
}

/** The one error that requests to Azure throw, apart from the reason of the caller's own AbortSignal. */
export class AzureError extends Error {
  override readonly name = 'AzureError';

  constructor(
    readonly report: ErrorReport,
    options?: { readonly cause?: unknown },
  ) {
    const { code, message } = report.leaves[0];
    super(`${report.asked}: ${code}: ${message}`, options);
  }
}

/** Deeper than Azure nests; a body that goes on for ever ends here. */
const MOST_LEVELS = 8;

/** All levels of a body, from the outermost inwards. Whatever it is, there is at least one. */
export function leavesOf(body: unknown, otherwise: ErrorLeaf): readonly [ErrorLeaf, ...ErrorLeaf[]] {
  const [first, ...others] = flatten(body, 0);
  return first === undefined ? [otherwise] : [first, ...others];
}

function flatten(value: unknown, level: number): readonly ErrorLeaf[] {
  if (level > MOST_LEVELS || !isRecord(value)) return [];
  const { code, message, error, details, innererror, innerError, additionalInfo } = value;
  const own = typeof code === 'string' || typeof message === 'string';
  const text = typeof message === 'string' ? message : '';
  const inner = [error, innererror, innerError, ...listOf(details), ...listOf(additionalInfo), jsonWithin(text)];
  return [
    ...(own ? [{ code: typeof code === 'string' ? code : '', message: text }] : []),
    ...inner.flatMap((one) => flatten(one, level + 1)),
  ];
}

/** A message that holds JSON, perhaps behind words. */
function jsonWithin(text: string): unknown {
  const start = text.indexOf('{');
  const end = text.lastIndexOf('}');
  if (start === -1 || end <= start) return undefined;
  try {
    return JSON.parse(text.slice(start, end + 1)) as unknown;
  } catch {
    // Braces in a text for people.
    return undefined;
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
