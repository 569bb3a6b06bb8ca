import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';

import type { SelfSigned } from '../certificates';
import { ArmRefusal } from './errors';
import type { Happening } from './invariants';
import { poolOfPath, type Router } from './router';
import type { RequestScript } from './script';
import type { Answer, RecordedRequest } from './types';

/** HTTPS: records each request, does to it what the script says, and answers. */
export class ArmServer {
  readonly requests: RecordedRequest[] = [];
  readonly log: Happening[] = [];
  /** Errors of the fake itself. */
  readonly errors: unknown[] = [];
  readonly #delays = new Set<NodeJS.Timeout>();
  readonly #server: Server;
  #url = '';

  constructor(
    { key, certificate }: SelfSigned,
    readonly script: RequestScript,
    readonly changed: () => void,
  ) {
    this.#server = createServer({ key, cert: certificate });
  }

  get url(): string {
    return this.#url;
  }

  async start(router: Router): Promise<void> {
    this.#server.on('request', (request, response) => {
      this.#serve(router, request, response).catch((error: unknown) => {
        // A client that went away while its request was read is no error of anybody's.
        if (!request.destroyed) this.errors.push(error);
        response.destroy();
      });
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.#url = `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const delay of this.#delays) clearTimeout(delay);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(router: Router, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await this.#record(incoming);
    const effect = this.script.effectOn(request);
    if (effect?.kind === 'reset') return this.#cut(request, incoming);
    if (effect?.kind === 'answer') router.count(request, effect.refusal.status);
    let answer = effect?.kind === 'answer' ? { headers: {}, ...effect.refusal } : this.#route(router, request);
    if (effect?.kind === 'resetAfterEffect') return this.#cut(request, incoming);
    if (effect?.kind === 'alter') answer = effect.change(answer);
    if (effect?.kind === 'delay') {
      await new Promise<void>((resolve) => this.#delays.add(setTimeout(resolve, effect.ms)));
    }
    this.#send(request, response, answer);
  }

  async #record(incoming: IncomingMessage): Promise<RecordedRequest> {
    const atMs = Date.now();
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(incoming.url ?? '/', this.#url);
    const path = decodeURIComponent(pathname);
    const pool = poolOfPath(path);
    const request: RecordedRequest = {
      method: incoming.method ?? '',
      path,
      query: searchParams,
      headers: Object.fromEntries(
        Object.entries(incoming.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(', ') : (value ?? ''),
        ]),
      ),
      body: parse(Buffer.concat(chunks).toString(), incoming.headers['content-type'] ?? ''),
      ...(pool !== undefined && { pool }),
      atMs,
      status: 0,
    };
    this.requests.push(request);
    this.log.push({ kind: 'came', request, atMs });
    return request;
  }

  #route(router: Router, request: RecordedRequest): Answer {
    try {
      return router.answer(request);
    } catch (error) {
      if (error instanceof ArmRefusal) return { headers: {}, ...error.refusal };
      this.errors.push(error);
      return { status: 500, headers: {}, body: { error: { code: 'FakeIsBroken', message: String(error) } } };
    }
  }

  #cut(request: RecordedRequest, incoming: IncomingMessage): void {
    request.answeredAtMs = Date.now();
    incoming.socket.destroy();
    this.changed();
  }

  #send(request: RecordedRequest, response: ServerResponse, { status, headers, body }: Answer): void {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const correlationId = randomUUID();
    request.status = status;
    request.answeredAtMs = Date.now();
    this.log.push({ kind: 'answered', request, atMs: request.answeredAtMs });
    const retryAfterSeconds = secondsOf(headers['retry-after'] ?? headers['Retry-After'], request.answeredAtMs);
    if (retryAfterSeconds !== undefined) request.retryAfterSeconds = retryAfterSeconds;
    const operation = headers['azure-asyncoperation'] ?? headers['location'];
    if (operation !== undefined) request.operationPath = new URL(operation).pathname;
    response.writeHead(status, {
      'x-ms-request-id': randomUUID(),
      'x-ms-correlation-request-id': correlationId,
      'x-ms-routing-request-id': `EASTUS:20261101T000000Z:${correlationId}`,
      'cache-control': 'no-cache',
      ...(text !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
      ...headers,
    });
    response.end(text);
    this.changed();
  }
}

function secondsOf(retryAfter: string | undefined, nowMs: number): number | undefined {
  if (retryAfter === undefined) return undefined;
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - nowMs) / 1_000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

/** JSON where it says so; anything else as text, which no handler takes for an object. */
function parse(text: string, contentType: string): unknown {
  if (text === '') return undefined;
  if (!contentType.includes('json')) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
