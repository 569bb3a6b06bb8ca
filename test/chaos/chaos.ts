import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';

import { createRecorder } from './boundaries';
import { describeFault, KINDS, planFaults, type Boundary, type Fault, type FaultKind } from './faults';
import { startLedger } from './ledger';
import { LIFE, LIVES, User, type LifeName } from './lives';
import { startPlayer } from './player';
import { createRandom, type Random } from './random';
import { findingsOf, isClean, resultsOf, tableOf } from './report';
import { startRig, type Rig } from './rig';
import type { Inhabitant, Stage } from './findings';
import { runRound, type RoundResult } from './round';
import { makeBystanders } from './bystanders';
import { Scene } from './scene';
import { watchTruth } from './truth';

interface Options {
  readonly seed: number;
  readonly faults: number;
  readonly from: number;
  readonly to?: number;
  readonly json?: string;
  readonly only?: FaultKind;
  readonly list: boolean;
}

/** Lives whose every moment is recorded, to be killed at. */
const RECORDED: readonly LifeName[] = ['grows', 'tunes', 'changes', 'resumes'];
const RECORDED_WITHIN_MS = 120_000;
/** Of these, so many beside the subject of a fault. */
const INFERENCES = LIVES.filter((life) => LIFE[life].needs.statefulSets > 0);
const TUNINGS = LIVES.filter((life) => LIFE[life].needs.jobs > 0);
const OF_EACH = 2;
/** Moments that come no more when something else happened are no faults; more of them than this is a fault of the run. */
const MOST_MISSED = 0.1;

/** `npm run chaos`: docs/chaos.md says what is done, and how to read what it finds. */
async function main(): Promise<void> {
  const program = new Command('chaos')
    .description('Injects faults into the product, on an environment of its own, and looks whether anything was lost.')
    .option('--seed <number>', 'which faults, and when', whole(0), 1)
    .option('--faults <number>', 'how many', whole(1), 55)
    .option('--from <number>', 'the first of them to inject: a long plan can be gone through in portions', whole(1), 1)
    .option('--to <number>', 'the last of them to inject', whole(1))
    .option('--json <file>', 'write the results there, too')
    .addOption(new Option('--only <kind>', 'faults of one kind').choices(KINDS))
    .option('--list', 'only say which faults these would be', false)
    .parse();
  const options = program.opts<Options>();

  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interrupted.abort(new Error('interrupted')));
  }
  const rig = await startRig({ log: say, signal: interrupted.signal });
  let clean = false;
  try {
    clean = await run(rig, options, interrupted.signal);
  } finally {
    if (!clean) say(`logs: ${rig.logs}`);
    await rig.stop({ keepLogs: !clean });
  }
  process.exitCode = clean ? 0 : 1;
}

/** True when nothing was found. */
async function run(rig: Rig, options: Options, signal: AbortSignal): Promise<boolean> {
  const started = Date.now();
  const scene = await Scene.open(rig.client);
  const player = startPlayer(scene);
  const stage: Stage = {
    rig,
    scene,
    player,
    ledger: startLedger(scene),
    truth: watchTruth(scene, player),
    signal,
  };
  try {
    const boundaries = await record(stage);
    const random = createRandom(options.seed);
    const { seed, from, to } = options;
    const faults = planFaults(random, options.faults, boundaries, options.only).slice(from - 1, to);
    if (faults.length === 0) throw new Error(`--from ${from}: the plan has no such fault; ask for more by --faults`);
    say(`${boundaries.length} moments were recorded; ${faults.length} faults, seed ${seed}`);
    if (options.list) {
      for (const fault of faults) process.stdout.write(`${describeFault(fault)}\n`);
      return true;
    }
    const rounds = await runAll(stage, faults, options);
    const results = resultsOf(seed, rounds, (Date.now() - started) / 1_000);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
    const failed = rounds.filter((round) => !isClean(round)).length;
    const tooManyMissed = results.missed > MOST_MISSED * rounds.length ? 1 : 0;
    if (tooManyMissed > 0) say(`${results.missed} of ${rounds.length} moments did not come`);
    process.stdout.write(`\n${tableOf(results)}\n\n`);
    process.stdout.write(`${results.faults - failed} passed, ${failed + tooManyMissed} failed\n`);
    return failed + tooManyMissed === 0;
  } finally {
    stage.truth.stop();
    await player.stop();
    await scene.stop();
  }
}

