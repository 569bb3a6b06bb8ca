import type { Command } from 'commander';
import { ANNOTATION_RETRY } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import { latestRun } from '../../api/latest-run';
import { workflowIdOf, type WorkspaceRef } from '../../api/workflow';
import { RESOURCES } from '../../kubernetes/resources';
import { nameArgument, timeoutOption } from '../arguments';
import { theWorkspace, USER_AGENT } from '../cluster';
import type { Done } from '../exit-codes';
import { CliError } from '../failure';
import type { Session } from '../session';
import { isCancelled, isSettled, until } from './wait';

interface Flags {
  readonly wait?: boolean;
  readonly timeout: number;
}

/** `kaito retry NAME`. */
export function retryCommand(command: Command, session: Session, done: Done): void {
  command
    .command('retry')
    .summary('try the failed step again, at once')
    .description(
      `Tries what failed again at once, and counts attempts from one. It sets the annotation ${ANNOTATION_RETRY}; a Workspace that was cancelled is resumed by it, too.`,
    )
    .addArgument(nameArgument())
    .option('--wait', 'wait until it is Ready, Succeeded or Failed')
    .addOption(timeoutOption('30m'))
    .action(async (name: string, flags: Flags) => {
      const ref = { namespace: session.namespace, name };
      await theWorkspace(session.cluster(), ref, session.io.signal);
      await startAgain(session, ref, 'retry', flags, done);
    });
}

/** `kaito resume NAME`. */
export function resumeCommand(command: Command, session: Session, done: Done): void {
  command
    .command('resume')
    .summary('start a cancelled Workspace again')
    .description(
      'Starts a cancelled Workspace again: machines are bought anew, a training goes on from its last checkpoint.',
    )
    .addArgument(nameArgument())
    .option('--wait', 'wait until it is Ready, Succeeded or Failed')
    .addOption(timeoutOption('30m'))
    .action(async (name: string, flags: Flags) => {
      const ref = { namespace: session.namespace, name };
      const { status } = await theWorkspace(session.cluster(), ref, session.io.signal);
      // While a cancellation still releases, its state is Deleting; what is asked for meanwhile counts.
      if (status?.state !== 'Cancelled' && status?.step?.name !== 'Cancelled') {
        throw new CliError({
          exit: 'failed',
          message: `Workspace '${ref.namespace}/${name}' is not cancelled, its state is ${status?.state ?? 'Pending'}`,
          remedy: `To try a failed step again: kaito retry ${name} -n ${ref.namespace}.`,
        });
      }
      await startAgain(session, ref, 'resume', flags, done);
    });
}

async function startAgain(
  session: Session,
  ref: WorkspaceRef,
  what: 'retry' | 'resume',
  { wait, timeout }: Flags,
  done: Done,
): Promise<void> {
  const { io } = session;
  const { client } = session.cluster();
  const value = io.now().toISOString();
  const patch = { metadata: { annotations: { [ANNOTATION_RETRY]: value } } };
  await client.patch(RESOURCES.workspaces, ref, patch, { signal: io.signal, fieldManager: USER_AGENT });
  io.out(`workspace/${ref.name}: asked for ${what === 'retry' ? 'another try' : 'its resumption'}\n`);
  if (wait !== true) return done('ok');

  const isDone = (workspace: Workspace): boolean => workspace.status?.observedRetry === value && isSettled(workspace);
  const workspace = await until(session.cluster(), ref, isDone, {
    signal: io.signal,
    timeoutMs: timeout,
    tell: teller(session),
  });
  if (workspace === undefined) throw gone(ref);
  const { state, step } = workspace.status ?? {};
  if (state !== 'Failed') return done('ok');
  throw new CliError({
    exit: 'failed',
    message: `Workspace '${ref.namespace}/${ref.name}' is Failed (${step?.cause ?? 'cause not known'}): ${step?.message ?? ''}`,
    ...(step?.remedy !== undefined && { remedy: step.remedy }),
  });
}

/** `kaito cancel NAME`. */
export function cancelCommand(command: Command, session: Session, done: Done): void {
  command
    .command('cancel')
    .summary('stop a Workspace and release its machines')
    .description(
      'Stops what is under way, removes the workload and releases the machines that were bought. The Workspace stays, with state Cancelled, until it is resumed or its spec changes. Needs access to Temporal.',
    )
    .addArgument(nameArgument())
    .option('--wait', 'wait until everything is released')
    .addOption(timeoutOption('30m'))
    .action(async (name: string, { wait, timeout }: Flags) => {
      const { io } = session;
      const ref = { namespace: session.namespace, name };
      const cluster = session.cluster();
      const workspace = await theWorkspace(cluster, ref, io.signal);
      if (isCancelled(workspace)) {
        io.out(`workspace/${name}: is cancelled already\n`);
        return done('ok');
      }
      const temporal = await session.temporal();
      const handle = temporal.client.workflow.getHandle(workflowIdOf(ref));
      const latest = await latestRun(temporal.client, workflowIdOf(ref));
      if (latest?.status.name !== 'RUNNING') {
        throw new CliError({
          exit: 'notFound',
          message: `workflow '${workflowIdOf(ref)}' does not run in Temporal namespace '${temporal.namespace}' at ${temporal.address}`,
          remedy: 'Check --address and --temporal-namespace; kaito doctor says whether the bridge starts workflows.',
        });
      }
      await handle.cancel();
      io.out(`workspace/${name}: asked for its cancellation\n`);
      if (wait !== true) return done('ok');

      const isDone = (one: Workspace): boolean => isCancelled(one);
      const ended = await until(cluster, ref, isDone, { signal: io.signal, timeoutMs: timeout, tell: teller(session) });
      if (ended === undefined) throw gone(ref);
      done('ok');
    });
}

/** Says each new step or message once, on standard error. */
function teller({ io }: Session): (workspace: Workspace) => void {
  let last = '';
  return ({ status }) => {
    const { state = 'Pending', step } = status ?? {};
    const where = step === undefined || step.name === state ? state : `${state}, ${step.name}`;
    const line = [where, step?.message?.replaceAll(/\s*\n\s*/g, ' ')].filter((part) => part !== undefined).join(': ');
    if (line !== last) io.err(`${line}\n`);
    last = line;
  };
}

function gone({ namespace, name }: WorkspaceRef): CliError {
  return new CliError({ exit: 'notFound', message: `Workspace '${namespace}/${name}' was deleted meanwhile` });
}
