import { downloadFile, HubApiError, listFiles, modelInfo } from '@huggingface/hub';
import { CauseError, type Cause } from '../../api/causes';
import { describeConfig, isMistralFormat, parseConfig, type HubFile } from '../../presets/resolve';
import type { Model } from '../../presets/types';

export interface HubOptions {
  /** Hugging Face token, for private and gated models. Never appears in a message. */
  readonly token?: string;
  /** Ends the request when the caller is cancelled. */
  readonly signal: AbortSignal;
  /** For proxies and tests. */
  readonly fetch?: typeof fetch;
  /** Address of the hub or a mirror; the library's default otherwise. */
  readonly hubUrl?: string;
  /** Time for each request, milliseconds; 30,000 unless given. */
  readonly timeoutMs?: number;
}

const ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const TOKEN = /^hf_[A-Za-z0-9_-]+$/;
const DEFAULT_TIMEOUT_MS = 30_000;
/** Of the file that describes a model; those that are known have a few hundred KiB at most. Anybody may publish a larger one, and the worker reads it whole. */
const MOST_CONFIG_BYTES = 4 * 1_024 * 1_024;

/**
 * Describes a model of the Hugging Face hub from its configuration and file sizes; no weights are downloaded. The commit found is pinned, so
 * that what is served is what was described.
 *
 * @throws CauseError: InvalidInput (no such model), HubDenied (token missing or without access), NotSupported (architecture, no weights),
 * HubUnavailable (unreachable, slow, or answering wrongly). A cancelled `signal` rejects with its own reason.
 */
export async function describeModel(id: string, options: HubOptions): Promise<Model> {
  if (!ID.test(id)) throw failure('InvalidInput', `"${id}" is no Hugging Face model id: organisation/model`);
  const token = options.token?.trim() || undefined;
  if (token !== undefined && !TOKEN.test(token)) {
    throw failure('HubDenied', `the token for ${id} is no Hugging Face token: those start with hf_`);
  }
  const access = {
    fetch: boundedFetch(options),
    ...(options.hubUrl === undefined ? {} : { hubUrl: options.hubUrl }),
    ...(token === undefined ? {} : { accessToken: token }),
  };
  try {
    const { name, sha, gated } = await modelInfo({ name: id, additionalFields: ['sha'], ...access });
    const repo = { type: 'model', name } as const;
    const at = { repo, revision: sha, ...access };
    const files: HubFile[] = [];
    for await (const { type, path, size } of listFiles({ ...at, recursive: true })) {
      if (type === 'file') files.push({ path, size });
    }
    const read = async (path: string): Promise<string | undefined> => {
      const size = files.find((file) => file.path === path)?.size ?? 0;
      if (size > MOST_CONFIG_BYTES) {
        throw failure('NotSupported', `${name}: ${path} has ${size} bytes, and may have ${MOST_CONFIG_BYTES}`);
      }
      return (await downloadFile({ ...at, path, xet: false }))?.text();
    };
    const config = (await read('config.json')) ?? (isMistralFormat(files) ? await read('params.json') : undefined);
    if (config === undefined) throw failure('NotSupported', `${name}: the repository has no config.json`);
    return describeConfig(name, parseConfig(name, config), files, sha, gated !== false);
  } catch (error) {
    options.signal.throwIfAborted();
    throw asCauseError(id, error, token !== undefined, options);
  }
}

/** Each request ends with the caller's signal or after its own time. */
function boundedFetch({ signal, timeoutMs = DEFAULT_TIMEOUT_MS, fetch: send = fetch }: HubOptions): typeof fetch {
  return (input, init) => send(input, { ...init, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
}

function asCauseError(id: string, error: unknown, withToken: boolean, options: HubOptions): CauseError {
  if (error instanceof CauseError) return error;
  if (error instanceof HubApiError) return asRefusal(id, error.statusCode, withToken);
  const hub = options.hubUrl ?? 'https://huggingface.co';
  const seconds = (options.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000;
  const why = nameOf(error) === 'TimeoutError' ? `no answer within ${seconds} s` : networkReason(error);
  return failure('HubUnavailable', `${id} is not in the catalogue, and ${hub} can't describe it: ${why}`, error);
}

function asRefusal(id: string, status: number, withToken: boolean): CauseError {
  if (status === 401 || status === 403) {
    return failure(
      'HubDenied',
      withToken
        ? `the token has no access to ${id} on Hugging Face (status ${status}), or there is no such model`
        : `${id} needs a Hugging Face token (status ${status}): it is gated or private, or there is no such model`,
    );
  }
  if (status === 404) return failure('InvalidInput', `Hugging Face has no model ${id}`);
  return failure('HubUnavailable', `Hugging Face answered ${status} when asked for ${id}`);
}

/** The system's words (`getaddrinfo ENOTFOUND huggingface.co`) stand in fetch's inner error. */
function networkReason(error: unknown): string {
  const inner = error instanceof Error ? messageOf(error.cause) : undefined;
  return inner ?? messageOf(error) ?? String(error);
}

/** By shape, not by class: a time-out is a DOMException. */
function nameOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'name' in error ? error.name : undefined;
}

function messageOf(error: unknown): string | undefined {
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : undefined;
  return typeof message === 'string' && message !== '' ? message : undefined;
}

function failure(cause: Cause, message: string, inner?: unknown): CauseError {
  return new CauseError({ cause, message }, inner === undefined ? undefined : { cause: inner });
}
