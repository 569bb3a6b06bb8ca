import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { kubectlApply, kubectlWaitForCrds } from './kubectl';
import type { State } from './state';

/** Applies the manifests of each folder in turn, and waits until the kinds they define can be used. A missing folder is empty. */
export async function applyManifestFolders(dir: string, state: State, folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const files = await yamlFiles(folder);
    if (files.length === 0) continue;
    await kubectlApply(dir, state, { files });
    await kubectlWaitForCrds(dir, state);
  }
}

async function yamlFiles(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => name.endsWith('.yaml')).map((name) => path.join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
