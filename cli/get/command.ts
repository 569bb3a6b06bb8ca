import type { Command } from 'commander';
import { RESOURCES } from '../../kubernetes/resources';
import { theWorkspace } from '../cluster';
import { nameArgument } from '../arguments';
import type { Done } from '../exit-codes';
import { outputOption, printData, type Format } from '../output';
import type { Session } from '../session';
import { workspacePage } from './page';
import { workspaceTable } from './rows';
import { summaryOf } from './summary';

interface Flags {
  readonly output: Format;
  readonly allNamespaces?: boolean;
}

/** `kaito get [NAME]`. */
export function getCommand(command: Command, session: Session, done: Done): void {
  command
    .command('get')
    .summary('list Workspaces, or tell all about one')
    .description(
      'Lists Workspaces with state, step, cause, what is known to come next, nodes, size and cost. With a name it tells all about that one: conditions, failed attempts and what to do, machines, adapters, progress of a training.',
    )
    .addArgument(nameArgument('[name]'))
    .option('-A, --all-namespaces', 'of all namespaces')
    .addOption(outputOption())
    .action(async (name: string | undefined, { output, allNamespaces }: Flags) => {
      const { io } = session;
      const cluster = session.cluster();
      if (name !== undefined) {
        if (allNamespaces === true) {
          command.error("error: option '-A, --all-namespaces' cannot be used with a name: name its namespace with -n");
        }
        const ref = { namespace: session.namespace, name };
        const summary = summaryOf(await theWorkspace(cluster, ref, io.signal));
        if (!printData(io, output, () => summary)) {
          const wide = { now: io.now(), wide: true, withNamespace: true };
          io.out(output === 'wide' ? workspaceTable([summary], wide) : workspacePage(summary, io.now()));
        }
        return done('ok');
      }

      const namespace = allNamespaces === true ? undefined : session.namespace;
      const { items } = await cluster.client.list(RESOURCES.workspaces, namespace === undefined ? {} : { namespace }, {
        signal: io.signal,
      });
      const summaries = items.map(summaryOf);
      if (!printData(io, output, () => summaries)) {
        if (summaries.length === 0)
          io.err(`No Workspaces in ${namespace === undefined ? 'any namespace' : `namespace ${namespace}`}.\n`);
        else {
          io.out(
            workspaceTable(summaries, {
              now: io.now(),
              wide: output === 'wide',
              withNamespace: namespace === undefined,
            }),
          );
        }
      }
      done('ok');
    });
}
