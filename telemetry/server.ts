import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../kubernetes/logger';
import type { Health, Verdict } from './health';

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

/** Serves `/metrics`, `/healthz` and `/readyz`, without credentials; nothing there is secret, and nothing can be changed. Port 0: any free one. */
export async function serveHttp(
  port: number,
  {
    health,
    metrics,
    logger,
  }: {
    readonly health: Health;
    readonly metrics: () => Promise<{ readonly type: string; readonly body: string }>;
    readonly logger: Logger;
  },
): Promise<HttpServer> {
  async function answer({ method, url = '/' }: IncomingMessage): Promise<Answer> {
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET is answered here\n');
    switch (new URL(url, 'http://localhost').pathname) {
      case '/metrics':
        return { code: 200, ...(await metrics()) };
      case '/healthz':
        return verdict(await health.live());
      case '/readyz':
        return verdict(await health.ready());
      default:
        return text(404, 'here are /metrics, /healthz and /readyz\n');
    }
  }

  const server = createServer((request, response) => {
    answer(request)
      .catch((error: unknown) => {
        logger.error('a request for metrics or health failed', { url: request.url, error });
        return text(500, 'failed; see the log\n');
      })
      .then((answered) => send(response, answered, request.method === 'HEAD'))
      .catch((error: unknown) => logger.warn('an answer could not be sent', { url: request.url, error }));
  });
  await listen(server, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const what = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message;
      reject(new Error(`KAITO_HTTP_PORT is ${port}: ${what}; set another port, 0 for any free one, or off`));
    });
    server.listen(port, resolve);
  });
}

function verdict(judged: Verdict): Answer {
  return { code: judged.ok ? 200 : 503, type: 'application/json', body: `${JSON.stringify(judged, null, 2)}\n` };
}

function text(code: number, body: string): Answer {
  return { code, type: 'text/plain; charset=utf-8', body };
}

function send(response: ServerResponse, { code, type, body }: Answer, isHead: boolean): void {
  response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(isHead ? undefined : body);
}
