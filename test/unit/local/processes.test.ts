import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { withFileLock } from '../../../local/lock';
import { isSameProcess, startDetached, stopProcess, thisProcess } from '../../../local/processes';

const ROOT = path.resolve(__dirname, '../../..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kaito-processes-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Processes of the group that run; one that waits to be reaped doesn't. */
function membersOfGroup(group: number): readonly string[] {
  const rows = execFileSync('ps', ['-eo', 'pgid=,stat=,args='], { encoding: 'utf8' }).split('\n');
  return rows.filter((row) => new RegExp(`^\\s*${group}\\s+[^Z]`).test(row));
}

async function eventually(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('still not so');
    await delay(20);
  }
}

const start = (...args: string[]) =>
  startDetached({ command: process.execPath, args, logFile: path.join(folder, 'log') });

describe('a background process', () => {
  it('is ended with all its children, by force when it does not listen', async () => {
    const child = `require('child_process').spawn('sleep', ['1000'], { stdio: 'inherit' })`;
    const listen = `process.on('SIGTERM', () => {}); ${child}.on('spawn', () => console.log('ready')); setInterval(() => {}, 1000)`;
    const identity = await start('-e', listen);
    await eventually(() => readFileSync(path.join(folder, 'log'), 'utf8').includes('ready'));

    await stopProcess(identity, 50);

    expect(isSameProcess(identity)).toBe(false);
    await eventually(() => membersOfGroup(identity.pid).length === 0);
  });

  it('is left alone when its number has been given to another', async () => {
    const identity = await start('-e', 'setInterval(() => {}, 1000)');

    await stopProcess({ ...identity, startTime: 'that of an earlier process' }, 0);

    expect(isSameProcess(identity)).toBe(true);
    await stopProcess(identity, 0);
  });
});

describe('withFileLock', () => {
  it('lets one at a time work', async () => {
    const lock = path.join(folder, 'lock');
    let working = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++working);
      await new Promise((resolve) => setImmediate(resolve));
      working -= 1;
    };

    await Promise.all([1, 2, 3].map(() => withFileLock(lock, () => undefined, work)));

    expect(most).toBe(1);
  });

  it('is taken over from a holder that died', async () => {
    const lock = path.join(folder, 'lock');
    writeFileSync(lock, JSON.stringify({ ...thisProcess(), startTime: 'that of an earlier process' }));

    await expect(
      withFileLock(
        lock,
        () => undefined,
        () => Promise.resolve('done'),
      ),
    ).resolves.toBe('done');
  });
});

describe('bootstrap.cjs', () => {
  const bootstrap = (code: string) => {
    writeFileSync(path.join(folder, 'entry.ts'), code);
    const args = [path.join(ROOT, 'local/bootstrap.cjs'), path.join(folder, 'entry.ts'), 'an argument'];
    return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  };

  it('runs a TypeScript entry with its arguments, and passes its exit code on', async () => {
    const child = bootstrap(
      'const argument: string = process.argv[2]!; process.exit(argument === "an argument" ? 3 : 4);',
    );

    expect(await once(child, 'exit')).toEqual([3, null]);
  });

  it('passes a signal on, and waits for the entry to end in its own way', async () => {
    const child = bootstrap(`
      process.on('SIGTERM', () => { console.log('ending'); process.exit(5); });
      setInterval(() => {}, 1000);
      console.log('ready');`);
    await once(child.stdout, 'data');

    child.kill('SIGTERM');

    expect(await once(child, 'exit')).toEqual([5, null]);
  });
});
