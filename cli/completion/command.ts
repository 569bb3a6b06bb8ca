import { Argument, type Command } from 'commander';
import type { Done } from '../exit-codes';
import type { Session } from '../session';
import { bashScript, zshScript } from './bash';
import { fishScript } from './fish';
import { treeOf, type Tree } from './tree';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const satisfies Record<
  string,
  (tree: Tree) => string
>;

/** `kaito completion bash|zsh|fish`. */
export function completionCommand(command: Command, { io }: Session, done: Done): void {
  command
    .command('completion')
    .summary('print a completion script for a shell')
    .description('Prints a script that completes commands, options and names of Workspaces (these by kubectl).')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS) => {
      io.out(SCRIPTS[shell](treeOf(command)));
      done('ok');
    });
}
