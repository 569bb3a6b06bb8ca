import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { ROOT } from '../defaults';
import { withFileLock } from '../lock';
import { getPrograms } from '../programs';
import type { Log } from '../programs/source';
import { debianImage, inContainer } from './build-images';
import { OPEN_FILES, openBuildah, type Buildah } from './buildah';
import { checkHost, imageCache, step } from './host';
import { filesBelow, keyOf } from './key';
import { findLayout, writeLayout } from './layout';
import type { BuiltImage } from './types';

/** What the chart's pods run. */
export interface ProductImages {
  /** The Dockerfile of this repository, on Debian with Node from packages. */
  readonly product: BuiltImage;
  /** Temporal's command line tool, which has a server in it, by the name of its official image. */
  readonly temporal: BuiltImage;
}

/** The one that package-lock.json was last written with. */
const NPM = '11.19.1';
const NODE = process.version.replace('v', '');
const NAMES = {
  product: 'kaito-temporal/kaito-temporal:0.1.0',
  temporal: (version: string) => `temporalio/temporal:${version}`,
} as const;
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Raised when what is done below changes in a way that the inputs don't show. */
const RECIPE = '1';

/**
 * Builds the images of the chart without any image registry. The Dockerfile is the real one; only its base is made here. Cached by what goes in.
 *
 * @throws MissingToolsError naming the Debian packages to install. Needs Linux and root.
 */
export async function buildProductImages(log: Log): Promise<ProductImages> {
  return withFileLock(
    path.join(imageCache(), 'lock'),
    (holder) => log(`waiting for process ${holder.pid}, which is building images`),
    async () => {
      await checkHost();
      const buildah = await openBuildah(log);
      return { product: await productImage(buildah, log), temporal: await temporalImage(buildah, log) };
    },
  );
}

async function productImage(buildah: Buildah, log: Log): Promise<BuiltImage> {
  const key = await productKey();
  const found = await findLayout('product', key, NAMES.product);
  if (found !== undefined) return found;
  const base = `localhost/node:${key}`;
  const image = `localhost/product:${key}`;
  const folder = await mkdtemp(path.join(tmpdir(), 'kaito-product-'));
  try {
    await nodeImage(buildah, base, folder, log);
    try {
      await buildFrom(buildah, { base, image, folder }, log);
      return await writeLayout(buildah, image, { title: 'product', key, name: NAMES.product });
    } finally {
      // Both are made in seconds; what took long is in the layout.
      const made = [image, base];
      const there = await Promise.all(made.map((one) => buildah.has(one)));
      await buildah.run('tidying', 'rmi', '--force', ...made.filter((_, at) => there[at]));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the Dockerfile; packages come the way they come to this machine. */
async function buildFrom(
  buildah: Buildah,
  { base, image, folder }: { readonly base: string; readonly image: string; readonly folder: string },
  log: Log,
): Promise<void> {
  const asked = (name: string): Promise<string> => step('asking npm', ['npm', 'config', 'get', name], log);
  const cache = (await asked('cache')).trim();
  const npmrc = path.join(folder, 'npmrc');
  const lines = [`cafile=${CERTIFICATES}`, `registry=${(await asked('registry')).trim()}`, 'cache=/var/cache/npm'];
  await writeFile(npmrc, [...lines, 'update-notifier=false', ''].join('\n'));
  await buildah.run(
    `building ${NAMES.product}`,
    'bud',
    ...['--isolation=chroot', '--network=host', '--pull-never', '--layers=false', ...OPEN_FILES],
    ...['--build-arg', `NODE_IMAGE=${base}`],
    ...['--volume', `${npmrc}:/usr/local/etc/npmrc:ro`, '--volume', `${cache}:/var/cache/npm`],
    ...['--volume', `${CERTIFICATES}:${CERTIFICATES}:ro`],
    ...['--tag', image, ROOT],
  );
}

/** What `.dockerignore` lets through. */
async function productKey(): Promise<string> {
  const ignored = await readFile(path.join(ROOT, '.dockerignore'), 'utf8');
  const taken = ignored.split('\n').flatMap((line) => (line.startsWith('!') ? [path.join(ROOT, line.slice(1))] : []));
  const below = await Promise.all(taken.map(filesBelowOrSelf));
  const runtime = path.join(ROOT, 'presets', 'runtime') + path.sep;
  const files = [...new Set(below.flat())].filter((file) => !file.startsWith(runtime) || taken.includes(file));
  const own = ['Dockerfile', '.dockerignore'].map((name) => path.join(ROOT, name));
  return keyOf({ texts: [RECIPE, NPM, NODE, process.arch], root: ROOT, files: [...own, ...files] });
}

async function filesBelowOrSelf(entry: string): Promise<readonly string[]> {
  try {
    return await filesBelow(entry);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return [entry];
    throw error;
  }
}

/** Debian with Node and npm where the official image has them. */
async function nodeImage(buildah: Buildah, image: string, folder: string, log: Log): Promise<void> {
  const debian = await debianImage(buildah, log);
  await step('getting npm', ['npm', 'pack', '--silent', '--pack-destination', folder, `npm@${NPM}`], log);
  await step('unpacking npm', ['tar', '-xzf', path.join(folder, `npm-${NPM}.tgz`), '-C', folder], log);
  await inContainer(buildah, debian, image, async (container) => {
    await buildah.run('adding Node', 'copy', '--quiet', container, process.execPath, '/usr/local/bin/node');
    const modules = '/usr/local/lib/node_modules/npm';
    await buildah.run('adding npm', 'copy', '--quiet', container, path.join(folder, 'package'), modules);
    const link = ['ln', '-s', `${modules}/bin/npm-cli.js`, '/usr/local/bin/npm'];
    await buildah.run('adding npm', 'run', '--isolation=chroot', container, '--', ...link);
  });
}

async function temporalImage(buildah: Buildah, log: Log): Promise<BuiltImage> {
  const { temporal } = await getPrograms(['temporal'], log);
  const binary = createHash('sha256')
    .update(await readFile(temporal.file))
    .digest('hex');
  const debian = await debianImage(buildah, log);
  const key = await keyOf({ texts: [RECIPE, debian, binary], root: ROOT, files: [] });
  const version = (await step('asking temporal', [temporal.file, '--version'], log)).split(' ')[2] ?? '';
  const name = NAMES.temporal(version);
  const found = await findLayout('temporal', key, name);
  if (found !== undefined) return found;
  const image = `localhost/temporal:${key}`;
  await inContainer(buildah, debian, image, async (container) => {
    await buildah.run('adding Temporal', 'copy', '--quiet', container, temporal.file, '/usr/local/bin/temporal');
    await buildah.run('setting it up', 'config', '--user', '1000:1000', '--entrypoint', '["temporal"]', container);
  });
  const layout = await writeLayout(buildah, image, { title: 'temporal', key, name });
  await buildah.run('tidying', 'rmi', image);
  return layout;
}
