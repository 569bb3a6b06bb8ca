import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * `npm test -- [jest's arguments]`. Jest itself brings up what the tests to run need, programs included (see jest.config.cjs); this
 * ends the output with the line `N passed, N failed`.
 */
async function main(): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kaito-test-counts-'));
  const file = path.join(folder, 'counts.json');
  try {
    const code = await runJest(process.argv.slice(2), file);
    const { passed, failed, skipped } = await readCounts(file);
    // Such as an environment that could not be taken down.
    if (code !== 0 && failed === 0) process.stderr.write(`jest ended with exit code ${code}, though no test failed\n`);
    process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
    process.exitCode = code === 0 && failed > 0 ? 1 : code;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A run that ended before its report, say since a program is missing, is one failure. */
async function readCounts(file: string): Promise<Counts> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Counts;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function runJest(args: readonly string[], countsFile: string): Promise<number> {
  // Jest loads packages that are ES modules through it.
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const jest = spawn(process.execPath, [...flags, require.resolve('jest/bin/jest'), ...args], {
    stdio: 'inherit',
    cwd: path.dirname(__dirname),
    env: { ...process.env, KAITO_TEST_COUNTS: countsFile },
  });
  // A terminal's Ctrl-C reaches jest too; this process waits for it.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => jest.kill(signal));
  return new Promise((resolve, reject) => {
    jest.once('error', reject);
    jest.once('exit', (code, signal) => {
      if (signal !== null) process.stderr.write(`jest was ended by ${signal}\n`);
      resolve(code ?? 1);
    });
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
