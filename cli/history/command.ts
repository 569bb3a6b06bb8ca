import type { Command } from 'commander';
import { nameArgument } from '../arguments';
import type { Done } from '../exit-codes';
import { CliError } from '../failure';
import { outputOption, printData, type Format } from '../output';
import type { Session } from '../session';
import type { Life } from './entry';
import { historyText } from './lines';
import { readLives } from './sources';

/** `kaito history NAME`. */
export function historyCommand(command: Command, session: Session, done: Done): void {
  command
    .command('history')
    .summary('what happened to a Workspace, also after it is gone')
    .description(
      'Tells from Temporal what happened: who changed and asked for what, each step with its duration, attempts and failure, each state. It works after the Workspace was deleted, for as long as Temporal retains closed workflows; then, and without Temporal, it tells the record that the cluster keeps of each life that ended.',
    )
    .addArgument(nameArgument())
    .option(
      '--life <uid>',
      'only the Workspace of this UID (its beginning is enough), when the name was used more than once',
    )
    .addOption(outputOption(['table', 'json', 'yaml']))
    .action(async (name: string, { life, output }: { readonly life?: string; readonly output: Format }) => {
      const { io } = session;
      const ref = { namespace: session.namespace, name };
      const chosen = chosenLives(await readLives(session, ref), life);
      if (!printData(io, output, () => ({ ...ref, lives: chosen }))) io.out(historyText(chosen));
      done('ok');
    });
}

function chosenLives(lives: readonly Life[], uid: string | undefined): readonly Life[] {
  if (uid === undefined) return lives;
  const chosen = lives.filter((one) => one.uid.startsWith(uid));
  if (chosen.length > 0) return chosen;
  throw new CliError({
    exit: 'notFound',
    message: `--life ${uid}: the name had the UIDs ${lives.map((one) => one.uid).join(', ')}`,
    remedy: 'Name one of these.',
  });
}
