/**
 * What failed, in users' terms, and what follows from it: what is tried next, and what is not worth trying for how long.
 */
import type { CloudReference, Failure } from '../../../api/causes';
import { shorten } from '../../../api/shorten';
import { HOUR, meaningOf, type FailureClass, type FailureScope } from './error-catalogue';
import { AzureError, leavesOf, type ErrorLeaf, type ErrorReport } from './error-tree';

export interface Verdict {
  readonly class: FailureClass;
  readonly scope: FailureScope;
  /** The most telling of the codes. */
  readonly code: string;
  readonly failure: Failure;
  /** How long the same is not worth trying, milliseconds. */
  readonly ttlMs: number;
}

/** Messages end up in the status and in histories. */
const MOST_BYTES = 1_024;

/** Judges a failed request or operation. `isSpot`: what was asked for, as sizes come back sooner as spot machines. */
export function judge(report: ErrorReport, { isSpot = false }: { readonly isSpot?: boolean } = {}): Verdict {
  const { meaning, leaf } = meaningOf(report.leaves, report.status);
  const code = leaf.code || (report.leaves.find((one) => one.code !== '')?.code ?? 'Unknown');
  return {
    class: meaning.class,
    scope: meaning.scope,
    code,
    ttlMs: ttlOf(meaning, leaf, isSpot),
    failure: {
      cause: meaning.cause,
      message: messageOf(report, code, leaf),
      cloud: cloudReference(report, code),
      remedy: meaning.class === 'auth' ? authRemedy(leaf, meaning.remedy) : meaning.remedy,
    },
  };
}

/** Judges whatever was thrown; undefined for what did not come from Azure. */
export function judgeThrown(error: unknown, options?: { readonly isSpot?: boolean }): Verdict | undefined {
  return error instanceof AzureError ? judge(error.report, options) : undefined;
}

/** A failure that Azure tells in an object (`status.provisioningError`) or an operation rather than in an answer. */
export function reportOf(asked: string, error: unknown, more: Omit<ErrorReport, 'asked' | 'leaves'> = {}): ErrorReport {
  return { ...more, asked, leaves: leavesOf(error, { code: 'Unknown', message: 'Azure gave no reason' }) };
}

function ttlOf(
  meaning: { readonly class: FailureClass; readonly ttlMs: number },
  leaf: ErrorLeaf,
  isSpot: boolean,
): number {
  if (meaning.class === 'quota' && limitOf(leaf.message) === 0) return Math.max(meaning.ttlMs, HOUR);
  if (meaning.class === 'size' && isSpot) return Math.min(meaning.ttlMs, HOUR);
  return meaning.ttlMs;
}

/** The quota that there is, where the message says so. */
function limitOf(message: string): number | undefined {
  const [, limit] = /(?:Current Limit|Maximum allowed): (\d+)/i.exec(message) ?? [];
  return limit === undefined ? undefined : Number(limit);
}

function authRemedy({ message }: ErrorLeaf, otherwise: string): string {
  const [, action] = /perform action '([^']+)'/.exec(message) ?? [];
  if (action === undefined) return otherwise;
  return `Give the worker’s identity the action ${action} (docs/azure.md has the whole role); a new role takes up to ten minutes.`;
}

function cloudReference({ operationId, correlationId }: ErrorReport, code: string): CloudReference {
  return {
    code,
    ...(operationId !== undefined && { operationID: operationId }),
    ...(correlationId !== undefined && { correlationID: correlationId }),
  };
}

function messageOf({ asked, correlationId, operationId }: ErrorReport, code: string, { message }: ErrorLeaf): string {
  const ids = [
    ...(correlationId === undefined ? [] : [`correlation ID ${correlationId}`]),
    ...(operationId === undefined ? [] : [`operation ${operationId}`]),
  ];
  const tail = ids.length === 0 ? '' : ` (${ids.join(', ')})`;
  const head = `${asked}: ${code}: `;
  const said = shorten(message.replace(/\s+/g, ' ').trim(), MOST_BYTES - Buffer.byteLength(head + tail));
  return `${head}${said}${tail}`;
}
