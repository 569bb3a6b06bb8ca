/**
 * A cable between two programs that can be cut: TCP connections are passed on byte for byte.
 */
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';

/** `silent`: nothing arrives any more, and nobody is told. `refused`: connections break, and new ones are refused. */
export type Cut = 'silent' | 'refused';

export interface Relay {
  readonly port: number;
  cut(how: Cut): void;
  /** What was held back arrives. */
  mend(): void;
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';

/** Passes connections on to the port on this machine. */
export async function startRelay(toPort: number): Promise<Relay> {
  let cut: Cut | undefined;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.once('close', () => sockets.delete(socket));
  };

  const server = createServer({ pauseOnConnect: true }, (near) => {
    if (cut === 'refused') {
      near.destroy();
      return;
    }
    keep(near);
    const far = connect(toPort, LOOPBACK);
    keep(far);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('data', (chunk: Buffer) => {
        if (!other.write(chunk)) one.pause();
      });
      one.on('drain', () => {
        if (cut === undefined) other.resume();
      });
      one.on('end', () => other.end());
      // A broken connection is broken on both sides; who used it finds out by himself.
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    if (cut === 'silent') far.pause();
    else near.resume();
  });
  const port = await listen(server);

  return {
    port,
    cut(how) {
      cut = how;
      for (const socket of sockets) {
        if (how === 'silent') socket.pause();
        else socket.destroy();
      }
    },
    mend() {
      cut = undefined;
      for (const socket of sockets) socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Listens on any free port of the loopback address. */
export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, LOOPBACK, resolve);
  });
  return (server.address() as AddressInfo).port;
}
