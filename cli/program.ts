import { Command, Option } from 'commander';
import { parseName } from './arguments';
import { chatCommand } from './chat/command';
import { cancelCommand, resumeCommand, retryCommand } from './change/commands';
import { completionCommand } from './completion/command';
import { doctorCommand } from './doctor/command';
import type { Done } from './exit-codes';
import type { GlobalFlags } from './flags';
import { getCommand } from './get/command';
import { historyCommand } from './history/command';
import type { Io } from './io';
import { logsCommand } from './logs/command';
import { planCommand } from './plan/command';
import { Session } from './session';
import { version } from '../package.json';

/** All commands. Nothing is contacted before one of them runs. */
export function program(io: Io, done: Done): { readonly command: Command; readonly session: Session } {
  const command = new Command(io.env['KAITO_INVOKED_AS'] ?? 'kaito')
    .description('Plan, follow, repair and ask the Workspaces of KAITO that Temporal serves.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--kubeconfig <file>', 'kubeconfig to use instead of KUBECONFIG and ~/.kube/config')
    .addOption(
      new Option('-n, --namespace <name>', "namespace of the Workspace (default: the context's)").argParser(parseName),
    )
    .option('--address <host:port>', 'Temporal server (default: TEMPORAL_ADDRESS, else localhost:7233)')
    .option('--temporal-namespace <name>', 'namespace in Temporal (default: TEMPORAL_NAMESPACE, else default)')
    .option('--profile <name>', "profile of Temporal's configuration file")
    .option('--debug', 'print stack traces of errors')
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .showSuggestionAfterError()
    .exitOverride();
  const session = new Session(io, () => command.opts<GlobalFlags>());
  const commands = [
    planCommand,
    getCommand,
    historyCommand,
    retryCommand,
    cancelCommand,
    resumeCommand,
    logsCommand,
    chatCommand,
    doctorCommand,
    completionCommand,
  ];
  for (const add of commands) add(command, session, done);
  return { command, session };
}
