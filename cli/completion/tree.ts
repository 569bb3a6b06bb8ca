import type { Command, Option } from 'commander';

/** What can be completed, taken from the commands themselves. */
export interface Tree {
  readonly name: string;
  readonly options: readonly Flag[];
  readonly commands: readonly Leaf[];
}

export interface Leaf {
  readonly name: string;
  readonly summary: string;
  /** Its first argument is a Workspace's name, or one of these words. */
  readonly argument: 'workspace' | 'none' | readonly string[];
  readonly options: readonly Flag[];
}

export interface Flag {
  readonly short?: string;
  readonly long: string;
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  /** Its value is a file. */
  readonly isFile: boolean;
}

/** The commands below the root, as the completion scripts need them. */
export function treeOf(root: Command): Tree {
  return {
    name: root.name().split(' ').at(-1) ?? 'kaito',
    options: root.options.map(flagOf),
    commands: root.commands.map((command) => ({
      name: command.name(),
      summary: command.summary(),
      argument: argumentOf(command),
      options: command.options.map(flagOf),
    })),
  };
}

function argumentOf(command: Command): Leaf['argument'] {
  const [argument] = command.registeredArguments;
  if (argument === undefined) return 'none';
  return argument.name() === 'name' ? 'workspace' : (argument.argChoices ?? 'none');
}

function flagOf(option: Option): Flag {
  return {
    long: option.long ?? '',
    description: option.description,
    takesValue: option.required,
    choices: option.argChoices ?? [],
    isFile: /<file>/.test(option.flags),
    ...(option.short !== undefined && { short: option.short }),
  };
}
