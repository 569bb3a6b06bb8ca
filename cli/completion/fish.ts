import type { Flag, Leaf, Tree } from './tree';

const CLUSTER = ['--namespace', '--context', '--kubeconfig'];

/**
 * Completion for fish. What stands on the line is read by functions of our own: fish's take the value of an option for the command. Names of
 * Workspaces come from kubectl, which answers sooner than this program.
 */
export function fishScript({ name, options, commands }: Tree): string {
  const withValue = [...options, ...commands.flatMap((command) => command.options)].filter(
    ({ takesValue }) => takesValue,
  );
  return [
    `# Completion of ${name} for fish: ${name} completion fish | source`,
    ...words(name, withValue, options),
    `complete -c ${name} -f`,
    ...options.map((option) => `complete -c ${name} ${flag(option)}`),
    ...commands.flatMap((command) => [
      `complete -c ${name} -n '__${name}_at 0' -a ${command.name} -d ${quoted(command.summary)}`,
      ...firstWord(name, command),
      ...command.options.map((option) => `complete -c ${name} -n '__${name}_in ${command.name}' ${flag(option)}`),
    ]),
    '',
  ].join('\n');
}

/** The words of the line that are no options: the command, and its arguments; and the options that say which cluster. */
function words(name: string, withValue: readonly Flag[], options: readonly Flag[]): readonly string[] {
  const cluster = options.filter(({ long }) => CLUSTER.includes(long));
  return `
function __${name}_words
  set -l tokens (commandline -opc)
  set -l skip 0
  for token in $tokens[2..-1]
    if test $skip = 1
      set skip 0
      continue
    end
    switch $token
      case ${patternsOf(withValue)}
        set skip 1
      case '-*'
      case '*'
        echo $token
    end
  end
end

function __${name}_at -a count
  test (count (__${name}_words)) = $count
end

function __${name}_in -a command
  set -l words (__${name}_words)
  test "$words[1]" = $command
end

function __${name}_workspaces
  set -l tokens (commandline -opc)
  set -l where
  for i in (seq (count $tokens))
    if contains -- $tokens[$i] ${patternsOf(cluster)}
      set -a where $tokens[$i] $tokens[(math $i + 1)]
    end
  end
  kubectl get workspaces.kaito.sh $where -o 'jsonpath={.items[*].metadata.name}' --request-timeout=3s 2>/dev/null | string split ' '
end
`.split('\n');
}

function firstWord(name: string, { name: command, argument }: Leaf): readonly string[] {
  if (argument === 'none') return [];
  const offered = argument === 'workspace' ? `'(__${name}_workspaces)'` : quoted(argument.join(' '));
  return [`complete -c ${name} -n '__${name}_in ${command}; and __${name}_at 1' -a ${offered}`];
}

function patternsOf(options: readonly Flag[]): string {
  return [...new Set(options.flatMap(({ short, long }) => (short === undefined ? [long] : [short, long])))].join(' ');
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
