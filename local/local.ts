import path from 'node:path';

import { Command } from 'commander';

import { down, status, up, type ComponentStatus, type Environment, type Parts } from './environment';

/** The repository. */
const ROOT = path.dirname(__dirname);

/** Where `npm run local` and `npm run demo` keep their environment. */
export const DEFAULT_DIR = path.join(ROOT, '.local');

/** Ports that people know by heart, taken where they are free. */
export const WELL_KNOWN_PORTS = { temporal: 7233, temporalUi: 8233 } as const;

/** What the product brings to a cluster: its kinds and admission policies. */
export const PRODUCT_MANIFESTS: readonly string[] = ['crds', 'policies'].map((folder) =>
  path.join(ROOT, 'charts', 'kaito-temporal', folder),
);

interface UpFlags {
  readonly dir: string;
  readonly karpenter: boolean;
  readonly temporal: string;
}

function main(): Promise<Command> {
  const program = new Command('local').description(
    'A real Kubernetes control plane with simulated nodes, Karpenter, and Temporal, on this machine.',
  );
  const dir = ['--dir <folder>', 'where it keeps its state', DEFAULT_DIR] as const;
  program
    .command('up')
    .description('bring it up, or complete what is up in part')
    .option(...dir)
    .option('--no-karpenter', 'leave Karpenter out')
    .option('--temporal <kind>', "Temporal's store: memory, file (survives `down --keep-data`) or none", 'memory')
    .action((flags: UpFlags) => bringUp(flags));
  program
    .command('down')
    .description('end all of it')
    .option(...dir)
    .option('--keep-data', 'keep what the cluster and Temporal hold, for the next up', false)
    .action(({ dir: folder, keepData }: { dir: string; keepData: boolean }) => takeDown(folder, keepData));
  program
    .command('status')
    .description('say how each part is; exit code 1 unless all are ready')
    .option(...dir)
    .action(({ dir: folder }: { dir: string }) => tellStatus(folder));
  return program.parseAsync();
}

async function bringUp(flags: UpFlags): Promise<void> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt).once('SIGHUP', interrupt);
  const environment = await up({
    dir: flags.dir,
    parts: { kubernetes: true, karpenter: flags.karpenter, temporal: temporalKind(flags.temporal) },
    preferredPorts: WELL_KNOWN_PORTS,
    manifestFolders: PRODUCT_MANIFESTS,
    log: say,
    signal: interrupted.signal,
  });
  say(`\nThe environment is up. Nodes and pods are simulated; the rest is real.\n${howToUse(environment)}`);
}

/** What a person does next, in a few lines. */
export function howToUse(environment: Environment): string {
  const shown = (file: string) => path.relative(process.cwd(), file) || '.';
  return [
    `  source ${shown(environment.envFile)}     # KUBECONFIG, TEMPORAL_ADDRESS, kubectl and temporal on PATH`,
    ...(environment.temporal === undefined ? [] : [`  Temporal UI: ${environment.temporal.uiUrl}`]),
    `  logs: ${shown(environment.logs)}/`,
  ].join('\n');
}

function temporalKind(kind: string): Parts['temporal'] {
  if (kind === 'memory' || kind === 'file') return kind;
  if (kind === 'none') return false;
  throw new Error(`--temporal is memory, file or none, not ${kind}`);
}

async function takeDown(dir: string, keepData: boolean): Promise<void> {
  const found = await status(dir);
  if (found === undefined) return say('There is no environment.');
  await down(dir, { keepData, keepLogs: true });
  say(`The environment is down; its logs stay in ${found.environment.logs}.`);
}

async function tellStatus(dir: string): Promise<void> {
  const found = await status(dir);
  if (found === undefined) {
    say('There is no environment.');
    process.exitCode = 1;
    return;
  }
  for (const component of found.components) say(line(component));
  say(howToUse(found.environment));
  if (found.components.some(({ state }) => state !== 'ready')) process.exitCode = 1;
}

function line({ name, state, pid, log, logTail }: ComponentStatus): string {
  const head = `${name.padEnd(24)} ${state.padEnd(10)} ${pid === undefined ? '' : `pid ${pid}`}`.trimEnd();
  if (logTail === undefined) return head;
  return `${head}\n    ${log}\n${logTail.replaceAll(/^/gm, '    | ')}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

if (require.main === module) {
  main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}
