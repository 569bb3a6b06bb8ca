import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openTemporal } from '../../../cli/temporal';

test('keys that histories are encrypted with are looked for before Temporal is asked anything', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'keys-'));
  try {
    const opening = openTemporal({ address: '127.0.0.1:1' }, { KAITO_PAYLOAD_KEYS: folder });
    await expect(opening).rejects.toMatchObject({
      told: { exit: 'usage', message: expect.stringContaining('KAITO_PAYLOAD_KEY') as string },
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
