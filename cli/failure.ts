import { CommanderError } from 'commander';
import { CauseError, remedyOf, type Cause } from '../api/causes';
import { toError } from '../api/to-error';
import { KubernetesError, toCauseError } from '../kubernetes/errors';
import type { ExitName } from './exit-codes';

/** A failure as the user is told it. */
export interface Told {
  readonly exit: ExitName;
  readonly message: string;
  /** What to do: one sentence. */
  readonly remedy?: string;
}

/** A command that can't do what it was asked for, and says why. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    readonly told: Told,
    options?: { readonly cause?: unknown },
  ) {
    super(told.message, options);
  }
}

const EXIT_OF_CAUSE: Partial<Record<Cause, ExitName>> = {
  InvalidInput: 'usage',
  NotSupported: 'usage',
  MissingReference: 'notFound',
  Auth: 'denied',
  HubUnavailable: 'unreachable',
};

const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** Any error in the user's terms. */
export function toldOf(error: unknown): Told {
  if (error instanceof CliError) return error.told;
  if (error instanceof CommanderError) return { exit: 'usage', message: error.message };
  if (error instanceof KubernetesError) return ofKubernetes(error);
  if (error instanceof CauseError) {
    const { cause, message } = error.failure;
    return { exit: EXIT_OF_CAUSE[cause] ?? 'failed', message, remedy: remedyOf(error.failure) };
  }
  return ofGrpc(error) ?? { exit: 'failed', message: toError(error).message };
}

/** As the worker judges it, but told to the person at the keyboard. */
function ofKubernetes(error: KubernetesError): Told {
  const message = `${error.request}: ${error.message}`;
  switch (error.code) {
    case 0:
      return {
        exit: 'unreachable',
        message,
        remedy:
          'Check the cluster of the kubeconfig (kubectl cluster-info), or choose one with --context or --kubeconfig.',
      };
    case 401:
      return {
        exit: 'denied',
        message,
        remedy: 'Get new credentials for the cluster, or choose others with --context.',
      };
    case 403:
      return {
        exit: 'denied',
        message,
        remedy: `Ask the cluster's administrator for the permission to ${error.request}.`,
      };
    case 404:
      return { exit: 'notFound', message };
    default: {
      const { failure } = toCauseError(error);
      return { exit: EXIT_OF_CAUSE[failure.cause] ?? 'failed', message, remedy: remedyOf(failure) };
    }
  }
}

/** What Temporal's client throws carries gRPC's code, directly or below. */
function ofGrpc(error: unknown): Told | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code, details } = at as { code?: unknown; details?: unknown };
    if (typeof code !== 'number') continue;
    const message = `Temporal: ${typeof details === 'string' && details !== '' ? details : at.message}`;
    if (code === NOT_FOUND) return { exit: 'notFound', message };
    if (code === PERMISSION_DENIED || code === UNAUTHENTICATED) {
      return {
        exit: 'denied',
        message,
        remedy: 'Set TEMPORAL_API_KEY, or TEMPORAL_TLS_… to a certificate that may do this.',
      };
    }
    if (code === UNAVAILABLE) {
      return { exit: 'unreachable', message, remedy: 'Check --address or TEMPORAL_ADDRESS.' };
    }
    return { exit: 'failed', message };
  }
  return undefined;
}
