import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How a command ended. */
export interface Ended {
  readonly code: number | undefined;
  readonly stdout: string;
  /** Its last words, for a message. */
  readonly stderrTail: string;
}

/** What to run it with. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly onStderrLine?: (line: string) => void;
  readonly stdin?: string;
}

const TAIL_LINES = 15;

/** Runs a command to its end. A command that cannot be started counts as one that failed. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const }),
    });
    let stdout = '';
    const tail: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    createInterface({ input: child.stderr }).on('line', (line) => {
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      options.onStderrLine?.(line);
    });
    child.stdin.on('error', () => undefined); // it ended without reading: its exit code tells
    child.stdin.end(options.stdin ?? '');
    child.on('error', (error) => resolve({ code: undefined, stdout, stderrTail: error.message }));
    child.on('close', (code, signal) =>
      resolve({
        code: code ?? undefined,
        stdout,
        stderrTail: [...tail, ...(signal === null ? [] : [`ended by ${signal}`])].join('\n'),
      }),
    );
  });
}
