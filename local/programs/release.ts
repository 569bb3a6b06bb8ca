import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { Program, ReleaseSource } from './catalogue';
import { run } from './run';
import { PROGRESS_EVERY_MS, SourceError, type Log } from './source';

const CONNECT_TIMEOUT_MS = 4_000;
const IDLE_TIMEOUT_MS = 30_000;

/** Hosts that did not answer; asked once per process. */
const unreachable = new Map<string, string>();

/** Puts the program's binary from its project's release archive into `target`. */
export async function fromRelease(
  program: Program,
  source: ReleaseSource,
  target: string,
  downloads: string,
  log: Log,
): Promise<void> {
  const archive = path.join(downloads, `${source.sha512.slice(0, 16)}-${path.basename(source.url)}`);
  await download(source, archive, log);
  const members = path.join(target, '.members');
  await mkdir(members, { recursive: true });
  const { code, stderrTail } = await run('tar', ['-xzf', archive, '-C', members, source.member]);
  if (code !== 0) throw new SourceError(`the archive could not be unpacked: ${stderrTail}`);
  await rename(path.join(members, source.member), path.join(target, program.name));
  await rm(members, { recursive: true });
}

async function download(source: ReleaseSource, to: string, log: Log): Promise<void> {
  const { host } = new URL(source.url);
  const known = unreachable.get(host);
  if (known !== undefined) throw new SourceError(known);
  try {
    const head = await fetch(source.url, { method: 'HEAD', signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) });
    if (!head.ok) throw new Error(`HTTP ${head.status}`);
  } catch (error) {
    const why = `${host} is out of reach: ${causeOf(error)}`;
    unreachable.set(host, why);
    throw new SourceError(why);
  }
  if (await hasDigest(to, source.sha512)) return;
  await mkdir(path.dirname(to), { recursive: true });
  const part = `${to}.${process.pid}`;
  try {
    await stream(source.url, part, log);
    if (!(await hasDigest(part, source.sha512)))
      throw new SourceError(`${source.url} has another checksum than pinned`);
    await rename(part, to);
  } catch (error) {
    if (error instanceof SourceError) throw error;
    throw new SourceError(`download failed: ${causeOf(error)}`);
  } finally {
    await rm(part, { force: true });
  }
}

async function stream(url: string, to: string, log: Log): Promise<void> {
  const abort = new AbortController();
  const idle = setTimeout(() => abort.abort(new Error('no byte came for a while')), IDLE_TIMEOUT_MS);
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
    const total = Number(response.headers.get('content-length') ?? 0);
    const start = Date.now();
    let received = 0;
    let told = start;
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length;
        idle.refresh();
        if (Date.now() - told >= PROGRESS_EVERY_MS) {
          told = Date.now();
          log(`${megabytes(received)} of ${total > 0 ? megabytes(total) : '?'} MB`);
        }
        done(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body), meter, createWriteStream(to));
  } finally {
    clearTimeout(idle);
  }
}

async function hasDigest(file: string, sha512: string): Promise<boolean> {
  const hash = createHash('sha512');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  return hash.digest('hex') === sha512;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function causeOf(error: unknown): string {
  const { cause, message } = error as { cause?: { message?: string }; message?: string };
  return cause?.message ?? message ?? String(error);
}
