import { costOf, machineHours, type GenerationChange, type LifeRecord } from '../../api/history';
import { pairs, table } from '../table';
import { duration } from '../times';

/** The compact record of a life that ended, for people: its sum above what Temporal still tells; all of it where Temporal tells nothing any more. */
export function recordText(record: LifeRecord, isAllThereIs: boolean): string {
  const parts = isAllThereIs ? [sum(record), changes(record), steps(record)] : [sum(record)];
  return parts.filter((part) => part !== '').join('\n');
}

/** Who brought a generation about, and how, in one line. */
export function changeText({ generation, manager, operation, changed = [], cause }: GenerationChange): string {
  const by = manager === undefined ? '' : ` by ${manager}${operation === undefined ? '' : ` (${operation})`}`;
  const what = changed.length === 0 ? '' : `: ${changed.join(', ')}`;
  return `generation ${generation}${by}${what}${cause === undefined ? '' : ` (${cause})`}`;
}

function sum(record: LifeRecord): string {
  const { end, ended, preset, instanceType, adapter, logs, attempts = [] } = record;
  const machines = logs.flatMap((log) => log.machines);
  const endedMs = Date.parse(ended);
  const hours = [...machineHours(machines, endedMs)].map(
    ([size, spent]) => `${spent.toFixed(2)} h of ${size || 'own nodes'}`,
  );
  const cost = costOf(machines, endedMs);
  return pairs([
    ['Ended', `${ended}: ${end}`],
    ['Model', preset],
    ['Size', instanceType],
    ['Machines', hours.length === 0 ? undefined : `${hours.join(', ')}${cost === undefined ? '' : `, $${cost}`}`],
    ['Adapter', adapter && `${adapter.image}${adapter.digest === undefined ? '' : `@${adapter.digest}`}`],
    ...attempts.map(({ time, cause, message }) => ['Failed', `${time} ${cause}: ${message}`] as const),
  ]);
}

function changes({ logs }: LifeRecord): string {
  const all = logs.flatMap(({ generations }) => generations);
  if (all.length === 0) return '';
  return table(
    ['TIME', 'CHANGE'],
    all.map((change) => [change.time ?? '-', changeText(change)]),
  );
}

function steps({ logs }: LifeRecord): string {
  const all = logs.flatMap((log) => log.steps);
  if (all.length === 0) return '';
  return table(
    ['FIRST', 'GENERATION', 'STEP', 'TIMES', 'TOOK'],
    all.map(({ first, generation, step, times, seconds }) => [
      first,
      String(generation),
      step,
      String(times),
      duration(seconds * 1_000),
    ]),
  );
}
