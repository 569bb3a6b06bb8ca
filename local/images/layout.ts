import { mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
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

/** Writes an image of buildah's store as an OCI layout. zstd packs several times as fast as gzip, and containerd, crane and skopeo read it. */
export async function writeLayout(
  buildah: Buildah,
  image: string,
  { title, key, name }: { readonly title: string; readonly key: string; readonly name: string },
): Promise<BuiltImage> {
  const layout = layoutFolder(title, key);
  const temporary = `${layout}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(path.dirname(layout), { recursive: true });
  const packing = ['--format', 'oci', '--compression-format', 'zstd', '--compression-level', '1'];
  await buildah.run(`packing ${name}`, 'push', '--quiet', ...packing, image, `oci:${temporary}`);
  await rm(layout, { recursive: true, force: true });
  await rename(temporary, layout);
  await forgetOlder(title, layout);
  return describe(layout, name);
}

async function describe(layout: string, name: string): Promise<BuiltImage> {
  const index = JSON.parse(await readFile(path.join(layout, 'index.json'), 'utf8')) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
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
