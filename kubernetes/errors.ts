import { CauseError, type Cause } from '../api/causes';

/** The API server's own description of a refusal (`kind: Status`). */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
  readonly retryAfterSeconds?: number;
}

export interface KubernetesErrorFacts {
  /** HTTP status; 0 where no answer came. */
  readonly code: number;
  /** The server's reason (`NotFound`, `AlreadyExists`, `Conflict` …), or ours: `Unreachable`, `Timeout`, `Unreadable`, `Credentials`, `Closed`. */
  readonly reason: string;
  readonly message: string;
  /** What was asked, for example `create statefulsets "a" in namespace "b"`. */
  readonly request: string;
  readonly details?: StatusDetails;
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The one error that requests to the API server throw, apart from the reason of the caller's own AbortSignal. */
export class KubernetesError extends Error {
  override readonly name = 'KubernetesError';
  readonly code: number;
  readonly reason: string;
  readonly request: string;
  readonly details: StatusDetails | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(facts: KubernetesErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.reason = facts.reason;
    this.request = facts.request;
    this.details = facts.details;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

function has(error: unknown, code: number, reason: string): boolean {
  return error instanceof KubernetesError && error.code === code && error.reason === reason;
}

/** No such object, or no such kind. */
export function isNotFound(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 404;
}

/** `create` met an object of that name. */
export function isAlreadyExists(error: unknown): boolean {
  return has(error, 409, 'AlreadyExists');
}

/** A precondition, a `resourceVersion`, or another field manager stood in the way. */
export function isConflict(error: unknown): boolean {
  return has(error, 409, 'Conflict');
}

/** The resource version or continue token is older than what the server keeps. */
export function isGone(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 410;
}

interface Verdict {
  readonly cause: Cause;
  readonly remedy?: string;
}

/**
 * A failure in users' terms. Cancellation is not a failure: let the caller's own abort reason through before calling this. What is neither a
 * {@link CauseError} nor a {@link KubernetesError} becomes `Internal`.
 */
export function toCauseError(error: unknown): CauseError {
  if (error instanceof CauseError) return error;
  if (error instanceof KubernetesError) {
    const message = `${error.request}: ${error.message}`;
    return new CauseError({ ...judge(error), message }, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new CauseError({ cause: 'Internal', message }, { cause: error });
}

function judge(error: KubernetesError): Verdict {
  switch (error.code) {
    case 401:
      return { cause: 'Auth', remedy: 'Give the worker valid credentials for the Kubernetes API.' };
    case 403:
      return judgeForbidden(error);
    case 404:
      // Without a name it is the kind that is missing.
      return error.details?.name === undefined || error.details.name === ''
        ? { cause: 'KubernetesApi', remedy: 'Install the CustomResourceDefinition of the kind that the message names.' }
        : { cause: 'MissingReference' };
    case 409:
      return judgeConflict(error);
    case 400:
    case 413:
    case 422:
      return { cause: 'InvalidInput' };
    default:
      return { cause: 'KubernetesApi' };
  }
}

/** 403 is how RBAC, admission, quotas and dying namespaces alike say no; only the text and the causes tell them apart. */
function judgeForbidden({ message, request, details }: KubernetesError): Verdict {
  if (details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating')) {
    return { cause: 'KubernetesApi', remedy: 'The namespace is being deleted; wait, or use another one.' };
  }
  if (message.includes('exceeded quota')) {
    return { cause: 'KubernetesApi', remedy: "Raise the namespace's ResourceQuota that the message names." };
  }
  if (/\bcannot \w+ resource\b/.test(message) || !message.includes('is forbidden: ')) {
    return { cause: 'Auth', remedy: `Allow the worker's service account to ${request}.` };
  }
  return { cause: 'InvalidInput', remedy: "Change what the cluster's admission control refuses, or its policy." };
}

function judgeConflict(error: KubernetesError): Verdict {
  const byManager = error.details?.causes?.some(({ reason }) => reason === 'FieldManagerConflict') ?? false;
  // A lost race on the resource version is mended by reading again; a foreign owner isn't.
  return { cause: error.reason === 'AlreadyExists' || byManager ? 'Conflict' : 'KubernetesApi' };
}
