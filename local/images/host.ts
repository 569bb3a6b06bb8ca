import path from 'node:path';

import { programCache } from '../programs';
import { run } from '../programs/run';
import { which, type Log } from '../programs/source';

/** What building images needs of the machine, by the Debian package that has it. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  mmdebstrap: ['mmdebstrap'],
  buildah: ['buildah'],
  gcc: ['gcc'],
  binutils: ['nm', 'readelf'],
  python3: ['python3'],
};

/** The machine cannot build images; the message says what to install, or where it can be done. */
export class MissingToolsError extends Error {}

/** A step of a build failed; the message has its last lines. */
export class BuildError extends Error {}

/** @throws MissingToolsError unless images can be built here. */
export async function checkHost(): Promise<void> {
  if (process.platform !== 'linux') {
    throw new MissingToolsError(`Images are built on Linux only; this machine is ${process.platform}.`);
  }
  if (process.getuid?.() !== 0) throw new MissingToolsError('Images are built as root: run it with sudo.');
  const packages: string[] = [];
  for (const [name, commands] of Object.entries(COMMANDS)) {
    const found = await Promise.all(commands.map(which));
    if (found.includes(undefined)) packages.push(name);
  }
  if (packages.length > 0) {
    throw new MissingToolsError(
      `Building images lacks Debian packages: apt-get install --yes --no-install-recommends ${packages.join(' ')}`,
    );
  }
}

/** Where images are kept, outside the clone: `$KAITO_LOCAL_CACHE/images`, or beside the programs. */
export function imageCache(): string {
  const own = process.env.KAITO_LOCAL_CACHE ?? '';
  return path.join(own === '' ? path.dirname(programCache()) : programCache(), 'images');
}

/**
 * Runs a command of a build, its lines told now and then. Returns what it printed.
 *
 * @throws BuildError with its last lines.
 */
export async function step(
  what: string,
  command: readonly string[],
  log: Log,
  options: { readonly env?: Readonly<Record<string, string>>; readonly timeoutMs?: number } = {},
): Promise<string> {
  const [program = '', ...args] = command;
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const ticker = setInterval(() => log(`${what}, ${seconds()} s`), PROGRESS_EVERY_MS);
  try {
    const { code, stdout, stderrTail } = await run(program, args, { timeoutMs: STEP_TIMEOUT_MS, ...options });
    if (code !== 0)
      throw new BuildError(`${what} failed (${program} ended with ${code ?? 'a signal'}):\n${stderrTail}`);
    if (seconds() > 2) log(`${what}: done after ${seconds()} s`);
    return stdout;
  } finally {
    clearInterval(ticker);
  }
}

const PROGRESS_EVERY_MS = 15_000;
const STEP_TIMEOUT_MS = 20 * 60_000;
