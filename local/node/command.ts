import { run } from '../programs/run';

/** Runs a command of the machine; its stdout. Throws with its last words when it fails. */
export async function command(name: string, args: readonly string[], stdin?: string): Promise<string> {
  const { code, stdout, stderrTail } = await run(name, args, stdin === undefined ? {} : { stdin });
  if (code !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderrTail || `exit code ${code}`}`);
  return stdout;
}
