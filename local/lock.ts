import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { isSameProcess, thisProcess, type ProcessIdentity } from './processes';

const RETRY_MS = 100;

/**
 * Runs `work` while no other process holds the lock file. A lock whose holder has died is taken over.
 *
 * @param onWait told once, with the holder, when the lock has to be waited for.
 */
export async function withFileLock<T>(
  file: string,
  onWait: (holder: ProcessIdentity) => void,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  let told = false;
  while (!(await tryTake(file))) {
    const holder = await holderOf(file);
    if (holder === undefined) continue;
    if (!isSameProcess(holder)) {
      await breakLock(file, holder);
      continue;
    }
    if (!told) onWait(holder);
    told = true;
    await delay(RETRY_MS);
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

/** Linking a finished file is atomic: nobody ever reads a lock without its holder. */
async function tryTake(file: string): Promise<boolean> {
  const mine = `${file}.${randomUUID()}`;
  await writeFile(mine, JSON.stringify(thisProcess()));
  try {
    await link(mine, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(mine, { force: true });
  }
}

async function holderOf(file: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as ProcessIdentity;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Between reading and breaking, another waiter may have taken the lock over: then it gets its lock back. */
async function breakLock(file: string, dead: ProcessIdentity): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const taken = await holderOf(aside);
  if (taken !== undefined && (taken.pid !== dead.pid || taken.startTime !== dead.startTime)) await link(aside, file);
  await rm(aside, { force: true });
}
