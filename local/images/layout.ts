import { link, mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import type { Buildah } from './buildah';
import { imageCache } from './host';
import type { BuiltImage } from './types';

/** Older versions of an image that are kept: one, for another checkout that is built in turns with this one. */
const OLDER_KEPT = 1;

/** Where the layout of an image lies. */
function layoutFolder(title: string, key: string): string {
  return path.join(imageCache(), 'layouts', `${title}-${key}`);
}

/** A layout that was written whole before; undefined when there is none. */
export async function findLayout(title: string, key: string, name: string): Promise<BuiltImage | undefined> {
  const layout = layoutFolder(title, key);
  try {
    return await describe(layout, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Writes an image of buildah's store as an OCI layout. Layers stay unpacked: packing 3 GB takes a minute, which no later step wins back, and a
 * layer that an earlier layout has is known by its digest and linked from there.
 */
export async function writeLayout(
  buildah: Buildah,
  image: string,
  { title, key, name }: { readonly title: string; readonly key: string; readonly name: string },
): Promise<BuiltImage> {
  const layout = layoutFolder(title, key);
  const temporary = `${layout}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await linkKnownBlobs(path.dirname(layout), path.join(temporary, 'blobs', 'sha256'));
  await buildah.run(
    `writing ${name}`,
    'push',
    '--quiet',
    '--format=oci',
    '--disable-compression',
    image,
    `oci:${temporary}`,
  );
  await removeOtherBlobs(temporary);
  await rm(layout, { recursive: true, force: true });
  await rename(temporary, layout);
  await forgetOlder(title, layout);
  return describe(layout, name);
}

async function linkKnownBlobs(layouts: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const layout of await readdir(layouts)) {
    const blobs = path.join(layouts, layout, 'blobs', 'sha256');
    if (layout.endsWith('.tmp')) continue;
    for (const blob of await readdir(blobs)) {
      await link(path.join(blobs, blob), path.join(target, blob)).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      });
    }
  }
}

/** Removes what was linked and is not the image's. */
async function removeOtherBlobs(layout: string): Promise<void> {
  const blobs = path.join(layout, 'blobs', 'sha256');
  const digestOf = ({ digest }: { readonly digest: string }): string => digest.replace('sha256:', '');
  const index = await readJson<Index>(path.join(layout, 'index.json'));
  const used = new Set(index.manifests.map(digestOf));
  for (const digest of [...used]) {
    const { config, layers } = await readJson<Manifest>(path.join(blobs, digest));
    for (const descriptor of [config, ...layers]) used.add(digestOf(descriptor));
  }
  for (const blob of await readdir(blobs)) if (!used.has(blob)) await rm(path.join(blobs, blob));
}

interface Descriptor {
  readonly digest: string;
}

interface Index {
  readonly manifests: readonly Descriptor[];
}

interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

async function readJson<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(file, 'utf8')) as T;
}

async function describe(layout: string, name: string): Promise<BuiltImage> {
  const index = await readJson<Index>(path.join(layout, 'index.json'));
  const [manifest] = index.manifests;
  if (manifest === undefined || index.manifests.length > 1) throw new Error(`${layout} is not a layout of one image`);
  return { name, layout, digest: manifest.digest, bytes: await bytesBelow(path.join(layout, 'blobs')) };
}

async function forgetOlder(title: string, newest: string): Promise<void> {
  const parent = path.dirname(newest);
  const older = (await readdir(parent))
    .filter((entry) => entry.startsWith(`${title}-`) && path.join(parent, entry) !== newest)
    .map((entry) => path.join(parent, entry));
  const dated = await Promise.all(older.map(async (folder) => ({ folder, at: (await stat(folder)).mtimeMs })));
  dated.sort((left, right) => right.at - left.at);
  for (const { folder } of dated.slice(OLDER_KEPT)) await rm(folder, { recursive: true, force: true });
}

async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(path.join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