/** One fault after the other. While the Workspaces of one go, those of the next come, unless the fault is yet to hit those that go. */
async function runAll(
  stage: Stage,
  faults: readonly Fault[],
  { seed, from }: Pick<Options, 'seed' | 'from'>,
): Promise<readonly RoundResult[]> {
  const untap = stage.rig.tap(async (moment) => {
    if (moment.sort === 'request') stage.ledger.note(moment);
  });
  const rounds: RoundResult[] = [];
  let leaving: Promise<void> = Promise.resolve();
  for (const [index, fault] of faults.entries()) {
    stage.signal.throwIfAborted();
    const number = from + index;
    const namespace = `chaos-${number}`;
    const random = createRandom(seed * 100_003 + number - 1);
    const settled = await runRound(stage, namespace, fault, inhabitantsOf(namespace, fault, random), random);
    await leaving;
    leaving = settled.leave().then((round) => {
      stage.signal.throwIfAborted(); // what is left then is no finding
      rounds.push(round);
      sayRound(index + 1, faults.length, round);
    });
    leaving.catch(() => undefined); // awaited below, or before the next one leaves
    if (settled.awaitsFault) await leaving;
  }
  await leaving;
  untap();
  return rounds;
}

/** A run without faults, for the moments to kill at. */
async function record({ rig, scene, signal }: Stage): Promise<readonly Boundary[]> {
  const namespace = 'chaos-0';
  const limit = AbortSignal.any([signal, AbortSignal.timeout(RECORDED_WITHIN_MS)]);
  const user = new User(scene, rig.temporal, limit);
  const lives = RECORDED.map((life) => ({ namespace, name: `a-${life}`, life }));
  const recorder = createRecorder(scene, lives);
  const untap = rig.tap(async (moment) => recorder.note(moment));
  await makeBystanders(rig.client, namespace, limit);
  for (const { life, ...ref } of lives) {
    const { manifest, live } = LIFE[life];
    await user.create(manifest(ref));
    await live(user, ref);
    await user.delete(ref);
    await user.gone(ref, scene.get('workspaces', ref)?.metadata.uid ?? '');
  }
  untap();
  return recorder.boundaries;
}

/** Who lives through a fault: first whom it is aimed at. */
function inhabitantsOf(namespace: string, fault: Fault, random: Random): readonly Inhabitant[] {
  const subject = fault.kind === 'kill' ? fault.at.life : random.pick(RECORDED);
  const beside = [INFERENCES, TUNINGS].flatMap((lives) => {
    const count = lives.includes(subject) ? OF_EACH - 1 : OF_EACH;
    return Array.from({ length: count }, () => random.pick(lives));
  });
  // Names begin with a letter of their own, so that none is the beginning of another.
  return [subject, ...beside].map((life, index) => ({
    namespace,
    name: `${String.fromCharCode('a'.charCodeAt(0) + index)}-${life}`,
    life,
  }));
}

function sayRound(number: number, of: number, round: RoundResult): void {
  const { fault, struck, recoverMs, tookMs } = round;
  const how = struck ? `recovered in ${((recoverMs ?? 0) / 1_000).toFixed(1)} s` : 'its moment did not come';
  const verdict = isClean(round) ? 'ok  ' : 'FAIL';
  say(`${verdict} ${number}/${of} ${fault}: ${how} (round ${(tookMs / 1_000).toFixed(1)} s)`);
  for (const finding of findingsOf(round)) say(`       ${finding.replaceAll('\n', '\n         ')}`);
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It is a whole number from ${least}.`);
  };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(
    `The chaos run failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exitCode = 1;
});
