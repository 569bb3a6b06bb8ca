import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { selfSigned } from '../certificates';

const SUBPROTOCOL = 'v4.channel.k8s.io';
const DATA = 0;
const ERROR = 1;

/** One request for a log, as the API server passed it on. */
export interface LogRequest {
  readonly pod: string;
  readonly container: string;
  readonly query: URLSearchParams;
}

/**
 * The part of a kubelet that the API server talks to: logs, and port-forward by WebSocket. What listens on a pod's ports is a server of the test.
 * Anything else is refused.
 */
export class FakeKubelet {
  readonly logRequests: LogRequest[] = [];
  readonly #logs = new Map<string, (response: ServerResponse, query: URLSearchParams) => void>();
  readonly #ports = new Map<number, number>();
  readonly #server;
  readonly #sockets = new Set<Socket>();
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });

  constructor() {
    const { key, certificate } = selfSigned();
    this.#server = createTlsServer({ key, cert: certificate }, (request, response) => this.#answer(request, response));
    this.#server.on('secureConnection', (socket: Socket) => this.#keep(socket));
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      const { port } = this.#requestOf(request, /^\/portForward\/[^/]+\/[^/]+$/);
      if (port === undefined) return void socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => this.#forward(webSocket, port));
    });
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What a container printed, or how it goes on printing. */
  log(
    pod: string,
    container: string,
    write: string | ((response: ServerResponse, query: URLSearchParams) => void),
  ): void {
    this.#logs.set(`${pod}/${container}`, typeof write === 'string' ? (response) => response.end(write) : write);
  }

  /** Who listens on a port of every pod: a port of this machine. */
  listen(podPort: number, localPort: number): void {
    this.#ports.set(podPort, localPort);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { path, query } = this.#requestOf(request, /^\/containerLogs\/[^/]+\/[^/]+\/[^/]+$/);
    const [, , , pod = '', container = ''] = path.split('/');
    this.logRequests.push({ pod, container, query });
    const write = this.#logs.get(`${pod}/${container}`);
    if (write === undefined) {
      response.writeHead(404).end(`no log of container ${container} in pod ${pod}`);
      return;
    }
    write(response, query);
  }

  #requestOf(request: IncomingMessage, known: RegExp) {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '', 'https://kubelet');
    const port = query.get('port') ?? query.get('ports');
    return { path, query, port: known.test(path) && port !== null ? Number(port) : undefined };
  }

  /** As kubelets do it: each channel begins with the number of its port, then come bytes. */
  #forward(webSocket: WebSocket, port: number): void {
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    const send = (channel: number, bytes: Buffer): void => webSocket.send(Buffer.concat([Buffer.of(channel), bytes]));
    send(DATA, number);
    send(ERROR, number);
    const localPort = this.#ports.get(port);
    if (localPort === undefined) {
      send(ERROR, Buffer.from(`nobody listens on port ${port}`));
      webSocket.close();
      return;
    }
    const socket = connect(localPort, '127.0.0.1');
    this.#keep(socket);
    socket.on('data', (bytes: Buffer) => send(DATA, bytes));
    socket.on('close', () => webSocket.close());
    socket.on('error', (error) => send(ERROR, Buffer.from(error.message)));
    webSocket.on('message', (message: Buffer) => socket.write(message.subarray(1)));
    webSocket.on('close', () => socket.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

/** A server on any free port of this machine. */
export async function listening(handle: RequestListener): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}
