import path from 'node:path';
import { styleText } from 'node:util';

import { Command } from 'commander';

import { ANNOTATION_RETRY } from '../api/labels';
import type { Workspace } from '../api/workspace';
import { DEFAULT_DIR, PRODUCT_MANIFESTS, REAL_DIR, WELL_KNOWN_PORTS } from './defaults';
import { playAzure } from './demo/azure';
import type { Child } from './demo/child';
import type { Cleanup } from './demo/cleanup';
import { follow, isReady } from './demo/follow';
import { kubectlOf, type Kubectl } from './demo/kubectl';
import { startProduct } from './demo/product';
import { seconds } from './demo/progress';
import { playReal } from './demo/real';
import { NotReadyError, command, heading, howToGoOn, indented, say, shown, whatToDo } from './demo/words';
import { down, status, up, type Environment } from './environment';

/** The quick start's manifest, and the Workspace that it makes. */
const MANIFEST = path.join('examples', 'phi-3-inference.yaml');
const NAME = 'workspace-phi-3-mini';

/** A Workspace on simulated machines is Ready in a few seconds; after so long something is wrong. */
const READY_WITHIN_MS = 180_000;
const GONE_WITHIN = '60s';

/** Shows the quick start on this machine; stays until Ctrl-C, and leaves nothing running. */
async function main(): Promise<void> {
  const program = new Command('demo')
    .description("KAITO's quick start on this machine: a real control plane, simulated nodes and pods.")
    .option(
      '--dir <folder>',
      `where the environment keeps its state (default: ${shown(DEFAULT_DIR)}, with --real ${shown(REAL_DIR)})`,
    )
    .option(
      '--real',
      'with real containers: a tiny model is served, tuned, and served with its adapter (Linux, root)',
      false,
    )
    .option('--azure-fake', 'machines as agent pools of AKS, by a stand-in for Azure Resource Manager', false)
    .option('--exit', 'tear down after success instead of waiting for Ctrl-C', false)
    .parse();
  const options = program.opts<{ dir?: string; exit: boolean; real: boolean; azureFake: boolean }>();

  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);

  const cleanup: Cleanup = [];
  try {
    const dir = options.dir ?? (options.real ? REAL_DIR : DEFAULT_DIR);
    const { signal } = interrupted;
    const product = options.real
      ? await playReal(dir, cleanup, signal)
      : options.azureFake
        ? await playAzure(async () => (await bringUp(dir, cleanup, signal)).environment, cleanup, signal)
        : await play(dir, cleanup, signal);
    if (!options.exit) {
      say('\n  Ctrl-C ends it all.');
      await Promise.race([untilAborted(interrupted.signal), product.ended]);
    }
  } catch (error) {
    process.exitCode = interrupted.signal.aborted ? 130 : 1;
    if (!interrupted.signal.aborted) {
      tellFailure(error);
      if (error instanceof NotReadyError && options.exit) {
        say('\n  With --exit all is ended now, the logs stay; `npm run demo` without it stays up, to look at.');
      } else if (error instanceof NotReadyError) {
        say('\n  All is left running, to look at. Ctrl-C ends it.');
        await untilAborted(interrupted.signal);
      }
    }
  }
  await end(cleanup);
}

/** The story, from nothing to a served model. */
async function play(dir: string, cleanup: Cleanup, signal: AbortSignal): Promise<Child> {
  const startedAt = Date.now();
  say(
    styleText(
      'bold',
      "KAITO's quick start on this machine: from kubectl apply to Ready, as one durable Temporal workflow.",
    ),
  );
  say('Control plane, Karpenter and Temporal are the real programs. Nodes, GPUs and pods are simulated.');

  say(heading('1. The local environment'));
  const { environment, stays } = await bringUp(dir, cleanup, signal);
  const upAt = Date.now();

  say(heading('2. Worker and bridge'));
  say('  starting; the workflow code is bundled first');
  const product = await startProduct(environment, { signal });
  cleanup.push(() => product.stop());
  const atWorkAt = Date.now();
  say(`  at work after ${seconds(atWorkAt - upAt)}; they log to ${shown(product.logFile)}`);

  say(heading('3. The Workspace'));
  const kubectl = kubectlOf(environment);
  const created = await apply(kubectl, signal);
  // In an environment that stays, a Workspace without the product would be left with nobody to release its machine.
  if (created && stays)
    cleanup.push(() => kubectl('delete', 'workspace', NAME, '--ignore-not-found', `--timeout=${GONE_WITHIN}`));
  const appliedAt = Date.now();
  const workspace = await Promise.race([
    follow(kubectl, environment, { name: NAME, isDone: isReady, withinMs: READY_WITHIN_MS, signal }),
    product.ended,
  ]);
  const readyAt = Date.now();

  say(heading('4. As the quick start shows it'));
  for (const args of [['get', 'workspace', NAME] as const, ['get', 'svc', NAME] as const]) {
    say(`  ${command('kubectl', ...args)}`);
    say(indented(await kubectl(...args)));
  }
  say('  Its conditions:');
  for (const { type, status: holds, reason } of workspace.status?.conditions ?? []) {
    say(`    ${type.padEnd(20)} ${holds.padEnd(6)} ${reason}`);
  }
  const parts = [
    `environment ${seconds(upAt - startedAt)}`,
    `worker and bridge ${seconds(atWorkAt - upAt)}`,
    `kubectl apply to Ready ${seconds(readyAt - appliedAt)}`,
  ];
  say(`\n  Ready ${seconds(readyAt - startedAt)} after the start: ${parts.join(', ')}.`);
  say('  The pod is simulated: no model runs in it, so /chat does not answer here.');
  say(howToGoOn(environment, workspace));
  return product;
}

