import { createHash } from 'node:crypto';
import { access, link, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
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
 * Writes an image of buildah's store as an OCI layout, with layers as they are: packing gigabytes takes a minute and unpacking them half of that, which
 * a copy on the same machine never wins back. buildah packs whatever goes into a layout of its own, but not what goes into a plain folder.
 */
export async function writeLayout(
  buildah: Buildah,
  image: string,
  { title, key, name }: { readonly title: string; readonly key: string; readonly name: string },
): Promise<BuiltImage> {
  const layout = layoutFolder(title, key);
  const temporary = `${layout}.tmp`;
  const blobs = path.join(temporary, 'blobs', 'sha256');
  await rm(temporary, { recursive: true, force: true });
  await mkdir(path.dirname(blobs), { recursive: true });
  await buildah.run(
    `writing ${name}`,
    'push',
    '--quiet',
    '--format=oci',
    '--disable-compression',
    image,
    `dir:${blobs}`,
  );
  const manifest = await readFile(path.join(blobs, 'manifest.json'));
  const sha256 = createHash('sha256').update(manifest).digest('hex');
  await rename(path.join(blobs, 'manifest.json'), path.join(blobs, sha256));
  await rm(path.join(blobs, 'version'));
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifests = [{ mediaType, digest: `sha256:${sha256}`, size: manifest.length }];
  await writeFile(path.join(temporary, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(path.join(temporary, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await shareBlobs(path.dirname(layout), temporary);
  await rm(layout, { recursive: true, force: true });
  await rename(temporary, layout);
  await forgetOlder(title, layout);
  return describe(layout, name);
}

/** Layers that several images have lie on the disk once. */
async function shareBlobs(layouts: string, fresh: string): Promise<void> {
  const own = path.join(fresh, 'blobs', 'sha256');
  for (const layout of await readdir(layouts)) {
    if (layout.endsWith('.tmp')) continue;
    for (const blob of await readdir(path.join(layouts, layout, 'blobs', 'sha256'))) {
      const mine = path.join(own, blob);
      if (!(await isThere(mine))) continue;
      await rm(mine);
      await link(path.join(layouts, layout, 'blobs', 'sha256', blob), mine);
    }
  }
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

interface Descriptor {
  readonly digest: string;
}

interface Index {
  readonly manifests: readonly Descriptor[];
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
