import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mergePatch, Refusal, Store, type Stored, type StoredChange } from './store';

export type FakeVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/** One request as it arrived. */
export interface RecordedRequest {
  readonly verb: FakeVerb;
  readonly plural: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
  readonly at: number;
}

/** What happens to the next requests that match, instead of or before the answer. */
export interface Fault {
  readonly verb?: FakeVerb;
  /** How many requests. Default: 1. */
  readonly times?: number;
  readonly does:
    | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
    /** The connection is cut before an answer. */
    | 'cut'
    /** No answer, ever. */
    | 'hang'
    /** The answer comes so much later. */
    | { readonly delayMs: number }
    /** Done, but the connection is cut instead of the answer. */
    | 'cut after it is done'
    /** A watch that is answered and ended at once. */
    | 'close at once';
}

interface OpenWatch {
  readonly response: ServerResponse;
  readonly send: (change: StoredChange) => void;
  silent: boolean;
}

interface Target {
  readonly collection: string;
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/**
 * A Kubernetes API server as far as a client can tell: paths, verbs, resource versions, paging, watches, preconditions, refusals. Strict: what it
 * does not know it answers with 400 or 404. On top of that it can be told to misbehave.
 */
export class FakeApiServer {
  readonly store = new Store();
  readonly requests: RecordedRequest[] = [];
  /** If set, requests without this bearer token get 401. */
  token: string | undefined;
  /** Connections ever accepted. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<OpenWatch>();
  readonly #faults: (Fault & { left: number })[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), 'fake-apiserver-'));

  constructor() {
    this.#server = createServer((request, response) => {
      void this.#handle(request, response);
    });
    this.#server.on('connection', (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.store.onChange((change) => {
      for (const watch of this.#watches) watch.send(change);
    });
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) {
      this.#server.close();
      await once(this.#server, 'close');
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Path of a kubeconfig for this server. */
  kubeconfig(user: object = {}): string {
    const path = join(this.#directory, 'kubeconfig');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'fake', cluster: { server: `http://127.0.0.1:${this.port}`, 'insecure-skip-tls-verify': true } },
      ],
      users: [{ name: 'tester', user }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'tester' } }],
      'current-context': 'fake',
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  requestsOf(verb: FakeVerb): readonly RecordedRequest[] {
    return this.requests.filter((request) => request.verb === verb);
  }

  addFault(fault: Fault): void {
    this.#faults.push({ ...fault, left: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.#faults.length = 0;
  }

  /** Ends every open watch: in good order, or by cutting the connection. */
  endWatches(how: 'close' | 'cut'): void {
    for (const watch of this.#watches) {
      const { response } = watch;
      this.#watches.delete(watch);
      if (how === 'close') response.end();
      else response.socket?.destroy();
    }
  }

  /** Open watches stay open but tell nothing more. */
  silenceWatches(): void {
    for (const watch of this.#watches) watch.silent = true;
  }

  /** Changes of this callback are kept from open watches, which go on normally afterwards. */
  unseen(change: () => void): void {
    const watches = [...this.#watches].filter(({ silent }) => !silent);
    for (const watch of watches) watch.silent = true;
    change();
    for (const watch of watches) watch.silent = false;
  }

  /** Raw bytes to every open watch. */
  writeToWatches(text: string | Uint8Array): void {
    for (const { response } of this.#watches) response.write(text);
  }

  sendBookmarks(): void {
    const object = { metadata: { resourceVersion: String(this.store.version) } };
    this.writeToWatches(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? '/', 'http://fake');
    try {
      const text = Buffer.concat(chunks).toString();
      const body: unknown = text === '' ? undefined : JSON.parse(text);
      const target = parsePath(url.pathname);
      const verb = verbOf(request, url, target);
      this.requests.push({
        verb,
        plural: target.plural,
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body,
        at: Date.now(),
      });
      if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
        throw new Refusal(401, 'Unauthorized', 'Unauthorized');
      }
      const fault = this.#takeFault(verb);
      if (fault === 'hang') return;
      if (fault === 'cut') {
        response.socket?.destroy();
        return;
      }
      if (typeof fault === 'object' && 'delayMs' in fault) await new Promise((go) => setTimeout(go, fault.delayMs));
      // The client has gone meanwhile.
      if (response.destroyed) return;
      if (typeof fault === 'object' && 'status' in fault) {
        response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
        response.end(fault.body ?? status(new Refusal(fault.status, '', `told to answer ${fault.status}`)));
        return;
      }
      if (verb === 'watch') {
        this.#watch(request, response, url.searchParams, target);
        if (fault === 'close at once') response.end();
        return;
      }
      const answer = this.#answer(verb, request, url.searchParams, target, body);
      if (fault === 'cut after it is done') {
        response.socket?.destroy();
        return;
      }
      response.writeHead(verb === 'create' ? 201 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer));
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, 'InternalError', String(error));
      response.writeHead(refusal.code, { 'content-type': 'application/json' });
      response.end(status(refusal));
    }
  }

