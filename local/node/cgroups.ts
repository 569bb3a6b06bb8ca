import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** The control groups of this machine. */
export interface Cgroups {
  readonly version: 1 | 2;
  /** Mount point of each hierarchy; one with version 2. */
  readonly hierarchies: readonly string[];
  readonly controllers: readonly string[];
}

const ROOT = '/sys/fs/cgroup';
const GONE_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 20;

/** As {@link machineCgroups}, where there must be some. */
export async function mustHaveCgroups(): Promise<Cgroups> {
  const cgroups = await machineCgroups();
  if (cgroups === undefined) throw new Error(`no control groups are mounted in ${ROOT}`);
  return cgroups;
}

/** Reads what is mounted; undefined when control groups are not. */
export async function machineCgroups(): Promise<Cgroups | undefined> {
  const mounts = parseMounts(await readFile('/proc/self/mountinfo', 'utf8'));
  const unified = mounts.find(({ type, at }) => type === 'cgroup2' && at === ROOT);
  if (unified !== undefined) {
    const controllers = (await readFile(path.join(ROOT, 'cgroup.controllers'), 'utf8')).trim().split(' ');
    return { version: 2, hierarchies: [ROOT], controllers };
  }
  // Beside those of version 1 there may be a hierarchy of version 2, which runc uses as well.
  const split = mounts.filter(({ type, at }) => type.startsWith('cgroup') && at.startsWith(`${ROOT}/`));
  if (!split.some(({ type }) => type === 'cgroup')) return undefined;
  // Combined hierarchies (cpu,cpuacct) are one mount with both in its options.
  return { version: 1, hierarchies: split.map(({ at }) => at), controllers: split.flatMap(({ options }) => options) };
}

function parseMounts(mountinfo: string) {
  return mountinfo
    .trim()
    .split('\n')
    .map((line) => {
      // proc(5): … mount point is field 5; after " - " come type, source, options of the file system.
      const [mount = '', fileSystem = ''] = line.split(' - ');
      const [type = '', , options = ''] = fileSystem.split(' ');
      return { at: mount.split(' ')[4] ?? '', type, options: options.split(',') };
    });
}

/** Makes the group in the first hierarchy. False when it is there already: then it is another environment's. */
export async function reserveCgroup(cgroups: Cgroups, name: string): Promise<boolean> {
  try {
    await mkdir(path.join(cgroups.hierarchies[0] as string, name));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Makes the group in every hierarchy, ready to get children. */
export async function makeCgroup(cgroups: Cgroups, name: string): Promise<void> {
  if (cgroups.version === 2) {
    const wanted = ['cpu', 'cpuset', 'memory', 'pids', 'io', 'hugetlb'].filter((one) =>
      cgroups.controllers.includes(one),
    );
    await writeFile(path.join(ROOT, 'cgroup.subtree_control'), wanted.map((one) => `+${one}`).join(' '));
  }
  for (const hierarchy of cgroups.hierarchies) {
    const folder = path.join(hierarchy, name);
    await mkdir(folder, { recursive: true });
    if (path.basename(hierarchy) !== 'cpuset') continue;
    // A new group of version 1 has no processor and no memory node, and takes no process before it has.
    for (const file of ['cpuset.mems', 'cpuset.cpus']) {
      await writeFile(path.join(folder, file), await readFile(path.join(hierarchy, file), 'utf8'));
    }
  }
}

/** Removes what is below the group: the groups of a life that has ended would be looked into for containers. */
export async function emptyCgroup(cgroups: Cgroups, name: string): Promise<void> {
  const deadline = Date.now() + GONE_WITHIN_MS;
  for (const hierarchy of cgroups.hierarchies) await removeBelow(path.join(hierarchy, name), deadline);
}

/** Removes the group and all below it, as soon as the processes in it have ended. */
export async function removeCgroup(cgroups: Cgroups, name: string): Promise<void> {
  const deadline = Date.now() + GONE_WITHIN_MS;
  for (const hierarchy of cgroups.hierarchies) await removeTree(path.join(hierarchy, name), deadline);
}

async function removeTree(folder: string, deadline: number): Promise<void> {
  for (;;) {
    try {
      await removeBelow(folder, deadline);
      return await rmdir(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY' || Date.now() > deadline) throw error;
      await delay(LOOK_EVERY_MS); // the kernel tells nobody when the last process of a killed group is gone
    }
  }
}

async function removeBelow(folder: string, deadline: number): Promise<void> {
  for (const child of await childrenOf(folder)) await removeTree(path.join(folder, child), deadline);
}

async function childrenOf(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    // Its last process's end may have taken it away between two looks.
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
