import { spawn } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Watches over an environment for its owner. */
export interface Guardian {
  /** Call when the environment is gone: nothing is left to guard. */
  dismiss(): void;
}

/**
 * Starts a process that takes the environment down when this process ends, even by SIGKILL: it reads from a pipe that only this
 * process holds open.
 */
export async function watchOverOwner(dir: string): Promise<Guardian> {
  const loader = pathToFileURL(require.resolve('tsx')).href;
  const script = path.join(__dirname, 'guardian-process.ts');
  const child = spawn(process.execPath, ['--import', loader, script, dir], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  child.unref();
  const pipe = child.stdin;
  if ('unref' in pipe) (pipe as unknown as { unref(): void }).unref();
  return { dismiss: () => pipe.end() };
}