  #takeFault(verb: FakeVerb): Fault['does'] | undefined {
    const fault = this.#faults.find((candidate) => candidate.left > 0 && (candidate.verb ?? verb) === verb);
    if (fault === undefined) return undefined;
    fault.left--;
    return fault.does;
  }

  #answer(
    verb: FakeVerb,
    request: IncomingMessage,
    query: URLSearchParams,
    { collection, plural, namespace, name = '', subresource }: Target,
    body: unknown,
  ): unknown {
    switch (verb) {
      case 'list':
        return this.#list(request, query, collection, plural, namespace);
      case 'get':
        return this.store.get(collection, namespace, name);
      case 'create':
        return this.store.create(collection, namespace, body as Partial<Stored>);
      case 'update':
        return this.store.update(collection, namespace, name, () => body as Stored, subresource);
      case 'patch': {
        const type = request.headers['content-type'];
        if (type === 'application/merge-patch+json') {
          return this.store.update(collection, namespace, name, (now) => mergePatch(now, body) as Stored, subresource);
        }
        if (type !== 'application/apply-patch+yaml')
          throw new Refusal(415, 'UnsupportedMediaType', `patch type ${type}`);
        if (!query.get('fieldManager'))
          throw new Refusal(400, 'BadRequest', 'fieldManager is required for apply patch');
        const exists = this.store.list(collection, namespace).some(({ metadata }) => metadata.name === name);
        if (!exists && subresource === undefined) return this.store.create(collection, namespace, body as Stored);
        return this.store.update(collection, namespace, name, (now) => mergePatch(now, body) as Stored, subresource);
      }
      case 'delete': {
        const { preconditions } = (body ?? {}) as { preconditions?: { uid?: string; resourceVersion?: string } };
        const kept = this.store.delete(collection, namespace, name, preconditions);
        return kept ?? { kind: 'Status', apiVersion: 'v1', status: 'Success', details: { name, kind: plural } };
      }
      case 'watch':
        throw new Refusal(500, 'InternalError', 'a watch has no single answer');
    }
  }

  #list(
    request: IncomingMessage,
    query: URLSearchParams,
    collection: string,
    plural: string,
    namespace: string | undefined,
  ): unknown {
    const limit = Number(query.get('limit') ?? 0);
    const token = query.get('continue');
    const [version, offset] =
      token === null ? [this.store.version, 0] : (token.split(':').map(Number) as [number, number]);
    if (this.store.isCompacted(version)) {
      throw new Refusal(
        410,
        'Expired',
        'The provided continue parameter is too old to display a consistent list result.',
      );
    }
    const matching = this.store.list(collection, namespace).filter(selector(query));
    const page = limit > 0 ? matching.slice(offset, offset + limit) : matching;
    const next = offset + page.length;
    return {
      kind: `${plural}List`,
      metadata: {
        resourceVersion: String(version),
        ...(next < matching.length && { continue: `${version}:${next}` }),
      },
      // As the real one: without apiVersion and kind in each.
      items: page.map(shaper(request)).map(({ apiVersion: _apiVersion, kind: _kind, ...item }) => item),
    };
  }

  #watch(request: IncomingMessage, response: ServerResponse, query: URLSearchParams, target: Target): void {
    const since = Number(query.get('resourceVersion') ?? '0');
    if (!Number.isInteger(since) || since === 0)
      throw new Refusal(400, 'BadRequest', 'this fake wants a resource version');
    if (this.store.isCompacted(since)) throw new Refusal(410, 'Expired', `too old resource version: ${since}`);
    if (query.get('allowWatchBookmarks') !== 'true') throw new Refusal(400, 'BadRequest', 'this fake wants bookmarks');
    const seconds = Number(query.get('timeoutSeconds'));
    if (!(seconds > 0)) throw new Refusal(400, 'BadRequest', 'this fake wants timeoutSeconds');

    const matches = selector(query);
    const shape = shaper(request);
    const watch: OpenWatch = {
      response,
      silent: false,
      send: ({ collection, type, object, previous }) => {
        const { namespace } = target;
        if (watch.silent || collection !== target.collection) return;
        if (namespace !== undefined && object.metadata.namespace !== namespace) return;
        const is = type !== 'DELETED' && matches(object);
        const was = previous !== undefined && matches(previous);
        const seen = is ? (was ? 'MODIFIED' : 'ADDED') : was ? 'DELETED' : undefined;
        if (seen !== undefined) response.write(`${JSON.stringify({ type: seen, object: shape(object) })}\n`);
      },
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const change of this.store.changesSince(since, target.collection)) watch.send(change);
    this.#watches.add(watch);
    const timer = setTimeout(() => response.end(), seconds * 1000);
    response.on('close', () => {
      clearTimeout(timer);
      this.#watches.delete(watch);
    });
  }
}

