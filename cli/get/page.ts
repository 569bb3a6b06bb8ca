import type { TuningStatus } from '../../api/workspace';
import { pairs, table } from '../table';
import { age, duration } from '../times';
import { eta } from './rows';
import type { Summary } from './summary';

/** All about one Workspace, for people. */
export function workspacePage(summary: Summary, now: Date): string {
  return [
    head(summary, now),
    machines(summary),
    tuning(summary, now),
    adapters(summary),
    conditions(summary, now),
    attempts(summary, now),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function head(summary: Summary, now: Date): string {
  const { namespace, name, state, step, message, cause, remedy, attempt, nodes, instanceType, pricePerHour, workflow } =
    summary;
  const since = summary.stepStartedTime === undefined ? '' : `, for ${age(summary.stepStartedTime, now)}`;
  const tried = attempt === undefined || attempt < 2 ? '' : `, attempt ${attempt}`;
  return pairs([
    ['Workspace', `${namespace}/${name}`],
    ['State', state],
    ['Step', step === undefined ? 'none yet: is the bridge running?' : `${step}${tried}${since}`],
    ['Message', message],
    ['Cause', cause],
    ['What to do', remedy],
    ['ETA', eta(summary, now)],
    ['Gives up', deadline(summary, now)],
    ['Model', summary.preset ?? 'own template'],
    ['Nodes', `${nodes.ready} ready of ${nodes.target ?? 'a number not known yet'}, ${instanceType ?? 'own nodes'}`],
    ['Cost', pricePerHour === undefined ? undefined : `$${pricePerHour} an hour`],
    ['Age', age(summary.createdTime, now)],
    ['Workflow', workflow?.url ?? workflow?.id],
  ]);
}

/** When what is waited for is given up: a machine that does not come, a training that takes too long, machines that are kept for a push. */
function deadline({ step, deadlineTime }: Summary, now: Date): string | undefined {
  if (deadlineTime === undefined) return undefined;
  const left = Date.parse(deadlineTime) - now.getTime();
  const when = left <= 0 ? 'now' : `in ${duration(left)}, at ${deadlineTime}`;
  return step === 'Push' ? `${when}: the machines; the push goes on` : when;
}

function machines({ machines: all }: Summary): string {
  const header = ['MACHINE', 'PHASE', 'SIZE', 'NODE', 'PROVIDER', 'MESSAGE'];
  return section(
    header,
    all.map(({ name, phase, instanceType, nodeName, provider, message }) => [
      name,
      phase,
      instanceType,
      nodeName,
      provider,
      message,
    ]),
  );
}

function conditions({ conditions: all }: Summary, now: Date): string {
  return section(
    ['CONDITION', 'STATUS', 'REASON', 'SINCE', 'MESSAGE'],
    all.map(({ type, status, reason, lastTransitionTime, message }) => [
      type,
      status,
      reason,
      age(lastTransitionTime, now),
      message,
    ]),
  );
}

function attempts({ attempts: all }: Summary, now: Date): string {
  return section(
    ['FAILED', 'STEP', 'SIZE', 'TIMES', 'CAUSE', 'MESSAGE', 'WHAT TO DO'],
    all.map(({ time, step, instanceType, count, cause, message, remedy }) => [
      `${age(time, now)} ago`,
      step,
      instanceType,
      String(count),
      cause,
      message,
      remedy,
    ]),
  );
}

function adapters({ adapters: all }: Summary): string {
  return section(
    ['ADAPTER', 'STRENGTH', 'IMAGE'],
    all.map(({ name, strength, image }) => [name, strength, image]),
  );
}

function tuning({ tuning: status }: Summary, now: Date): string {
  return status === undefined ? '' : pairs([...progress(status, now), ...result(status)]);
}

function progress({ progress: done }: TuningStatus, now: Date): readonly (readonly [string, string | undefined])[] {
  if (done === undefined) return [];
  const { step, steps, loss, tokensPerSecond, checkpoint, etaSeconds, time } = done;
  const share = steps === 0 ? '' : ` (${Math.floor((100 * step) / steps)} %)`;
  return [
    ['Training', `step ${step} of ${steps}${share}, as of ${age(time, now)} ago`],
    ['Loss', loss],
    ['Speed', tokensPerSecond === undefined ? undefined : `${tokensPerSecond} tokens/s`],
    ['Then left', etaSeconds === undefined ? undefined : duration(etaSeconds * 1_000)],
    ['Checkpoint', checkpoint === undefined ? undefined : `step ${checkpoint}`],
  ];
}

function result({
  volume,
  trainedTime,
  image,
  digest,
  pushedTime,
}: TuningStatus): readonly (readonly [string, string | undefined])[] {
  return [
    ['Volume', volume],
    ['Trained', trainedTime],
    ['Image', image],
    ['Digest', digest],
    ['Pushed', pushedTime],
  ];
}

function section(header: readonly string[], rows: readonly (readonly (string | undefined)[])[]): string {
  if (rows.length === 0) return '';
  return table(
    header,
    rows.map((row) => row.map((cell) => cell ?? '-')),
  );
}
