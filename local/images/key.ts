import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

/** Short hash of what goes into an image: texts, and files with their places below `root`. The same inputs give the same key on every machine. */
export async function keyOf(inputs: {
  readonly texts: readonly string[];
  readonly files: readonly string[];
  /** Files are named from here. */
  readonly root: string;
}): Promise<string> {
  const hash = createHash('sha256');
  for (const text of inputs.texts) hash.update(`text ${text.length}\n${text}`);
  for (const file of [...inputs.files].sort()) {
    const content = await readFile(file);
    hash.update(`file ${path.relative(inputs.root, file)} ${content.length}\n`).update(content);
  }
  return hash.digest('hex').slice(0, 16);
}

/** All files below a folder but what tools leave behind; none when there is no such folder. */
export async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => !/__pycache__|\.pyc$|\.egg-info/.test(file));
}
