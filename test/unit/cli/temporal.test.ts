import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openTemporal } from '../../../cli/temporal';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-cli-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('keys that histories are encrypted with are looked for before Temporal is asked anything', async () => {
  const opening = openTemporal({ address: '127.0.0.1:1' }, { KAITO_PAYLOAD_KEYS: folder });
  await expect(opening).rejects.toMatchObject({
    told: { exit: 'usage', message: expect.stringContaining('KAITO_PAYLOAD_KEY') as string },
  });
});

test('so is the file that holds the API key', async () => {
  const opening = openTemporal({ address: '127.0.0.1:1' }, { KAITO_TEMPORAL_API_KEY_FILE: path.join(folder, 'none') });
  await expect(opening).rejects.toMatchObject({
    told: { exit: 'usage', message: expect.stringMatching(/KAITO_TEMPORAL_API_KEY_FILE: .*ENOENT/) as string },
  });
});

describe('a server that answers', () => {
  const shown: string[] = [];
  const sessions = new Set<ServerHttp2Session>();
  let server: Http2Server;
  let address: string;

  beforeEach(async () => {
    shown.length = 0;
    server = createServer();
    server.on('session', (session) => sessions.add(session));
    server.on('stream', (stream, { authorization }) => {
      shown.push(authorization ?? 'nothing');
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      // One message of no bytes: all fields have their defaults.
      stream.end(Buffer.alloc(5));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    for (const session of sessions) session.destroy();
    sessions.clear();
    await new Promise((resolve) => server.close(resolve));
  });

  test('is shown the API key of the file that the chart mounts', async () => {
    const file = path.join(folder, 'api-key');
    await writeFile(file, 'the-key\n');
    const temporal = await openTemporal({ address }, { KAITO_TEMPORAL_API_KEY_FILE: file, TEMPORAL_TLS: 'false' });
    await temporal.close();
    expect(shown).toEqual(['Bearer the-key']);
  });

  test('and a history that is encrypted: what is missing is the variable with the keys', async () => {
    const temporal = await openTemporal({ address }, { TEMPORAL_TLS: 'false' });
    await temporal.close();
    const [codec] = temporal.client.options.loadedDataConverter.payloadCodecs;
    const encrypted = {
      metadata: { encoding: Buffer.from('binary/encrypted'), 'encryption-key-id': Buffer.from('2026') },
    };
    await expect(codec?.decode([encrypted])).rejects.toThrow("encrypted with the key '2026', and KAITO_PAYLOAD_KEYS");
  });
});
