/** What must hold after every test, whatever it was about. */
import type { RecordedRequest, InvariantOptions, Pool } from './types';

/** Timers may fire a little early. */
const TOLERANCE_MS = 15;

/** `restart`: what the client knew of waits got lost. */
export type Happening =
  | { readonly kind: 'came' | 'answered'; readonly request: RecordedRequest; readonly atMs: number }
  | { readonly kind: 'restart' };

export interface Evidence {
  readonly requests: readonly RecordedRequest[];
  readonly pools: readonly Pool[];
  /** Names of pools that are only to be read, and how they looked at the end of the test's own changes. */
  readonly foreign: ReadonlySet<string>;
  /** What happened on the wire, in order. */
  readonly log: readonly Happening[];
  readonly unknown: readonly string[];
  readonly errors: readonly unknown[];
}

export function breaches(evidence: Evidence, options: InvariantOptions): readonly string[] {
  return [
    ...(options.nothingLeft === true ? leftOver(evidence) : []),
    ...(options.mayBeThrottled === true ? [] : throttledByBucket(evidence)),
    ...differingBodies(evidence, options),
    ...touchedForeign(evidence),
    ...impatient(evidence),
    ...evidence.unknown.map((what) => `the fake was asked for what it does not have: ${what}`),
    ...evidence.errors.map(
      (error) => `the fake itself failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    ),
  ];
}

function leftOver({ pools }: Evidence): readonly string[] {
  return pools
    .filter(({ origin }) => origin === 'client')
    .map(({ name, properties }) => `pool ${name} is left, in state ${String(properties.provisioningState)}`);
}

function throttledByBucket({ requests }: Evidence): readonly string[] {
  const refused = requests.filter((request) => request.throttledByBucket === true);
  return refused.map(({ method, path }) => `${method} ${path} was more than the bucket holds`);
}

/** A creation that is repeated must ask for the same; a change names the etag of what it changes. */
function differingBodies({ requests }: Evidence, { comparable = (body) => body }: InvariantOptions): readonly string[] {
  const bodies = new Map<string, string>();
  const found: string[] = [];
  for (const request of requests) {
    if (request.method !== 'PUT' || request.pool === undefined || request.headers['if-match'] !== undefined) continue;
    const body = canonical(comparable(request.body));
    const first = bodies.get(request.path) ?? body;
    bodies.set(request.path, first);
    if (first !== body) found.push(`pool ${request.pool} was asked for with two bodies:\n  ${first}\n  ${body}`);
  }
  return found;
}

function touchedForeign({ requests, foreign }: Evidence): readonly string[] {
  return requests
    .filter(({ method, pool }) => method !== 'GET' && pool !== undefined && foreign.has(pool))
    .map(({ method, pool }) => `${method} on pool ${pool}, which belongs to somebody else`);
}

/** After an answer with Retry-After, the same is not asked again before; after a PUT or DELETE, neither is its operation. */
function impatient({ log }: Evidence): readonly string[] {
  const allowedAtMs = new Map<string, number>();
  const asked = new Set<RecordedRequest>();
  const found: string[] = [];
  for (const happening of log) {
    if (happening.kind === 'restart') {
      allowedAtMs.clear();
      asked.clear();
      continue;
    }
    const { kind, request, atMs } = happening;
    const key = `${request.method} ${request.path}`;
    if (kind === 'came') {
      asked.add(request);
      const early = (allowedAtMs.get(key) ?? 0) - atMs;
      allowedAtMs.delete(key);
      if (early > TOLERANCE_MS) found.push(`${key} came ${Math.round(early)} ms before Retry-After allowed it`);
      continue;
    }
    const { retryAfterSeconds, operationPath, status, method } = request;
    // Who asked before a restart never heard the answer.
    if (retryAfterSeconds === undefined || !asked.has(request)) continue;
    const at = atMs + retryAfterSeconds * 1_000;
    if (status === 429 || status === 503 || method === 'GET') allowedAtMs.set(key, at);
    else if (operationPath !== undefined) allowedAtMs.set(`GET ${operationPath}`, at);
  }
  return found;
}

/** JSON with keys in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}
