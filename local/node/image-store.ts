import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { withFileLock } from '../lock';
import { isSameProcess, thisProcess, type ProcessIdentity } from '../processes';
import { programCache } from '../programs';
import { run } from '../programs/run';

/** Where containerd keeps images: outside the environment, so that the next one finds them unpacked. */
export interface ImageStore {
  readonly folder: string;
  readonly snapshotter: 'overlayfs' | 'native';
}

/** Folder with all image stores. */
function imageStores(): string {
  return path.join(programCache(), 'node-images');
}

/**
 * Takes the first image store that no living environment uses. containerd's database has one user at a time, so environments side by
 * side have one each.
 */
export async function takeImageStore(): Promise<ImageStore> {
  const all = imageStores();
  return withFileLock(
    path.join(all, 'lock'),
    () => undefined,
    async () => {
      for (let number = 0; ; number += 1) {
        const folder = path.join(all, String(number));
        if (await isUsed(folder)) continue;
        await mkdir(path.join(folder, 'containerd'), { recursive: true });
        await useImageStore(folder, thisProcess());
        return { folder, snapshotter: (await canOverlay(folder)) ? 'overlayfs' : 'native' };
      }
    },
  );
}

/** Notes the process that uses the store as long as it lives. */
export async function useImageStore(folder: string, user: ProcessIdentity): Promise<void> {
  await writeFile(path.join(folder, 'user.json'), JSON.stringify(user));
}

async function isUsed(folder: string): Promise<boolean> {
  try {
    return isSameProcess(JSON.parse(await readFile(path.join(folder, 'user.json'), 'utf8')) as ProcessIdentity);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Not every file system can be the upper layer of an overlay: an overlay itself cannot. */
async function canOverlay(folder: string): Promise<boolean> {
  const probe = path.join(folder, 'overlay-probe');
  try {
    for (const part of ['lower', 'upper', 'work', 'merged']) await mkdir(path.join(probe, part), { recursive: true });
    const script =
      'mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/merged" && touch "$1/merged/file"';
    const { code } = await run('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script, 'probe', probe]);
    return code === 0;
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}