/** Brings the environment up, or uses the one that is up. In the end it is as it was found: up, stopped, or not there. */
async function bringUp(
  dir: string,
  cleanup: Cleanup,
  signal: AbortSignal,
): Promise<{ readonly environment: Environment; readonly stays: boolean }> {
  const found = await status(dir);
  const stays = found?.components.some(({ state }) => state === 'ready' || state === 'not ready') ?? false;
  if (stays) say(`  The one in ${shown(path.resolve(dir))} is up: using it, and leaving it up.`);
  const environment = await up({
    dir,
    parts: {
      kubernetes: true,
      karpenter: true,
      ...(found?.environment.temporal === undefined ? { temporal: 'memory' as const } : {}),
    },
    preferredPorts: WELL_KNOWN_PORTS,
    manifestFolders: PRODUCT_MANIFESTS,
    lifetime: found === undefined ? 'owner' : 'detached',
    log: (line) => say(`  ${line}`),
    signal,
  });
  if (!stays) cleanup.push(() => down(dir, found === undefined ? { keepLogs: true } : { keepData: true }));
  return { environment, stays: stays || found !== undefined };
}

/**
 * Applies the manifest as a user would. An earlier Workspace of that name is awaited while it goes, and told to try again if it rests
 * cancelled or failed.
 *
 * @returns whether the Workspace is new.
 */
async function apply(kubectl: Kubectl, signal: AbortSignal): Promise<boolean> {
  const json = await kubectl('get', 'workspace', NAME, '--ignore-not-found', '-o', 'json');
  const before = json === '' ? undefined : (JSON.parse(json) as Workspace);
  const runShown = async (...args: readonly string[]): Promise<string> => {
    signal.throwIfAborted();
    say(`  ${command('kubectl', ...args)}`);
    const output = await kubectl(...args);
    say(indented(output));
    return output;
  };
  if (before?.metadata.deletionTimestamp !== undefined) {
    await runShown('wait', '--for=delete', `workspace/${NAME}`, `--timeout=${GONE_WITHIN}`);
  }
  const applied = await runShown('apply', '-f', MANIFEST);
  const state = before?.status?.state;
  if (!applied.includes('created') && (state === 'Cancelled' || state === 'Failed')) {
    say(`  It rests in state ${state}: told to try again.`);
    await runShown('annotate', '--overwrite', 'workspace', NAME, `${ANNOTATION_RETRY}=${Date.now()}`);
  }
  return applied.includes('created');
}

async function end(cleanup: Cleanup): Promise<void> {
  if (cleanup.length === 0) return;
  say(heading('Ending what was brought up'));
  for (const stop of [...cleanup].reverse()) {
    // Whatever can't be ended, the rest is.
    await stop().catch((error: unknown) => {
      tellFailure(error);
      process.exitCode = 1;
    });
  }
  say('  done');
}

function tellFailure(error: unknown): void {
  const title = styleText('red', 'The demo failed.', { stream: process.stderr });
  process.stderr.write(`\n${title} ${error instanceof Error ? error.message : String(error)}\n${whatToDo(error)}`);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  // A timer holds the process; a promise alone does not.
  const hold = setInterval(() => undefined, 60_000);
  return new Promise((resolve) => {
    const finish = (): void => {
      clearInterval(hold);
      resolve();
    };
    if (signal.aborted) finish();
    else signal.addEventListener('abort', finish, { once: true });
  });
}

main().catch((error: unknown) => {
  tellFailure(error);
  process.exitCode = 1;
});
