import { Command } from 'commander';

import { DEFAULT_DIR, PRODUCT_MANIFESTS, WELL_KNOWN_PORTS } from './defaults';
import { down, status, up, type ComponentStatus, type Parts } from './environment';
import { howToUse } from './how-to-use';
import { interruption } from './interruption';

interface UpFlags {
  readonly dir: string;
  readonly karpenter: boolean;
  readonly real: boolean;
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
    .option('--real', 'add a node that really runs containers, and an image registry (Linux, root)', false)
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
  const environment = await up({
    dir: flags.dir,
    parts: {
      kubernetes: true,
      karpenter: flags.karpenter,
      temporal: temporalKind(flags.temporal),
      ...(flags.real ? { realNode: true } : {}),
    },
    preferredPorts: WELL_KNOWN_PORTS,
    manifestFolders: PRODUCT_MANIFESTS,
    log: say,
    signal: interruption(),
  });
  const nodes =
    environment.realNode === undefined
      ? 'Nodes and pods are simulated; the rest is real.'
      : `The node ${environment.realNode.name} and its pods are real; machines that are bought are simulated.`;
  say(`\nThe environment is up. ${nodes}\n${howToUse(environment)}`);
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
