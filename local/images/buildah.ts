import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../programs/run';
import type { Log } from '../programs/source';
import { imageCache, step } from './host';

/** buildah with a store of its own, so that nothing else on the machine is touched. */
export interface Buildah {
  /** Runs it; returns what it printed. `what` is for people. */
  run(what: string, ...args: readonly string[]): Promise<string>;
  has(image: string): Promise<boolean>;
}

/**
 * For `bud` and `from`: how many files a program may have open in a `RUN`. buildah's own limit is 1,024; npm opens the cache's files of all packages at
 * once (675 here), and more for those that it has to download.
 */
export const OPEN_FILES: readonly string[] = ['--ulimit', 'nofile=8192:8192'];

/** This machine's certificates, which a proxy on the way may need. */
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Volumes of every `RUN`, so that packages come the way they come to this machine. */
export async function asThisMachine(): Promise<readonly string[]> {
  const uvCache = process.env.UV_CACHE_DIR ?? path.join(process.env.HOME ?? '/root', '.cache', 'uv');
  await mkdir(uvCache, { recursive: true });
  return ['--volume', `${CERTIFICATES}:${CERTIFICATES}:ro`, '--volume', `${uvCache}:/var/cache/uv`];
}

/** The package indexes and proxies that this machine is set to, as NAME=VALUE. */
export function packageEnvironment(): readonly string[] {
  const passed = /^(PIP_(EXTRA_)?INDEX_URL|PIP_DEFAULT_TIMEOUT|UV_(DEFAULT_)?INDEX(_URL)?|https?_proxy|no_proxy)$/i;
  const own = Object.entries(process.env).flatMap(([name, value]) =>
    passed.test(name) && value !== undefined ? [`${name}=${value}`] : [],
  );
  return [...own, `SSL_CERT_FILE=${CERTIFICATES}`, `PIP_CERT=${CERTIFICATES}`];
}

/** buildah on the store in the cache. Layers on overlayfs where the kernel lets it, else copied whole (vfs), which takes disk and time. */
export async function openBuildah(log: Log): Promise<Buildah> {
  const folder = path.join(imageCache(), 'store');
  await mkdir(folder, { recursive: true });
  const driver = (await canOverlay(folder)) ? 'overlay' : 'vfs';
  if (driver === 'vfs') log('no overlayfs on this file system: layers are copied whole');
  // Its database holds the paths, so another driver has another folder.
  const global = ['--root', path.join(folder, driver), '--runroot', path.join(folder, `${driver}-run`)];
  const command = ['buildah', ...global, '--storage-driver', driver];
  return {
    run: (what, ...args) => step(what, [...command, ...args], log),
    has: async (image) => {
      const [program = '', ...args] = command;
      const { stdout } = await run(program, [...args, 'images', '--quiet', '--filter', `reference=${image}`]);
      return stdout.trim() !== '';
    },
  };
}

async function canOverlay(folder: string): Promise<boolean> {
  const probe = await mkdtemp(path.join(folder, 'probe-'));
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => path.join(probe, name));
  try {
    for (const part of [lower, upper, work, merged]) await mkdir(part!);
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    const mounted = await run('mount', ['-t', 'overlay', 'overlay', '-o', options, merged!]);
    if (mounted.code === 0) await run('umount', [merged!]);
    return mounted.code === 0;
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}
