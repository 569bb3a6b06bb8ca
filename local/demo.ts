import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { styleText } from 'node:util';

import { Command } from 'commander';

import { ANNOTATION_RETRY } from '../api/labels';
import { workflowIdOf } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import { DEFAULT_DIR, PRODUCT_MANIFESTS, ROOT, WELL_KNOWN_PORTS } from './defaults';
import { kubectlOf, type Kubectl } from './demo/kubectl';
import { startProduct } from './demo/product';
import { Progress, seconds } from './demo/progress';
import { down, status, up, type Environment } from './environment';

/** The quick start's manifest, and the Workspace that it makes. */
const MANIFEST = path.join('examples', 'phi-3-inference.yaml');
const NAME = 'workspace-phi-3-mini';
const WORKFLOW = workflowIdOf({ namespace: 'default', name: NAME });

/** A Workspace on simulated machines is Ready in a few seconds; after so long something is wrong. */
const READY_WITHIN_MS = 180_000;
const GONE_WITHIN_MS = 30_000;

/** What was brought up, and so has to be ended; the last first. */
type Cleanup = (() => Promise<void>)[];

/** The Workspace can't become Ready, or not in time; the message says what to do. */
class NotReadyError extends Error {}

async function main(): Promise<void> {
  const program = new Command('demo')
    .description("KAITO's quick start on this machine: a real control plane, simulated nodes and pods.")
    .option('--dir <folder>', 'where the environment keeps its state', DEFAULT_DIR)
    .option('--exit', 'tear down after success instead of waiting for Ctrl-C', false)
    .parse();
  const options = program.opts<{ dir: string; exit: boolean }>();

  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);

  const cleanup: Cleanup = [];
  try {
    await tell(options.dir, cleanup, interrupted.signal);
    if (!options.exit) await untilAborted(interrupted.signal);
  } catch (error) {
    process.exitCode = interrupted.signal.aborted ? 130 : 1;
    if (!interrupted.signal.aborted) {
      complain(error);
      if (error instanceof NotReadyError && !options.exit) {
        say('\nAll is left running, to look at. Press Ctrl-C to end it.');
        await untilAborted(interrupted.signal);
      }
    }
  }
  if (cleanup.length > 0) {
    say(heading('Ending what was brought up'));
    for (const end of cleanup.reverse()) await end();
    say('  Nothing is left running.');
  }
}

/** The story, from nothing to a served model. */
async function tell(dir: string, cleanup: Cleanup, signal: AbortSignal): Promise<void> {
  const startedAt = Date.now();
  say(styleText('bold', "KAITO's quick start on this machine: from kubectl apply to Ready, as one durable Temporal workflow."));
  say('The control plane, Karpenter and Temporal are the real programs. Nodes, GPUs and pods are simulated (KWOK).');

  say(heading('1. The local environment'));
  const environment = await bringUp(dir, cleanup, signal);
  const upAt = Date.now();
  say(`  up after ${seconds(upAt - startedAt)}`);

  say(heading('2. Worker and bridge'));
  const product = await startProduct(environment, signal);
  cleanup.push(() => product.stop());
  const atWorkAt = Date.now();
  say(`  at work after ${seconds(atWorkAt - upAt)}; they log to ${shown(product.logFile)}`);

  say(heading('3. The Workspace'));
  const kubectl = kubectlOf(environment);
  await apply(kubectl, cleanup, environment);
  const appliedAt = Date.now();
  const workspace = await Promise.race([follow(kubectl, environment, signal), product.ended]);
  const readyAt = Date.now();

  say(heading('4. As the quick start shows it'));
  for (const args of [
    ['get', 'workspace', NAME],
    ['get', 'svc', NAME],
  ]) {
    say(`  ${command('kubectl', args)}`);
    say(indented(await kubectl(...args)));
  }
  say('  Conditions:');
  for (const { type, status: holds, reason } of workspace.status?.conditions ?? []) {
    say(`    ${type.padEnd(20)} ${holds.padEnd(6)} ${reason}`);
  }
  const took = [
    `environment ${seconds(upAt - startedAt)}`,
    `worker and bridge ${seconds(atWorkAt - upAt)}`,
    `kubectl apply to Ready ${seconds(readyAt - appliedAt)}`,
  ];
  say(`\n  Ready after ${seconds(readyAt - startedAt)} in all: ${took.join(', ')}.`);
  say('  The pod is simulated, so no model runs in it and /chat does not answer here; on a real GPU node it does.');
  say(howToGoOn(environment, workspace));
}

