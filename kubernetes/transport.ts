import { errors, type Dispatcher } from 'undici';
import { KubernetesError, type StatusDetails } from './errors';
import type { Cluster, Credentials } from './kubeconfig';

/** One HTTP request to the API server, without retries. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly accept: string;
  readonly contentType?: string;
  readonly body?: string;
  /** For messages: `create statefulsets "a" in namespace "b"`. */
  readonly description: string;
}

export interface SendOptions {
  readonly signal: AbortSignal;
  /** `stream`: a connection of its own, so that watches never take those of requests. */
  readonly pool?: 'requests' | 'stream';
  /** Longest silence within the body, and before it where `headersTimeoutMs` does not say less, in milliseconds. Default: none (the signal is the limit). */
  readonly silenceTimeoutMs?: number;
  /** Longest silence until the answer begins, in milliseconds. */
  readonly headersTimeoutMs?: number;
}

/** How long credentials are used before the authenticator is asked again, in milliseconds. A 401 asks at once. */
const CREDENTIALS_TTL_MS = 10_000;
/** Requests in flight at once; more would wait in the API server instead, where they cost more. */
export const MAX_CONNECTIONS = 32;

interface Pools {
  readonly fingerprint: string;
  readonly requests: Dispatcher;
  readonly stream: Dispatcher;
}

/** Authenticated, pooled connections to one cluster. */
export class Transport {
  readonly #cluster: Cluster;
  readonly #userAgent: string;
  #credentials: { readonly promise: Promise<Credentials>; readonly readAt: number } | undefined;
  #pools: Pools | undefined;
  #closed = false;

  constructor(cluster: Cluster, userAgent: string) {
    this.#cluster = cluster;
    this.#userAgent = userAgent;
  }

  get server(): URL {
    return this.#cluster.server;
  }

  /** Resolves with a 2xx answer whose body is unread; throws {@link KubernetesError}, or the signal's reason. */
  async send(request: HttpRequest, options: SendOptions): Promise<Dispatcher.ResponseData> {
    const usedAt = Date.now();
    let response = await this.#sendOnce(request, options);
    if (response.statusCode === 401) {
      // The token may have been rotated since it was read; nothing was done yet, so any request may go again.
      await response.body.dump();
      if (this.#credentials !== undefined && this.#credentials.readAt <= usedAt) this.#credentials = undefined;
      response = await this.#sendOnce(request, options);
    }
    if (response.statusCode < 300) return response;
    throw await refusal(request, response, options.signal);
  }

  /** Closes every connection; requests in flight fail. */
  async close(): Promise<void> {
    this.#closed = true;
    const pools = this.#pools;
    this.#pools = undefined;
    if (pools !== undefined) await Promise.all([pools.requests.destroy(), pools.stream.destroy()]);
  }

  async #sendOnce(request: HttpRequest, options: SendOptions): Promise<Dispatcher.ResponseData> {
    const { signal } = options;
    try {
      signal.throwIfAborted();
      this.#assertOpen(request);
      const credentials = await this.#authenticate(request);
      this.#assertOpen(request);
      const pools = this.#connect(credentials);
      const prefix = this.server.pathname.replace(/\/$/, '');
      return await pools[options.pool ?? 'requests'].request({
        origin: this.server.origin,
        path: prefix + request.path,
        method: request.method,
        headers: {
          accept: request.accept,
          'user-agent': this.#userAgent,
          ...credentials.headers,
          ...(request.contentType !== undefined && { 'content-type': request.contentType }),
        },
        ...(request.body !== undefined && { body: request.body }),
        signal,
        // The signal carries the deadline; undici's own default of five minutes would only hide which one fired.
        headersTimeout: options.headersTimeoutMs ?? options.silenceTimeoutMs ?? 0,
        bodyTimeout: options.silenceTimeoutMs ?? 0,
      });
    } catch (error) {
      this.#assertOpen(request);
      throw toRequestError(request, error, signal);
    }
  }

