import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { GROUP_PROBE } from '../../../manifests/group-probe';

/** Runs the probe as the kubelet does, against real connections of this process. */
function probe(
  mode: 'start' | 'check',
  rank: number,
  rendezvous: number,
  http = 1,
): Promise<{ ok: boolean; said: string }> {
  const args = ['-c', GROUP_PROBE, mode, String(rendezvous), String(http)];
  return new Promise((resolve) => {
    execFile('python3', args, { env: { ...process.env, POD_INDEX: String(rank) } }, (error, _stdout, stderr) => {
      resolve({ ok: error === null, said: stderr.trim().split('\n').at(-1) ?? '' });
    });
  });
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function join(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  await once(socket, 'connect');
  return socket;
}

async function leave(socket: Socket): Promise<void> {
  socket.resetAndDestroy();
  await once(socket, 'close');
}

describe('the probe of a pod in a group', () => {
  const rendezvous = createServer((socket) => socket.on('error', () => socket.destroy()));
  const http = createHttpServer((request, response) =>
    response.writeHead(request.url === '/health' ? status : 404).end(),
  );
  let status = 200;
  let port: number;
  let httpPort: number;

  beforeEach(async () => {
    status = 200;
    port = await listen(rendezvous);
    httpPort = await listen(http);
  });

  afterEach(async () => {
    await Promise.all([rendezvous, http].map((server) => new Promise((closed) => server.close(closed))));
    for (const rank of [0, 1]) rmSync(`/tmp/rendezvous-${port}-${rank}.json`, { force: true });
  });

  it('lets a worker start once it is connected, and fails it when the connection is gone', async () => {
    expect(await probe('start', 1, port)).toEqual({ ok: false, said: 'not connected to the rendezvous' });
    const worker = await join(port, '127.0.0.2');
    expect(await probe('start', 1, port)).toEqual({ ok: true, said: '' });
    expect(await probe('check', 1, port)).toEqual({ ok: true, said: '' });
    await leave(worker);
    expect((await probe('check', 1, port)).ok).toBe(false);
  });

  it('lets the first pod start once the model answers', async () => {
    const worker = await join(port, '127.0.0.2');
    status = 503;
    expect((await probe('start', 0, port, httpPort)).said).toContain('503');
    status = 200;
    expect((await probe('start', 0, port, httpPort)).ok).toBe(true);
    expect((await probe('check', 0, port, httpPort)).ok).toBe(true);
    status = 500;
    expect((await probe('check', 0, port, httpPort)).ok).toBe(false);
    await leave(worker);
  });

  it('fails the first pod when a peer was replaced, even though the new one is connected', async () => {
    const steady = await join(port, '127.0.0.2');
    const worker = await join(port, '127.0.0.3');
    expect((await probe('start', 0, port, httpPort)).ok).toBe(true);
    await leave(worker);
    const stranger = await join(port, '127.0.0.3');
    expect(await probe('check', 0, port, httpPort)).toEqual({ ok: false, said: 'peer 0300007F left the group' });
    await Promise.all([leave(steady), leave(stranger)]);
  });
});
