import { readdir, readFile, readlink } from 'node:fs/promises';

/** Every process that works in the folder or is told of it. */
export async function processesOf(dir: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => ''); // it may have ended meanwhile
    const args = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (cwd.startsWith(dir) || args.includes(dir)) found.push(`${pid} ${args.replaceAll('\0', ' ')}`);
  }
  return found;
}