  #assertOpen({ description }: HttpRequest): void {
    if (!this.#closed) return;
    throw new KubernetesError({ code: 0, reason: 'Closed', message: 'the client was closed', request: description });
  }

  async #authenticate(request: HttpRequest): Promise<Credentials> {
    const now = Date.now();
    if (this.#credentials === undefined || now - this.#credentials.readAt > CREDENTIALS_TTL_MS) {
      this.#credentials = { promise: this.#cluster.credentials(), readAt: now };
    }
    const current = this.#credentials;
    try {
      return await current.promise;
    } catch (error) {
      if (this.#credentials === current) this.#credentials = undefined;
      throw new KubernetesError({
        code: 401,
        reason: 'Credentials',
        message: `no credentials from the kubeconfig: ${messageOf(error)}`,
        request: request.description,
        cause: error,
      });
    }
  }

  #connect(credentials: Credentials): Pools {
    const current = this.#pools;
    if (current?.fingerprint === credentials.fingerprint) return current;
    this.#pools = {
      fingerprint: credentials.fingerprint,
      requests: this.#cluster.createDispatcher(credentials, MAX_CONNECTIONS),
      stream: this.#cluster.createDispatcher(credentials, null),
    };
    // Certificates were rotated: what is in flight ends by itself on the old connections.
    if (current !== undefined) {
      void current.requests.close();
      void current.stream.close();
    }
    return this.#pools;
  }
}

/** The server's refusal, from its Status object where it sent one. */
async function refusal(
  request: HttpRequest,
  response: Dispatcher.ResponseData,
  signal: AbortSignal,
): Promise<KubernetesError> {
  let text: string;
  try {
    text = await response.body.text();
  } catch (error) {
    throw toRequestError(request, error, signal);
  }
  return statusError(request.description, response.statusCode, text, retryAfterMs(response.headers['retry-after']));
}

interface Status {
  readonly kind?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: StatusDetails;
}

/** From the text of a Status, or of whatever a proxy in between answered. */
export function statusError(request: string, code: number, text: string, retryAfter?: number): KubernetesError {
  let status: Status = {};
  try {
    const parsed = JSON.parse(text) as Status | null;
    if (parsed?.kind === 'Status') status = parsed;
  } catch {
    // Not JSON: the text itself is the message.
  }
  const details = status.details;
  const wait = retryAfter ?? (details?.retryAfterSeconds === undefined ? undefined : details.retryAfterSeconds * 1000);
  return new KubernetesError({
    code: status.code ?? code,
    reason: status.reason ?? `HTTP${code}`,
    message: status.message ?? (text.slice(0, 500).trim() || `HTTP status ${code}`),
    request,
    ...(details !== undefined && { details }),
    ...(wait !== undefined && { retryAfterMs: wait }),
  });
}

/** The header's seconds or date, as milliseconds from now. */
function retryAfterMs(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** What the transport threw, as a KubernetesError without a code; the signal's own reason goes through as it is. */
export function toRequestError(request: HttpRequest, error: unknown, signal: AbortSignal): unknown {
  if (error instanceof KubernetesError) return error;
  if (signal.aborted) return signal.reason;
  const timedOut = error instanceof errors.BodyTimeoutError || error instanceof errors.HeadersTimeoutError;
  return new KubernetesError({
    code: 0,
    reason: timedOut ? 'Timeout' : 'Unreachable',
    message: `no answer from the Kubernetes API: ${messageOf(error)}`,
    request: request.description,
    cause: error,
  });
}

/** Nothing reached the server: any request may go again. */
export function wasNeverSent(error: KubernetesError): boolean {
  const code = (error.cause as { readonly code?: unknown } | undefined)?.code;
  return (
    code === 'ECONNREFUSED' || code === 'EAI_AGAIN' || code === 'EHOSTUNREACH' || code === 'UND_ERR_CONNECT_TIMEOUT'
  );
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
