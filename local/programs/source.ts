import { access, constants } from 'node:fs/promises';
import path from 'node:path';

import type { PathSource, Platform, Program } from './catalogue';
import { run } from './run';

/** Told what a step does, one line each. */
export type Log = (line: string) => void;

/** Why a source cannot give a program; the next source is tried. */
export class SourceError extends Error {}

/** This machine, as wheels and releases are listed by. */
export const PLATFORM: Platform = `${process.platform}-${process.arch}`;

/** How often a long step says how far it is, milliseconds. */
export const PROGRESS_EVERY_MS = 10_000;

/** The program on PATH, when its minor version is the wanted one. */
export async function findOnPath(program: Program, source: PathSource): Promise<string> {
  const file = await which(program.name);
  if (file === undefined) throw new SourceError('not there');
  const { stdout, stderrTail } = await run(file, source.versionArguments, { timeoutMs: 10_000 });
  const found = /v?(\d+\.\d+)\.\d+/.exec(stdout + stderrTail)?.[1];
  const wanted = /(\d+\.\d+)\./.exec(program.version)?.[1];
  if (found !== wanted) throw new SourceError(`${file} is version ${found ?? 'unknown'}, wanted ${wanted}`);
  return file;
}

/** Path of a command, as a shell would find it. */
export async function which(command: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    if (folder === '') continue;
    const file = path.join(folder, command);
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return undefined;
}
