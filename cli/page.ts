import type { Argument, Command, Option } from 'commander';
import { EXIT_CODES } from './exit-codes';
import type { Io } from './io';
import { program } from './program';

/** docs/cli.md, in Markdown: how to use the command, and every command with its options. Pure; `npm run generate` writes it. */
export function cliPage(): string {
  const { command } = program(NOBODY, () => undefined);
  return `<!-- Made by \`npm run generate\`; edit cli/ instead. -->

# The command \`kaito\`

Plan, follow, repair and ask Workspaces. From a clone: \`npm run kaito -- COMMAND\`; after \`npm link\` it is on PATH as \`kaito\`, and as
\`kubectl kaito\`, since kubectl finds the program \`kubectl-kaito\`. It needs no installation in the cluster.

- **The cluster** is kubectl's: \`KUBECONFIG\`, \`--kubeconfig\`, \`--context\`, \`-n\`.
- **Temporal** is that of \`TEMPORAL_ADDRESS\`, \`TEMPORAL_NAMESPACE\`, \`TEMPORAL_API_KEY\` (or \`KAITO_TEMPORAL_API_KEY_FILE\`), \`TEMPORAL_TLS…\`, or of a profile of Temporal's
  configuration file, as the \`temporal\` command reads them; or of \`--address\`. Only \`history\`, \`cancel\` and \`doctor\` ask it, and \`history\` does
  without where the cluster has a record.
- **For scripts**: \`-o json\` or \`-o yaml\`, and the exit codes below. Results go to standard output, everything else to standard error.
- **Completion**: \`source <(kaito completion bash)\`, \`source <(kaito completion zsh)\`, or \`kaito completion fish | source\`.
  After \`kubectl kaito\` kubectl's own completion asks the program \`kubectl_complete-kaito\`, which \`npm link\` puts on PATH, too (kubectl 1.26).

## Examples

\`\`\`sh
kaito plan -f examples/phi-3-inference.yaml --region eastus    # what would be bought, and whether the API server accepts it
kaito get -A -o wide                                           # all Workspaces
kaito get phi-4                                                # all about one: what is in the way, and what to do
kaito retry phi-4 --wait                                       # exit code 0 once it is Ready, 1 if it fails
kaito cancel phi-4 --wait && kaito resume phi-4                # let the machines go, and buy them again
kaito history phi-4                                            # also after kubectl delete workspace phi-4
kaito logs phi-4 -f --tail 20
kaito chat phi-4 'What is Temporal?' --max-tokens 100
kaito doctor                                                   # what is wrong with the installation
kaito get -o json | jq -r '.[] | select(.state == "Failed") | .name + ": " + .remedy'
\`\`\`

\`\`\`
$ kaito get
NAME   STATE    STEP      CAUSE             ETA           NODES  SIZE                      COST/H  AGE
phi-4  Ready    Ready     -                 -             1/1    Standard_NC24ads_A100_v4  $3.67   3d4h
tune   Running  Training  -                 14m           1/1    Standard_NC48ads_A100_v4  $7.35   2h
new    Pending  Plan      MissingReference  next try 25s  0/1    Standard_NC24ads_A100_v4  -       90s
\`\`\`

\`ETA\` is the trainer's own estimate, or the time of the next try; for the rest nobody knows, and nothing is guessed. \`COST/H\` is there where the
worker knows prices.

\`\`\`
$ kaito history phi-4
Life 1 of 1: UID 5b0c…, 2026-11-22 11:04:07Z to 2026-11-22 11:04:21Z
TIME                  STEP      TOOK   TRIES  CAUSE     WHAT
2026-11-22 11:04:07Z                                    the Workspace was created
2026-11-22 11:04:07Z  Plan      83ms                    plan; generation 1 by kubectl-client-side-apply (Update)
2026-11-22 11:04:07Z  Machines  1s            Capacity  1 × Standard_NC24ads_A100_v4: could not be had: …
2026-11-22 11:04:09Z  Machines  2s                      1 × Standard_NC48ads_A100_v4
…
\`\`\`

A name that was used more than once has several lives; \`--life\` chooses one by its UID. Temporal keeps the steps of a closed workflow for its
namespace's retention, which \`doctor\` tells; after that the record in the namespace's ConfigMap \`kaito-history\` remains: who changed what, the time
in each step, machines and what they cost.

## Exit codes

| code | meaning |
| ---: | --- |
${Object.values(EXIT_CODES)
  .map(({ code, meaning }) => `| ${code} | ${meaning} |`)
  .join('\n')}

## Options of all commands

${optionsTable(command.options)}

${command.commands.map(section).join('\n\n')}
`;
}

/** Nothing is run for the page. */
const NOBODY: Io = {
  out: () => undefined,
  err: () => undefined,
  env: {},
  signal: new AbortController().signal,
  now: () => new Date(0),
  read: () => '',
};

function section(command: Command): string {
  const words = [command.name(), ...command.registeredArguments.map(syntaxOf), '[options]'].join(' ');
  const parts = [`## \`kaito ${words}\``, command.description(), optionsTable(command.options)];
  return parts.filter((part) => part !== '').join('\n\n');
}

function syntaxOf(argument: Argument): string {
  const choices = argument.argChoices?.join('|');
  const name = choices ?? argument.name();
  return argument.required ? `<${name}>` : `[${name}]`;
}

function optionsTable(options: readonly Option[]): string {
  if (options.length === 0) return '';
  return ['| option | meaning |', '| --- | --- |', ...options.map(row)].join('\n');
}

function row({ flags, description, argChoices, defaultValue, defaultValueDescription }: Option): string {
  const choices = argChoices === undefined ? '' : ` One of ${argChoices.map((one) => `\`${one}\``).join(', ')}.`;
  const byDefault = defaultValueDescription ?? (hasDefault(defaultValue) ? String(defaultValue) : undefined);
  const text = `${description}.${choices}${byDefault === undefined ? '' : ` Default: \`${byDefault}\`.`}`;
  return `| \`${flags}\` | ${text.replaceAll('|', '\\|')} |`;
}

function hasDefault(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}
