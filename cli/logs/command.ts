import { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { Option, type Command } from 'commander';
import type { Pod } from '../../kubernetes/objects';
import { pathOf, RESOURCES } from '../../kubernetes/resources';
import { nameArgument, parseCount, parseTime } from '../arguments';
import { theWorkspace, type ClusterAccess } from '../cluster';
import type { Done } from '../exit-codes';
import { CliError } from '../failure';
import type { Io } from '../io';
import type { Session } from '../session';
import { containerOf, partOf, podsOf, type Part } from './targets';

interface Flags {
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly part?: Part;
  readonly pod?: string;
  readonly container?: string;
  readonly tail?: number;
  readonly since?: number;
  readonly timestamps?: boolean;
}

/** `kaito logs NAME`. */
export function logsCommand(command: Command, session: Session, done: Done): void {
  command
    .command('logs')
    .summary('what the pods of a Workspace print')
    .description(
      'Prints the log of the model server, of the training, or of the push: whatever is at work, and of its pods the container that works or failed. With several pods each line begins with the name of its pod.',
    )
    .addArgument(nameArgument())
    .option('-f, --follow', 'go on as it is written')
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
      const part = flags.part ?? partOf(workspace);
      const all = await podsOf(cluster, workspace, part, {
        previous: flags.previous === true && part !== 'serving',
        signal: io.signal,
      });
      const pods = flags.pod === undefined ? all : all.filter(({ metadata }) => metadata.name === flags.pod);
      if (pods.length === 0) {
        const names = all.map(({ metadata }) => metadata.name).join(', ');
        throw new CliError({ exit: 'notFound', message: `--pod ${flags.pod ?? ''}: the pods are ${names}` });
      }
      const isPrevious = flags.previous === true && part === 'serving';
      const print = (pod: Pod): Promise<void> =>
        printLog(io, cluster, pod, { ...flags, isPrevious, hasPrefix: pods.length > 1 });
      // In their order, unless they are followed: then as it comes.
      if (flags.follow === true) await Promise.all(pods.map(print));
      else for (const pod of pods) await print(pod);
      done('ok');
    });
}

async function printLog(
  io: Io,
  cluster: ClusterAccess,
  pod: Pod,
  flags: Flags & { readonly isPrevious: boolean; readonly hasPrefix: boolean },
): Promise<void> {
  const { name, namespace = '' } = pod.metadata;
  const container = flags.container ?? containerOf(pod);
  const query = new URLSearchParams({ container });
  if (flags.follow === true) query.set('follow', 'true');
  if (flags.isPrevious) query.set('previous', 'true');
  if (flags.timestamps === true) query.set('timestamps', 'true');
  if (flags.tail !== undefined) query.set('tailLines', String(flags.tail));
  if (flags.since !== undefined) query.set('sinceSeconds', String(Math.ceil(flags.since / 1_000)));
  const path = `${pathOf(RESOURCES.pods, { namespace, name }, 'log')}?${query.toString()}`;
  const body = await cluster.stream(path, `get pods/log "${name}" in namespace "${namespace}"`, io.signal);
  if (!flags.hasPrefix) {
    for await (const chunk of body) io.out(chunk.toString('utf8'));
    return;
  }
  for await (const line of createInterface({ input: Readable.from(body) })) io.out(`${name}: ${line}\n`);
}
