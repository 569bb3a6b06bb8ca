import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';

/** Below the range that Linux and macOS hand out for outgoing connections, so that none of those can take one meanwhile. */
const [FROM, TO] = [20_000, 30_000];
const TRIES = 200;

/** Picks a free port of the loopback address for each name: the preferred one, or any. */
export async function pickPorts<Name extends string>(
  names: readonly Name[],
  preferred: Readonly<Partial<Record<Name, number>>>,
): Promise<Record<Name, number>> {
  const picked = new Set<number>();
  const ports: Partial<Record<Name, number>> = {};
  for (const name of names) {
    const wish = preferred[name];
    const port = wish !== undefined && !picked.has(wish) && (await isFree(wish)) ? wish : await anyFree(picked);
    picked.add(port);
    ports[name] = port;
  }
  return ports as Record<Name, number>;
}

async function anyFree(except: ReadonlySet<number>): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(FROM, TO);
    if (!except.has(port) && (await isFree(port))) return port;
  }
  throw new Error(`no free port between ${FROM} and ${TO}`);
}

/** True when nothing listens there, on loopback or on all addresses. */
async function isFree(port: number): Promise<boolean> {
  return (await canListen(port, '127.0.0.1')) && (await canListen(port, '0.0.0.0'));
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
