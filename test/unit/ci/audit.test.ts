import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import manifest from '../../../package.json';

/** What CI says of the packages that the product's image holds: npm itself, and a registry that answers as it is told. */
const ROOT = path.resolve(__dirname, '../../..');
const exec = promisify(execFile);
const NPM_TIMEOUT_MS = 120_000;

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly dev?: true; readonly optional?: true; readonly devOptional?: true }>
  >;
}

let server: Server | undefined;
afterEach(() => server?.close());

async function audit(answer: RequestListener): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const running = exec(path.join(ROOT, '.ci', 'audit'), { env: { ...process.env, npm_config_registry: registry } });
  const { code, stdout } = await running.then(
    (ended) => ({ code: 0, ...ended }),
    (error: { readonly code: number; readonly stdout: string }) => error,
  );
  return { code, lines: stdout.trim().split('\n') };
}

const advisory = (severity: string) => ({
  zod: [{ id: 1, url: 'https://example.com/1', title: 'a hole', severity, vulnerable_versions: '*', cwe: [] }],
});

/** A registry that knows of these holes, and of one version of everything. */
const answering =
  (advisories: object): RequestListener =>
  (request, response) => {
    response.setHeader('content-type', 'application/json');
    const name = decodeURIComponent(request.url?.slice(1) ?? '');
    const version = '1.0.0';
    const packument = { name, 'dist-tags': { latest: version }, versions: { [version]: { name, version } } };
    response.end(JSON.stringify(name.endsWith('/advisories/bulk') ? advisories : packument));
  };

describe('the audit', () => {
  it(
    'fails for a severe hole, naming the package',
    async () => {
      const { code, lines } = await audit(answering(advisory('high')));
      expect(code).toBe(1);
      expect(lines).toEqual(['high: zod *; there is no fix yet']);
    },
    NPM_TIMEOUT_MS,
  );

  it(
    'passes when there is none, and says how many packages it looked at',
    async () => {
      const { code, lines } = await audit(answering({}));
      expect(code).toBe(0);
      expect(lines).toEqual([expect.stringMatching(/^audited \d{2,} packages, found \{.*"total":0\}$/)]);
    },
    NPM_TIMEOUT_MS,
  );

  it(
    'fails when the registry could tell, and does not',
    async () => {
      const { code, lines } = await audit((_, response) => response.writeHead(400).end('{}'));
      expect(code).toBe(1);
      expect(lines).toEqual([expect.stringMatching(/^the audit failed: 400 Bad Request/)]);
    },
    NPM_TIMEOUT_MS,
  );

  it(
    'says that nothing was audited where the registry can’t tell',
    async () => {
      const { code, lines } = await audit((_, response) => response.writeHead(405).end('Method Not Allowed'));
      expect(code).toBe(0);
      expect(lines).toEqual([expect.stringMatching(/^NOT AUDITED: 405 Method Not Allowed/)]);
    },
    NPM_TIMEOUT_MS,
  );
});

it(
  'the list of what the image is made of names every package that the product asks for, in its version, and no tool of ours',
  async () => {
    // On what is installed in the image: npm's own --omit also leaves out what a tool of ours needs, too.
    const folder = await mkdtemp(path.join(tmpdir(), 'kaito-sbom-'));
    const { devDependencies: _, optionalDependencies: __, ...alone } = manifest;
    const { packages: locked } = JSON.parse(await readFile(path.join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
    const installed = Object.entries(locked).filter(
      ([at, one]) => at !== '' && !(one.dev || one.optional || one.devOptional),
    );
    const lock = { lockfileVersion: 3, packages: { '': alone, ...Object.fromEntries(installed) } };
    await writeFile(path.join(folder, 'package.json'), JSON.stringify(alone));
    await writeFile(path.join(folder, 'package-lock.json'), JSON.stringify(lock));
    const args = ['sbom', '--sbom-format=spdx', '--package-lock-only'];
    const { stdout } = await exec('npm', args, { cwd: folder, maxBuffer: 2 ** 26 });
    await rm(folder, { recursive: true });
    const { packages } = JSON.parse(stdout) as {
      readonly packages: readonly { readonly name: string; readonly versionInfo: string }[];
    };
    const listed = new Set(packages.map(({ name, versionInfo }) => `${name}@${versionInfo}`));
    expect(
      Object.entries(manifest.dependencies).filter(([name, version]) => !listed.has(`${name}@${version}`)),
    ).toEqual([]);
    const names = new Set(packages.map(({ name }) => name));
    expect(['eslint', 'jest', 'prettier', 'typescript'].filter((name) => names.has(name))).toEqual([]);
  },
  NPM_TIMEOUT_MS,
);
