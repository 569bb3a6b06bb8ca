import type { Verb } from './client';
import { KubernetesError } from './errors';
import type { Manifest } from './objects';
import { pathOf, type ObjectName, type Resource } from './resources';
import { wasNeverSent, type HttpRequest } from './transport';

const MAX_ATTEMPTS = 5;
const FIRST_RETRY_MS = 100;

/** One request in the client's terms. */
export interface Call extends Pick<HttpRequest, 'method' | 'contentType'> {
  readonly verb: Verb;
  readonly resource: Resource;
  readonly at?: Partial<ObjectName>;
  readonly subresource?: 'status' | 'log';
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  /** Repeating it does no harm even if the first one was done. */
  readonly idempotent: boolean;
  readonly metadataOnly?: boolean;
}

/** One timer and at most one listener per call; AbortSignal.any and .timeout cost several times as much. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #endsAt: number;
  readonly #timer: NodeJS.Timeout;
  readonly #outer: AbortSignal | undefined;

  constructor(timeoutMs: number, request: string, outer: AbortSignal | undefined) {
    this.#endsAt = Date.now() + timeoutMs;
    this.#outer = outer;
    this.#timer = setTimeout(() => {
      const message = `no answer from the Kubernetes API within ${timeoutMs} ms`;
      this.#controller.abort(new KubernetesError({ code: 0, reason: 'Timeout', message, request }));
    }, timeoutMs);
    if (outer?.aborted) this.#forward();
    else outer?.addEventListener('abort', this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get remainingMs(): number {
    return this.#endsAt - Date.now();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#forward);
  }

  readonly #forward = (): void => this.#controller.abort(this.#outer?.reason);
}

/** How long to wait before the next attempt; undefined: don't. */
export function retryDelayMs(call: Call, error: KubernetesError, attempt: number): number | undefined {
  if (attempt >= MAX_ATTEMPTS) return undefined;
  const { code, reason, retryAfterMs } = error;
  const unsent = reason === 'Unreachable' && wasNeverSent(error);
  const told = retryAfterMs !== undefined && (code === 429 || code >= 500);
  const harmless = call.idempotent && (reason === 'Unreachable' || code === 429 || code >= 500);
  if (!unsent && !told && !harmless) return undefined;
  const backoff = FIRST_RETRY_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
  // Those told to come back at the same moment should not all do so.
  return Math.max(backoff, (retryAfterMs ?? 0) * (1 + Math.random() / 4));
}

/** The same in HTTP's. */
export function toHttp(call: Call): HttpRequest {
  const { resource, at = {}, subresource, query = {} } = call;
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  const path = pathOf(resource, at, subresource);
  const shape = call.verb === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata';
  const name = at.name ?? (call.body as Partial<Manifest> | undefined)?.metadata?.name;
  return {
    method: call.method,
    path: parameters.size === 0 ? path : `${path}?${parameters.toString()}`,
    accept: call.metadataOnly ? `application/json;as=${shape};g=meta.k8s.io;v=v1,application/json` : 'application/json',
    description: [
      call.verb,
      resource.plural + (subresource === undefined ? '' : `/${subresource}`),
      ...(name === undefined ? [] : [`"${name}"`]),
      ...(at.namespace === undefined ? [] : [`in namespace "${at.namespace}"`]),
    ].join(' '),
    ...(call.contentType !== undefined && { contentType: call.contentType }),
    ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
  };
}

/** Where a manifest is to be written. */
export function nameOf({ kind, metadata: { name, namespace } }: Manifest): ObjectName {
  if (name === undefined) throw new TypeError(`the ${kind} to be written has no name`);
  return { name, ...(namespace !== undefined && { namespace }) };
}
