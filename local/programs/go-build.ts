import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { GoSource, Program } from './catalogue';
import { goToolchain } from './go-toolchain';
import { run } from './run';
import { PROGRESS_EVERY_MS, SourceError, type Log } from './source';

/** Builds the program into `target`, and copies beside it the data its module ships. */
export async function fromGo(
  program: Program,
  source: GoSource,
  target: string,
  cache: string,
  log: Log,
): Promise<void> {
  const go = await goToolchain(source.module, cache, log);
  const env = { ...go.env, GOWORK: 'off', CGO_ENABLED: source.cgo === true ? '1' : '0' };
  const start = Date.now();
  const seconds = () => Math.round((Date.now() - start) / 1000);
  let compiled = 0;
  const ticker = setInterval(
    () => log(`${compiled === 0 ? 'linking' : `compiled ${compiled} packages`}, ${seconds()} s`),
    PROGRESS_EVERY_MS,
  );
  try {
    const flags = [
      '-v',
      '-trimpath',
      '-buildvcs=false',
      '-ldflags',
      `-s -w ${source.ldflags}`,
      `-tags=${(source.tags ?? []).join(',')}`,
    ];
    const built = await run(go.command, ['build', ...flags, '-o', path.join(target, program.name), source.package], {
      cwd: source.module,
      env,
      onStderrLine: (line) => {
        if (!line.startsWith('go: ')) compiled += 1;
      },
    });
    if (built.code !== 0) throw new SourceError(`go build failed: ${built.stderrTail}`);
  } finally {
    clearInterval(ticker);
  }
  if (source.data !== undefined) await copyModuleData(go.command, env, source.module, source.data, target);
}

async function copyModuleData(
  go: string,
  env: Readonly<Record<string, string>>,
  cwd: string,
  data: NonNullable<GoSource['data']>,
  target: string,
): Promise<void> {
  const listed = await run(go, ['list', '-m', '-f', '{{.Dir}}', data.from], { cwd, env });
  const folder = listed.stdout.trim();
  if (listed.code !== 0 || folder === '') throw new SourceError(`module ${data.from}: ${listed.stderrTail}`);
  for (const [to, from] of Object.entries(data.files)) {
    const parts = await Promise.all(from.map((file) => readFile(path.join(folder, file), 'utf8')));
    await writeFile(path.join(target, to), parts.join('\n---\n'));
  }
}
