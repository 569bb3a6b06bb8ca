import type { Flag, Leaf, Tree } from './tree';

/** Completion for bash, and for zsh by way of its emulation. Names of Workspaces come from kubectl, which answers sooner than this program. */
export function bashScript({ name, options, commands }: Tree): string {
  const withValue = [...options, ...commands.flatMap((command) => command.options)].filter(
    ({ takesValue }) => takesValue,
  );
  return `# Completion of ${name} for bash: source <(${name} completion bash)
_${name}_workspaces() {
  kubectl get workspaces.kaito.sh "$@" -o 'jsonpath={.items[*].metadata.name}' --request-timeout=3s 2>/dev/null
}

_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' arguments=0 i
  local -a where=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      -n|--namespace|--context|--kubeconfig) where+=("\${COMP_WORDS[i]}" "\${COMP_WORDS[i+1]}"); ((i++)) ;;
      ${patternOf(withValue.filter(({ long }) => !['--namespace', '--context', '--kubeconfig'].includes(long)))}) ((i++)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=\${COMP_WORDS[i]}; else ((arguments++)); fi ;;
    esac
  done
  COMPREPLY=()
  case $command in
    '')
${valueCases(options, 6)}
      COMPREPLY=($(compgen -W '${[...commands.map((one) => one.name), ...longsOf(options)].join(' ')}' -- "$cur"))
      ;;
${commands.map((command) => commandCase(name, command, options)).join('\n')}
  esac
}

complete -F _${name} ${name}
`;
}

export function zshScript(tree: Tree): string {
  return `#compdef ${tree.name}
autoload -U +X bashcompinit && bashcompinit
${bashScript(tree)}`;
}

function commandCase(name: string, { name: command, argument, options }: Leaf, global: readonly Flag[]): string {
  const all = [...options, ...global];
  const words =
    argument === 'workspace'
      ? `((arguments == 0)) && COMPREPLY=($(compgen -W "$(_${name}_workspaces "\${where[@]}")" -- "$cur"))`
      : `((arguments == 0)) && COMPREPLY=($(compgen -W '${argument === 'none' ? '' : argument.join(' ')}' -- "$cur"))`;
  return `    ${command})
${valueCases(all, 6)}
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '${longsOf(all).join(' ')}' -- "$cur")); return; fi
      ${words}
      ;;`;
}

/** After an option with a value: its choices, a file, or nothing. */
function valueCases(options: readonly Flag[], indent: number): string {
  const space = ' '.repeat(indent);
  const cases = options
    .filter(({ takesValue }) => takesValue)
    .map((option) => {
      const reply = option.isFile
        ? 'COMPREPLY=($(compgen -f -- "$cur")); return'
        : option.choices.length > 0
          ? `COMPREPLY=($(compgen -W '${option.choices.join(' ')}' -- "$cur")); return`
          : 'return';
      return `${space}  ${patternOf([option])}) ${reply} ;;`;
    });
  return `${space}case $prev in\n${cases.join('\n')}\n${space}esac`;
}

function patternOf(options: readonly Flag[]): string {
  return options.flatMap(({ short, long }) => (short === undefined ? [long] : [short, long])).join('|');
}

function longsOf(options: readonly Flag[]): readonly string[] {
  return options.map(({ long }) => long);
}
