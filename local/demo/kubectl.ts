import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

import type { Workspace } from '../../api/workspace';
import { ROOT } from '../defaults';
import type { Environment } from '../environment';
import { run } from '../programs/run';

/** kubectl, as a user of the environment runs it. */
export interface Kubectl {
  /** Its standard output. @throws with its own message. */
  (...args: readonly string[]): Promise<string>;
  /** As {@link watchWorkspace}. */
  watch(name: string, signal: AbortSignal): AsyncGenerator<Workspace>;
}

/** kubectl for the environment, run in the repository. */
export function kubectlOf(environment: Environment): Kubectl {
  const program = path.join(environment.bin, 'kubectl');
  const call = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderrTail } = await run(program, args, { env: environment.variables, cwd: ROOT });
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderrTail}`);
    return stdout;
  };
  return Object.assign(call, {
    watch: (name: string, signal: AbortSignal) => watchWorkspace(program, environment, name, signal),
  });
}

/** The Workspace as it is, and again whenever it changed, until aborted. @throws when kubectl ends by itself. */
async function* watchWorkspace(
  program: string,
  environment: Environment,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Workspace> {
  signal.throwIfAborted();
  // jsonpath prints an object in one line, where -o json spreads it over many.
  const child = spawn(program, ['get', 'workspace', name, '--watch', '-o', 'jsonpath={}{"\\n"}'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment.variables },
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (complaint += chunk));
  const closed = once(child, 'close');
  const kill = (): void => void child.kill();
  signal.addEventListener('abort', kill, { once: true });
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      signal.throwIfAborted();
      if (line !== '') yield JSON.parse(line) as Workspace;
    }
    signal.throwIfAborted();
    throw new Error(`kubectl get workspace ${name} --watch ended: ${complaint.trim() || 'without a message'}`);
  } finally {
    signal.removeEventListener('abort', kill);
    child.kill();
    await closed;
  }
}
