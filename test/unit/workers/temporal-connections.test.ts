import { createServer, type AddressInfo } from 'node:net';
import { SILENT_LOGGER } from '../../../kubernetes/logger';
import { connectTemporal } from '../../../workers/temporal-connections';

it('says which server cannot be reached, and what names it', async () => {
  const address = `127.0.0.1:${await closedPort()}`;

  await expect(connectTemporal({ connection: { address }, logger: SILENT_LOGGER })).rejects.toThrow(
    new RegExp(`^Temporal at ${address} cannot be reached: .*; TEMPORAL_ADDRESS and TEMPORAL_TLS… say`),
  );
});

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
