import { Option, type Command } from 'commander';
import type { Workspace } from '../../api/workspace';
import type { Pod } from '../../kubernetes/objects';
import { nameArgument, parseCount, parseTime } from '../arguments';
import { theWorkspace, type ClusterAccess } from '../cluster';
import type { Done } from '../exit-codes';
import { CliError } from '../failure';
import type { Io } from '../io';
import type { Session } from '../session';
import { endOf, followLogs } from './follow';
import { linesOf } from './lines';
import { extentOf, openLog, type LogFlags } from './request';
import { chosenOf, containerOf, jobOf, LABEL_JOB, noPods, partOf, podsOf, type Part } from './targets';

interface Flags extends LogFlags {
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly part?: Part;
  readonly pod?: string;
}

/** `kaito logs NAME`. */
export function logsCommand(command: Command, session: Session, done: Done): void {
  command
    .command('logs')
    .summary('what the pods of a Workspace print')
    .description(
      'Prints the log of the model server, of the training, or of the push: whatever is at work, and of its pods the container that works or failed. With several pods each line begins with the name of its pod. With -f pods that appear later are followed, too, from their first line, init containers included: the next one after a restart, and after the training the push. It ends when the Workspace is gone or its tuning is over, or by Ctrl-C.',
    )
    .addArgument(nameArgument())
    .option('-f, --follow', 'go on as it is written, also in pods that come later')
    .option('-p, --previous', 'of the container before its restart; of a Job: of the pod before')
    .addOption(new Option('--part <part>', 'instead of what is at work').choices(['serving', 'training', 'push']))
    .option('--pod <name>', 'only this pod')
    .option('-c, --container <name>', 'container')
    .option('--tail <lines>', 'only the last lines', parseCount)
    .option('--since <time>', 'only what is newer, for example 10m', parseTime)
    .option('--timestamps', 'with the time of each line')
    .action(async (name: string, flags: Flags) => {
      const { io } = session;
      const cluster = session.cluster();
      const workspace = await theWorkspace(cluster, { namespace: session.namespace, name }, io.signal);
      // What is over does not grow.
      if (flags.follow === true && flags.previous !== true) await follow(io, cluster, workspace, flags);
      else await print(io, cluster, workspace, flags);
      done('ok');
    });
}

/** What is there. */
async function print(io: Io, cluster: ClusterAccess, workspace: Workspace, flags: Flags): Promise<void> {
  const part = flags.part ?? partOf(workspace);
  const previous = flags.previous === true && part !== 'serving';
  const all = chosenOf(await podsOf(cluster, workspace, part, io.signal), part, { previous });
  if (all.length === 0) throw noPods(workspace, part, { previous });
  const pods = named(all, flags.pod);
  for (const pod of pods) {
    const body = await openLog(
      cluster,
      pod,
      {
        container: flags.container ?? containerOf(pod),
        ...(flags.previous === true && part === 'serving' && { previous: 'true' }),
        ...(flags.timestamps === true && { timestamps: 'true' }),
        ...extentOf(flags),
      },
      io.signal,
    );
    if (pods.length === 1) for await (const chunk of body) io.out(chunk.toString('utf8'));
    else for await (const line of linesOf(body)) io.out(`${pod.metadata.name}: ${line}\n`);
  }
}

/** What is there, and what comes. */
async function follow(io: Io, cluster: ClusterAccess, workspace: Workspace, flags: Flags): Promise<void> {
  const part = flags.part ?? partOf(workspace);
  const present = await podsOf(cluster, workspace, flags.part, io.signal);
  const mine = present.filter(({ metadata }) => metadata.labels?.[LABEL_JOB] === jobOf(workspace, part));
  const all = chosenOf(mine, part, { previous: false });
  if (all.length === 0) {
    const none = noPods(workspace, part, { previous: false });
    if (endOf(workspace, flags.part) !== undefined) throw none;
    io.err(`note: ${none.message}; waiting for one\n`);
  }
  const { part: only, ...others } = flags;
  const chosen = all.length === 0 ? [] : named(all, flags.pod);
  await followLogs({ ...others, ...(only !== undefined && { part: only }), cluster, io, workspace, present, chosen });
}

/** Those with the name that was asked for. */
function named(pods: readonly Pod[], name: string | undefined): readonly Pod[] {
  const found = name === undefined ? pods : pods.filter(({ metadata }) => metadata.name === name);
  if (found.length > 0) return found;
  const names = pods.map(({ metadata }) => metadata.name).join(', ');
  throw new CliError({ exit: 'notFound', message: `--pod ${name ?? ''}: the pods are ${names}` });
}
