import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { command } from './command';
import { nodePaths } from './paths';

/** Which of the node's namespaces a program gets. */
export type Namespace = 'net' | 'mount' | 'pid';

const ALL: readonly Namespace[] = ['net', 'mount', 'pid'];

/** The command line that runs what follows it inside the node. */
export function insideNode(dir: string, namespaces: readonly Namespace[] = ALL): readonly string[] {
  const pid = readFileSync(nodePaths(dir).pid, 'utf8').trim();
  return ['nsenter', '--target', pid, ...namespaces.map((namespace) => `--${namespace}`), '--'];
}

/** Runs a command inside the node; its stdout. */
export function inNode(dir: string, [name, ...args]: readonly [string, ...string[]]): Promise<string> {
  const [enter, ...options] = insideNode(dir);
  return command(enter as string, [...options, name, ...args]);
}

/** The node's first process, once it has set itself up; undefined until then. */
export async function nodePid(dir: string): Promise<number | undefined> {
  try {
    return Number(await readFile(nodePaths(dir).pid, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
