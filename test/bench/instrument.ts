/**
 * Loaded before the entry of a process that is measured: counts its requests to the API server, and profiles it when told to. Talks with the
 * benchmark over the channel between the two; the product knows nothing of it.
 */
import diagnostics from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import path from 'node:path';
import { isMainThread, threadId } from 'node:worker_threads';

/** What the benchmark asks for. */
export type Ask = 'requests' | 'profile' | { readonly saveProfilesTo: string };

/** Requests so far, by verb and kind (`patch workspaces/status`). */
export interface Answer {
  readonly requests: Readonly<Record<string, number>>;
}

const requests = new Map<string, number>();

// Published by undici for each request that it makes, retries included.
diagnostics.subscribe('undici:request:create', (message) => {
  const { request } = message as { readonly request: { readonly method: string; readonly path: string } };
  const key = keyOf(request.method, request.path);
  requests.set(key, (requests.get(key) ?? 0) + 1);
});

function keyOf(method: string, target: string): string {
  const { pathname, searchParams } = new URL(target, 'http://server');
  const parts = pathname.split('/').filter((part) => part !== '');
  // /api/VERSION/… or /apis/GROUP/VERSION/…, then perhaps namespaces/NAME, then KIND[/NAME[/SUBRESOURCE]].
  let rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  if (rest[0] === 'namespaces' && rest.length > 2) rest = rest.slice(2);
  const [kind = pathname, name, subresource] = rest;
  const what = subresource === undefined ? kind : `${kind}/${subresource}`;
  return `${verbOf(method, name !== undefined, searchParams)} ${what}`;
}

function verbOf(method: string, named: boolean, query: URLSearchParams): string {
  switch (method) {
    case 'GET':
      return query.get('watch') === 'true' ? 'watch' : named ? 'get' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return query.has('force') ? 'apply' : 'patch';
    default:
      return method.toLowerCase();
  }
}

// Workflow code runs in threads of its own, which load this file too: all are told at once.
const threads = new BroadcastChannel('bench-profile');
(threads as unknown as { unref(): void }).unref();
let session: Session | undefined;

function onProfileAsk(ask: Exclude<Ask, 'requests'>): void {
  if (ask === 'profile') {
    session = new Session();
    session.connect();
    session.post('Profiler.enable');
    session.post('Profiler.start');
    return;
  }
  session?.post('Profiler.stop', (error, result) => {
    if (error !== null) throw error;
    const file = path.join(ask.saveProfilesTo, `worker-${isMainThread ? 'main' : `thread-${threadId}`}.cpuprofile`);
    writeFileSync(file, JSON.stringify(result.profile));
  });
  session?.disconnect();
  session = undefined;
}

threads.onmessage = (event: MessageEvent) => onProfileAsk(event.data as Exclude<Ask, 'requests'>);
process.on('message', (ask: Ask) => {
  if (ask === 'requests') {
    process.send?.({ requests: Object.fromEntries(requests) } satisfies Answer);
    return;
  }
  threads.postMessage(ask);
  onProfileAsk(ask);
});
process.channel?.unref();
