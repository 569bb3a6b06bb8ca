import { once } from 'node:events';
import {
  connect,
  constants,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Certified } from '../fakes/certificates';

/** What stands before a Temporal server in the world outside: TLS, client certificates, API keys. The dev server has none of these itself. */

/** Headers that belong to one connection, or are made anew. */
const OWN_HEADERS = [constants.HTTP2_HEADER_CONNECTION, constants.HTTP2_HEADER_TRANSFER_ENCODING];
/** gRPC's status. */
const UNAUTHENTICATED = '16';

export interface ProxyOptions {
  /** The server's own. */
  readonly server: Certified;
  /** Where the Temporal server answers, without TLS. */
  readonly target: string;
  /** Clients have to show a certificate of this authority. */
  readonly clientAuthority?: string;
  /** Requests have to bear one of these keys. */
  readonly apiKeys?: ReadonlySet<string>;
}

/** A gRPC proxy that ends TLS. */
export class TemporalProxy {
  /** API keys that were shown, each once, in order. */
  readonly seenApiKeys = new Set<string>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #server: Http2SecureServer;

  private constructor(
    server: Http2SecureServer,
    private readonly options: ProxyOptions,
  ) {
    this.#server = server;
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => undefined); // a client that is refused resets its connection
    });
    server.on('stream', (stream, headers) => this.#forward(stream, headers));
  }

  static async start(options: ProxyOptions): Promise<TemporalProxy> {
    const { server, clientAuthority } = options;
    const isAsked = clientAuthority !== undefined;
    const proxy = createSecureServer({
      key: server.key,
      cert: server.certificate,
      requestCert: isAsked,
      rejectUnauthorized: isAsked,
      ...(isAsked && { ca: clientAuthority }),
    });
    const started = new TemporalProxy(proxy, options);
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    return started;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => undefined); // a cancelled request
    const [, key] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
    if (key !== undefined) this.seenApiKeys.add(key);
    if (this.options.apiKeys !== undefined && !(key !== undefined && this.options.apiKeys.has(key))) {
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': UNAUTHENTICATED,
          'grpc-message': 'API key is not known',
        },
        { endStream: true },
      );
      return;
    }
    const upstream = connect(`http://${this.options.target}`);
    const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN_HEADERS.includes(name)));
    const request = upstream.request(kept);
    upstream.on('error', () => stream.close(constants.NGHTTP2_CANCEL));
    request.on('error', () => stream.close(constants.NGHTTP2_CANCEL));
    request.on('response', (answer, flags) => {
      const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      if (!stream.destroyed) stream.respond(answer, { endStream: isWhole, waitForTrailers: !isWhole });
    });
    let trailers: IncomingHttpHeaders = {};
    request.on('trailers', (given: IncomingHttpHeaders) => {
      trailers = given;
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('close', () => upstream.destroy());
    stream.pipe(request);
    request.pipe(stream);
  }
}