function parsePath(path: string): Target {
  const segments = path.split('/').slice(1).map(decodeURIComponent);
  const isCore = segments[0] === 'api';
  if (!isCore && segments[0] !== 'apis')
    throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
  const groupVersion = segments.slice(1, isCore ? 2 : 3).join('/');
  let rest = segments.slice(isCore ? 2 : 3);
  let namespace: string | undefined;
  if (rest[0] === 'namespaces' && rest.length > 2) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [plural, name, subresource] = rest;
  if (plural === undefined || rest.length > 3 || (subresource !== undefined && subresource !== 'status')) {
    throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
  }
  return { collection: `${groupVersion}/${plural}`, plural, namespace, name, subresource };
}

function verbOf(request: IncomingMessage, url: URL, { name }: Target): FakeVerb {
  const { method } = request;
  if (method === 'GET' && name !== undefined) return 'get';
  if (method === 'GET') return url.searchParams.get('watch') === 'true' ? 'watch' : 'list';
  if (method === 'POST' && name === undefined) return 'create';
  if (method === 'PUT' && name !== undefined) return 'update';
  if (method === 'PATCH' && name !== undefined) return 'patch';
  if (method === 'DELETE' && name !== undefined) return 'delete';
  throw new Refusal(405, 'MethodNotAllowed', `${method} is not supported here`);
}

/** Existence, absence, equality and sets of labels; equality of `metadata.name` and `metadata.namespace`. */
function selector(query: URLSearchParams): (object: Stored) => boolean {
  const terms = (name: string): string[][] =>
    (query.get(name) ?? '')
      .split(/,(?![^(]*\))/)
      .filter((term) => term !== '')
      .map((term) => {
        const [, set, values = ''] = /^(\S+) in \((.*)\)$/.exec(term) ?? [];
        if (set !== undefined && name === 'labelSelector') return [set, values];
        const [key = '', ...value] = term.split('=');
        if (value.length > 1 || (value.length === 0 && name !== 'labelSelector'))
          throw new Refusal(400, 'BadRequest', `this fake can't select by ${term}`);
        return [key, ...value];
      });
  const labels = terms('labelSelector');
  const fields = terms('fieldSelector');
  return ({ metadata }) =>
    labels.every(([key = '', value]) => {
      const label = metadata.labels?.[key.replace(/^!/, '')];
      if (value !== undefined) return label !== undefined && value.split(',').includes(label);
      return key.startsWith('!') === (label === undefined);
    }) && fields.every(([key = '', value]) => metadata[key.replace(/^metadata\./, '')] === value);
}

function shaper(request: IncomingMessage): (object: Stored) => Stored {
  if (!/as=PartialObjectMetadata/.test(request.headers.accept ?? '')) return (object) => object;
  return ({ metadata }) => ({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata });
}

function status({ code, reason, message, details }: Refusal): string {
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details });
}