/** Brings the environment up, or uses the one that is up. At the end it is as it was found. */
async function bringUp(dir: string, cleanup: Cleanup, signal: AbortSignal): Promise<Environment> {
  const found = await status(dir);
  const runs = found?.components.some(({ state }) => state === 'ready' || state === 'not ready') ?? false;
  if (runs) say(`  ${shown(path.resolve(dir))} is up already: using it, and leaving it up`);
  else {
    const stop = found === undefined ? { keepLogs: true } : { keepData: true };
    cleanup.push(() => down(dir, stop));
  }
  return up({
    dir,
    parts: { kubernetes: true, karpenter: true, ...(found?.environment.temporal === undefined && { temporal: 'memory' }) },
    preferredPorts: WELL_KNOWN_PORTS,
    manifestFolders: PRODUCT_MANIFESTS,
    lifetime: found === undefined ? 'owner' : 'detached',
    log: (line) => say(`  ${line}`),
    signal,
  });
}

/** Applies the manifest as a user would. A Workspace of that name that rests is told to try again; one that is going is awaited. */
async function apply(kubectl: Kubectl, cleanup: Cleanup, environment: Environment): Promise<void> {
  const json = await kubectl('get', 'workspace', NAME, '--ignore-not-found', '-o', 'json');
  const before = json === '' ? undefined : (JSON.parse(json) as Workspace);
  if (before?.metadata.deletionTimestamp !== undefined) {
    const wait = ['wait', '--for=delete', `workspace/${NAME}`, `--timeout=${GONE_WITHIN_MS / 1_000}s`];
    say(`  An earlier ${NAME} is being deleted.\n  ${command('kubectl', wait)}`);
    await kubectl(...wait);
  }
  say(`  ${command('kubectl', ['apply', '-f', MANIFEST])}`);
  const applied = await kubectl('apply', '-f', path.join(ROOT, MANIFEST));
  say(indented(applied));
  // In an environment that stays, nobody would be there to release it.
  if (applied.includes('created')) cleanup.push(() => deleteIfStays(kubectl, environment));
  if (before?.status?.state === 'Cancelled' || before?.status?.state === 'Failed') {
    const retry = ['annotate', '--overwrite', 'workspace', NAME, `${ANNOTATION_RETRY}=${Date.now()}`];
    say(`  It rests in state ${before.status.state}: asking it to try again.\n  ${command('kubectl', retry)}`);
    await kubectl(...retry);
  }
}

async function deleteIfStays(kubectl: Kubectl, environment: Environment): Promise<void> {
  const isOurs = !(await stays.get(environment.dir));
  if (isOurs) return;
  await kubectl('delete', 'workspace', NAME, '--ignore-not-found', `--timeout=${GONE_WITHIN_MS / 1_000}s`);
}

/** Shows the Workspace's way until it is Ready. */
async function follow(kubectl: Kubectl, environment: Environment, signal: AbortSignal): Promise<Workspace> {
  const late = AbortSignal.timeout(READY_WITHIN_MS);
  const progress = new Progress(process.stdout);
  let last: Workspace | undefined;
  try {
    for await (const workspace of kubectl.watch(NAME, AbortSignal.any([signal, late]))) {
      last = workspace;
      progress.show(workspace);
      if (isReady(workspace)) {
        progress.end('done');
        return workspace;
      }
      if (isJudged(workspace) && workspace.status?.state === 'Failed') {
        throw new NotReadyError(whyNotReady(workspace, environment, 'It failed, and no retry by itself mends that.'));
      }
    }
    throw new Error('the watch ended');
  } catch (error) {
    progress.end('failed');
    if (!late.aborted || signal.aborted) throw error;
    throw new NotReadyError(whyNotReady(last, environment, `It was not Ready within ${READY_WITHIN_MS / 1_000} s.`));
  }
}
