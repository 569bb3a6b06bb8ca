import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { toError } from '../api/to-error';
import { completeForKubectl } from './completion/kubectl';
import { EXIT_CODES, type ExitName } from './exit-codes';
import { CliError, toldOf } from './failure';
import type { Io } from './io';
import { program } from './program';
import type { GlobalFlags } from './flags';

/** Runs one command line; resolves with the exit code. Never throws for what a user can cause. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let exit: ExitName = 'ok';
  const { command, session } = program(io, (name) => {
    exit = name;
  });
  try {
    await command.parseAsync([...argv], { from: 'user' });
    return EXIT_CODES[exit].code;
  } catch (error) {
    if (error instanceof CommanderError) return isAnswer(error) ? EXIT_CODES.ok.code : EXIT_CODES.usage.code;
    if (io.signal.aborted) return EXIT_CODES.interrupted.code;
    return tell(error, io, command.opts<GlobalFlags>().debug === true);
  } finally {
    await session.close();
  }
}

/** Help that was asked for ends with the process's own exit code, whatever that is by then. */
function isAnswer({ code, exitCode }: CommanderError): boolean {
  return exitCode === 0 || code === 'commander.help';
}

function tell(error: unknown, io: Io, isDebug: boolean): number {
  const { exit, message, remedy } = toldOf(error);
  io.err(`error: ${message}\n${remedy === undefined ? '' : `${remedy}\n`}`);
  if (isDebug && error instanceof Error) io.err(`${error.stack ?? ''}\n`);
  return EXIT_CODES[exit].code;
}

function processIo(signal: AbortSignal): Io {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    signal,
    now: () => new Date(),
    read(file) {
      try {
        return readFileSync(file === '-' ? 0 : file, 'utf8');
      } catch (error) {
        throw new CliError({ exit: 'usage', message: `-f ${file}: ${toError(error).message}` }, { cause: error });
      }
    },
  };
}

/** The program: arguments and signals of the process, and the name it was called by. */
export async function run(): Promise<void> {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort(new Error(name)));
  // A reader such as `head` that has seen enough is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT_CODES.ok.code);
  });
  const [args, io] = [process.argv.slice(2), processIo(interrupted.signal)];
  if (process.env['KAITO_INVOKED_AS'] === 'kubectl_complete-kaito') await completeForKubectl(args, io);
  else process.exitCode = await main(args, io);
}

if (require.main === module) void run();
