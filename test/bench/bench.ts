import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';

import { measureBurst, measureDeletion, measureOnes, measureRest, measureRigAlone } from './measures';
import { measureChurn } from './churn';
import { burstNames } from './names';
import { report, restPer1000, type Results } from './report';
import { startRig, type Rig } from './rig';

interface Options {
  readonly workspaces: number;
  readonly json?: string;
  readonly karpenter: boolean;
  readonly workers: number;
  readonly bridges: number;
  readonly temporal: string;
  readonly pid: Readonly<Record<string, number>>;
  readonly churn: number;
  readonly rareHeartbeats: boolean;
  readonly idle: number;
  readonly ones: number;
  readonly profile?: string;
  readonly timeout: number;
}

/** `npm run bench`: measures the product from outside on an environment of its own; docs/benchmark.md says what and how. */
async function main(): Promise<void> {
  const program = new Command('bench')
    .description('Measures the product from outside, on an environment of its own.')
    .option('--workspaces <number>', 'Workspaces to create at once', atLeast(1), 50)
    .option(
      '--ones <number>',
      'Workspaces to measure one at a time on the idle system; 0 to leave that out',
      atLeast(0),
      20,
    )
    .option(
      '--idle <seconds>',
      'how long CPU at rest is measured, before and after the burst; 0 to leave that out',
      atLeast(0),
      60,
    )
    .option('--workers <number>', 'worker processes side by side', atLeast(1), 1)
    .option('--bridges <number>', 'bridge processes side by side', atLeast(1), 1)
    .option('--temporal <store>', 'memory, file (SQLite), or the address of a server that runs already', 'memory')
    .option('--pid <name=pid>', 'a further process to measure, such as that server; may be repeated', namedPid, {})
    .option(
      '--churn <seconds>',
      'how long one percent of the Workspaces changes each minute, after the burst; 0 to leave it out',
      atLeast(0),
      0,
    )
    .option(
      '--rare-heartbeats',
      'heartbeats of the simulated nodes every 5 minutes: those of thousands would keep the API server busy',
      false,
    )
    .option('--karpenter', 'machines by the real Karpenter instead of the test provisioner', false)
    .option('--json <file>', 'write the results there, too')
    .option('--profile <folder>', 'write CPU profiles of the worker during the burst there (for Chrome or VS Code)')
    .option('--timeout <seconds>', 'longest that a phase may take', atLeast(1), 900)
    .parse();
  const options = program.opts<Options>();

  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);

  const loadBefore = loadavg()[0] ?? 0;
  const { karpenter, workers, bridges, temporal, pid: also, rareHeartbeats } = options;
  const { signal } = interrupted;
  const rig = await startRig({ karpenter, workers, bridges, temporal, also, rareHeartbeats, log: say, signal });
  let succeeded = false;
  try {
    const measured = await Promise.race([measure(rig, options, interrupted.signal), rig.failed]);
    const results: Results = {
      workspaces: options.workspaces,
      machines: options.karpenter ? 'karpenter' : 'test provisioner',
      workers,
      bridges,
      temporal,
      time: new Date().toISOString(),
      host: {
        cores: cpus().length,
        model: cpus()[0]?.model ?? 'unknown',
        memoryGiB: totalmem() / 2 ** 30,
        loadBefore,
      },
      ...measured,
    };
    process.stdout.write(`\n${report(results)}\n`);
    if (options.json !== undefined) {
      const per1000 = restPer1000(results);
      const all = { ...results, ...(per1000 === undefined ? {} : { restPercentPer1000: per1000 }) };
      await writeFile(options.json, `${JSON.stringify(all, undefined, 2)}\n`);
    }
    succeeded = true;
  } finally {
    if (!succeeded) say(`logs: ${rig.logs}`);
    await rig.stop({ keepLogs: !succeeded });
  }
}

type Measured = Omit<Results, 'workspaces' | 'machines' | 'workers' | 'bridges' | 'temporal' | 'time' | 'host'>;

async function measure(rig: Rig, options: Options, interrupted: AbortSignal): Promise<Measured> {
  const limit = (): AbortSignal => AbortSignal.any([interrupted, AbortSignal.timeout(options.timeout * 1_000)]);
  const names = burstNames(options.workspaces);

  say('the rig alone');
  const rigAlone = options.ones === 0 ? undefined : await measureRigAlone(rig, options.ones, limit());
  say('one Workspace at a time');
  // The first finds everything cold; users meet it once.
  await measureOnes(rig, 1, limit());
  const ones =
    options.ones === 0 ? undefined : { count: options.ones, ...(await measureOnes(rig, options.ones, limit())) };
  say('at rest without Workspaces');
  const restEmpty = options.idle === 0 ? undefined : await measureRest(rig, 0, options.idle, interrupted);
  say(`${options.workspaces} Workspaces at once`);
  const endProfile = options.profile === undefined ? undefined : await rig.profile(options.profile);
  const burst = await measureBurst(rig, names, limit());
  endProfile?.();
  say(`all are Ready after ${burst.wallSeconds.toFixed(1)} s; at rest with them`);
  const rest = options.idle === 0 ? undefined : await measureRest(rig, names.length, options.idle, interrupted);
  if (options.churn > 0) say('one percent changes each minute');
  const churn = options.churn === 0 ? undefined : await measureChurn(rig, names, options.churn, limit());
  say('deleting all');
  const deletion = await measureDeletion(rig, names, limit());
  return {
    burst,
    deletion,
    ...(ones && { ones }),
    ...(rigAlone && { rigAlone }),
    ...(restEmpty && { restEmpty }),
    ...(rest && { rest }),
    ...(churn && { churn }),
  };
}

function atLeast(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It is a whole number from ${least}.`);
  };
}

function namedPid(text: string, before: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const [, name, pid] = /^([^=]+)=(\d+)$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('It is a name and a process ID: postgres=123.');
  return { ...before, [name]: Number(pid) };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`The benchmark failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
