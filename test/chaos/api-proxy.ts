/**
 * Stands between a process of the product and the API server: tells of each write, and makes the API server slow, failing or overloaded when asked.
 */
import { Agent, request as sendRequest } from 'node:https';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';

import type { RequestMoment, Tap, Write, WrittenObject } from './moments';
import type { Random } from './random';
import { listen } from './relay';

/** How the API server misbehaves. */
export type ApiTrouble =
  | { readonly kind: 'slow'; readonly fromMs: number; readonly toMs: number }
  /** Of 100 requests so many fail, half of them after they were done. */
  | { readonly kind: 'failing'; readonly percent: number }
  | { readonly kind: 'overloaded'; readonly percent: number };

export interface ApiProxy {
  readonly port: number;
  trouble(trouble: ApiTrouble | undefined, random: Random): void;
  close(): Promise<void>;
}

export interface ApiProxyOptions {
  readonly by: RequestMoment['by'];
  /** Where the API server answers, and the certificate to know it by. */
  readonly server: { readonly port: number; readonly ca: string };
  readonly tap: Tap;
}

const VERBS: Readonly<Record<string, Write['verb']>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};
const APPLY = 'application/apply-patch+yaml';
const FAILURES = [500, 503, 504];

/** Listens on a port of its own, plain HTTP, for one process. */
export async function startApiProxy({ by, server: { port: toPort, ca }, tap }: ApiProxyOptions): Promise<ApiProxy> {
  const agent = new Agent({ keepAlive: true, ca });
  let trouble: { readonly what: ApiTrouble; readonly random: Random } | undefined;

  const forward = (asked: IncomingMessage, told: ServerResponse, body: Buffer): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { host: _, connection: __, 'transfer-encoding': ___, ...headers } = asked.headers;
      const { method, url } = asked;
      const sent = sendRequest({ host: '127.0.0.1', port: toPort, method, path: url, agent, headers }, resolve);
      sent.once('error', reject);
      told.once('close', () => {
        if (!told.writableFinished) sent.destroy();
      });
      sent.end(body);
    });

  const handle = async (asked: IncomingMessage, told: ServerResponse): Promise<void> => {
    const body = await buffer(asked);
    const write = writeOf(asked, body);
    if (write !== undefined) await tap({ sort: 'request', by, write, point: 'before' });

    const failure = trouble === undefined ? undefined : await troubled(trouble.what, trouble.random);
    if (failure?.when === 'before') {
      refuse(told, failure.code);
      return;
    }
    const answer = await forward(asked, told, body);
    if (write === undefined && failure === undefined) {
      told.writeHead(answer.statusCode ?? 502, answer.headers);
      told.flushHeaders();
      answer.on('error', () => told.destroy());
      answer.pipe(told);
      return;
    }
    if (write === undefined && failure !== undefined) {
      // Of a watch the answer would not end.
      answer.destroy();
      refuse(told, failure.code);
      return;
    }
    const content = await buffer(answer);
    if (write !== undefined) {
      const done = { ...write, code: answer.statusCode ?? 0, answer: objectOf(content) };
      await tap({ sort: 'request', by, write: done, point: 'after' });
    }
    if (failure !== undefined) {
      refuse(told, failure.code);
      return;
    }
    told.writeHead(answer.statusCode ?? 502, answer.headers);
    told.end(content);
  };

  const server = createServer((asked, told) => {
    // A server that can't be reached, or goes away, is a broken connection to those who ask.
    handle(asked, told).catch(() => asked.socket.destroy());
  });
  server.keepAliveTimeout = 120_000;
  const port = await listen(server);
  return {
    port,
    trouble(what, random) {
      trouble = what && { what, random };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };
}

/** Waits, or says how a request fails. Watches that are open stay so: what is slow or failing is asking. */
async function troubled(
  what: ApiTrouble,
  random: Random,
): Promise<{ readonly code: number; readonly when: 'before' | 'after' } | undefined> {
  switch (what.kind) {
    case 'slow':
      await delay(random.between(what.fromMs, what.toMs));
      return undefined;
    case 'failing':
      if (random.between(1, 100) > what.percent) return undefined;
      return { code: random.pick(FAILURES), when: random.pick(['before', 'after']) };
    case 'overloaded':
      return random.between(1, 100) > what.percent ? undefined : { code: 429, when: 'before' };
  }
}

function refuse(told: ServerResponse, code: number): void {
  const reason = code === 429 ? 'TooManyRequests' : 'InternalError';
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message: `chaos says ${code}` };
  told.writeHead(code, { 'content-type': 'application/json', ...(code === 429 && { 'retry-after': '1' }) });
  told.end(JSON.stringify(status));
}

/** What a request changes; undefined for reads, and for Events, which are no step of a run. */
export function writeOf({ method = '', url = '', headers }: IncomingMessage, body: Buffer): Write | undefined {
  const verb = VERBS[method];
  if (verb === undefined) return undefined;
  const parts = new URL(url, 'http://server').pathname.split('/').filter((part) => part !== '');
  // /api/VERSION/… or /apis/GROUP/VERSION/…, then perhaps namespaces/NAME, then KIND[/NAME[/SUBRESOURCE]].
  let rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  let namespace: string | undefined;
  if (rest[0] === 'namespaces' && rest.length > 2) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [kind = '', named, subresource] = rest.map(decodeURIComponent);
  if (kind === 'events') return undefined;
  const sent = verb === 'delete' ? {} : objectOf(body);
  return {
    verb: headers['content-type'] === APPLY ? 'apply' : verb,
    resource: subresource === undefined ? kind : `${kind}/${subresource}`,
    name: named ?? sent.metadata?.name ?? '',
    sent,
    ...(namespace !== undefined && { namespace }),
  };
}

function objectOf(content: Buffer): WrittenObject {
  try {
    const parsed = JSON.parse(content.toString('utf8')) as unknown;
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {}; // a refusal in plain text
  }
}
