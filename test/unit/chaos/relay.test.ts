import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { listen, startRelay, type Relay } from '../../chaos/relay';

/** A server that answers each piece with the same piece. */
const server = createServer((socket) => {
  socket.on('error', () => undefined); // connections are broken here on purpose
  socket.pipe(socket);
});
let relay: Relay;
let serverPort: number;
const sockets: Socket[] = [];

beforeAll(async () => {
  serverPort = await listen(server);
  relay = await startRelay(serverPort);
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await relay.close();
  server.close();
});

async function connected(port = relay.port): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

async function echo(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, 'data');
  socket.write(text);
  return String(((await answer) as [Buffer])[0]);
}

it('holds back what is sent while it is silent, and delivers it when mended', async () => {
  const socket = await connected();
  expect(await echo(socket, 'one')).toBe('one');

  relay.cut('silent');
  let isAnswered = false;
  const answer = echo(socket, 'two').finally(() => (isAnswered = true));
  // By then the server would have answered.
  expect(await echo(await connected(serverPort), 'past the relay')).toBe('past the relay');
  expect(isAnswered).toBe(false);
  relay.mend();

  expect(await answer).toBe('two');
});

it('breaks connections and refuses new ones while it refuses', async () => {
  const socket = await connected();
  const broken = once(socket, 'close');
  relay.cut('refused');
  await broken;
  const refused = connect(relay.port, '127.0.0.1');
  await once(refused, 'close');
  relay.mend();

  expect(await echo(await connected(), 'again')).toBe('again');
});
