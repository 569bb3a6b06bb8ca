import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A repository of the fake hub. */
export interface FakeRepository {
  readonly id: string;
  readonly sha: string;
  /** The hub's `gated`: metadata is public, files need a token with access. */
  readonly gated?: false | 'auto' | 'manual';
  /** Metadata, too, needs the token. */
  readonly private?: boolean;
  /** Small files with their content, weights with their size only. */
  readonly files: Readonly<Record<string, string | number>>;
}

/**
 * A strict stand-in for huggingface.co, as far as describing models goes: revision info, paged file tree, ranged download. Anything else
 * that is asked is noted in `violations` and answered 501.
 */
export class FakeHub {
  readonly violations: string[] = [];
  readonly requests: string[] = [];
  /** Set to make every request fail with this status, or hang for ever. */
  trouble: number | 'hang' | undefined;

  private constructor(
    readonly url: string,
    private readonly server: ReturnType<typeof createServer>,
  ) {}

  /** @param token The one token with access to private and gated repositories. */
  static async start(repositories: readonly FakeRepository[], token = 'hf_good'): Promise<FakeHub> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const hub = new FakeHub(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
    server.on('request', (request, response) => hub.answer(request, response, repositories, token));
    return hub;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(
    request: IncomingMessage,
    response: ServerResponse,
    repositories: readonly FakeRepository[],
    token: string,
  ): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    this.requests.push(`${request.method} ${pathname}`);
    if (this.trouble === 'hang') return;
    if (this.trouble !== undefined) return json(response, this.trouble, { error: 'trouble' });

    const isGranted = request.headers.authorization === `Bearer ${token}`;
    if (
      request.headers.authorization !== undefined &&
      !isGranted &&
      !request.headers.authorization.startsWith('Bearer hf_')
    ) {
      this.violations.push(`authorization ${request.headers.authorization}`);
    }
    const [, id = '', kind, revision, path] =
      /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(pathname) ??
      /^\/([^/]+\/[^/]+)\/(resolve)\/([^/]+)\/(.+)$/.exec(pathname) ??
      [];
    const repository = repositories.find((candidate) => candidate.id.toLowerCase() === id.toLowerCase());
    if (request.method !== 'GET' || kind === undefined) return this.refuse(request, response);
    // The hub doesn't tell strangers whether a repository exists.
    if (repository === undefined || (repository.private && !isGranted)) {
      return json(response, isGranted ? 404 : 401, { error: 'Repository not found' });
    }
    if (kind === 'revision' && revision === 'HEAD') return json(response, 200, info(repository));
    if (revision !== repository.sha) return this.refuse(request, response);
    if (kind === 'tree') return this.tree(repository, pathname, searchParams, response);
    if (repository.gated && !isGranted) {
      response.setHeader('X-Error-Code', 'GatedRepo');
      return json(response, isGranted ? 403 : 401, { error: 'Access to this model is restricted' });
    }
    return download(repository, path ?? '', request, response);
  }

  /** Two entries a page, so that the pages are followed. */
  private tree(repository: FakeRepository, pathname: string, query: URLSearchParams, response: ServerResponse): void {
    if (query.get('recursive') !== 'true') this.violations.push('tree without recursive=true');
    const from = Number(query.get('cursor') ?? 0);
    const entries = Object.entries(repository.files).map(([path, file]) => ({
      type: 'file',
      path,
      size: typeof file === 'number' ? file : Buffer.byteLength(file),
      oid: 'a'.repeat(40),
    }));
    if (from + 2 < entries.length) {
      response.setHeader('Link', `<${this.url}${pathname}?recursive=true&expand=false&cursor=${from + 2}>; rel="next"`);
    }
    json(response, 200, entries.slice(from, from + 2));
  }

  private refuse(request: IncomingMessage, response: ServerResponse): void {
    this.violations.push(`${request.method} ${request.url}`);
    json(response, 501, { error: 'not part of the fake' });
  }
}

function info(repository: FakeRepository) {
  return {
    _id: '6'.repeat(24),
    id: repository.id,
    private: repository.private ?? false,
    gated: repository.gated ?? false,
    pipeline_tag: 'text-generation',
    downloads: 1,
    likes: 1,
    lastModified: '2026-01-01T00:00:00.000Z',
    sha: repository.sha,
  };
}

function download(repository: FakeRepository, path: string, request: IncomingMessage, response: ServerResponse): void {
  const content = repository.files[path];
  if (typeof content !== 'string') {
    response.setHeader('X-Error-Code', 'EntryNotFound');
    return json(response, 404, { error: 'Entry not found' });
  }
  const bytes = Buffer.from(content);
  response.setHeader('ETag', '"1"');
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  if (range === null) {
    response.writeHead(200).end(bytes);
    return;
  }
  const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)];
  response.writeHead(206, { 'Content-Range': `bytes ${from}-${to}/${bytes.length}` }).end(bytes.subarray(from, to + 1));
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
