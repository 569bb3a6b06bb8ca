import type { Flag, Tree } from './tree';

/** Completion for fish. */
export function fishScript({ name, options, commands }: Tree): string {
  const workspaces = `(kubectl get workspaces.kaito.sh -o 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}' --request-timeout=3s 2>/dev/null)`;
  return [
    `# Completion of ${name} for fish: ${name} completion fish | source`,
    `complete -c ${name} -f`,
    ...options.map((option) => `complete -c ${name} ${flag(option)}`),
    ...commands.flatMap((command) => {
      const within = `-n '__fish_seen_subcommand_from ${command.name}'`;
      const words =
        command.argument === 'workspace'
          ? workspaces
          : quoted(command.argument === 'none' ? '' : command.argument.join(' '));
      return [
        `complete -c ${name} -n __fish_use_subcommand -a ${command.name} -d ${quoted(command.summary)}`,
        ...(command.argument === 'none'
          ? []
          : [
              `complete -c ${name} ${within} -a ${words.startsWith('(') ? `"${words.replaceAll('"', '\\"')}"` : words}`,
            ]),
        ...command.options.map((option) => `complete -c ${name} ${within} ${flag(option)}`),
      ];
    }),
    '',
  ].join('\n');
}

function flag({ short, long, description, takesValue, choices, isFile }: Flag): string {
  return [
    ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
    `-l ${long.slice(2)}`,
    ...(isFile ? ['-rF'] : takesValue ? ['-x'] : []),
    ...(choices.length > 0 ? [`-a ${quoted(choices.join(' '))}`] : []),
    `-d ${quoted(description)}`,
  ].join(' ');
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
