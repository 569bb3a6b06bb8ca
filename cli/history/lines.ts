import { table } from '../table';
import { duration } from '../times';
import type { Entry, Life } from './entry';
import { changeText, recordText } from './record-lines';

/** The lives of a name as lines for people. The only place that knows how a history looks. */
export function historyText(lives: readonly Life[]): string {
  return lives
    .map((life, index) => {
      const { entries, record } = life;
      const kept = record === undefined ? '' : recordText(record, entries.length === 0);
      const gap = kept === '' || entries.length === 0 ? '' : '\n';
      return `${headline(life, index, lives.length)}\n${kept}${gap}${entries.length === 0 ? '' : entriesTable(entries)}`;
    })
    .join('\n');
}

function headline({ uid, entries }: Life, index: number, count: number): string {
  const first = entries[0]?.time;
  const last = entries.at(-1);
  const span =
    first === undefined || last === undefined
      ? ''
      : `, ${shown(first)} to ${last.isUnderWay === true ? 'now' : shown(last.time)}`;
  return `Life ${index + 1} of ${count}: UID ${uid === '' ? 'not known' : uid}${span}`;
}

function entriesTable(entries: readonly Entry[]): string {
  return table(
    ['TIME', 'STEP', 'TOOK', 'TRIES', 'CAUSE', 'WHAT'],
    entries.map((entry) => [
      shown(entry.time),
      entry.step ?? '',
      tookOf(entry),
      entry.attempts === undefined ? '' : String(entry.attempts),
      entry.failure?.cause ?? '',
      whatOf(entry),
    ]),
  );
}

function whatOf({ kind, what, by, failure, change }: Entry): string {
  const plain = kind === 'state' ? `state: ${what}` : what;
  const said = change === undefined ? plain : `${plain}; ${changeText(change)}`;
  const who = by === undefined ? '' : ` (by ${by})`;
  return failure === undefined ? `${said}${who}` : `${said}${who}: ${failure.message}`;
}

function tookOf({ durationMs, isUnderWay }: Entry): string {
  if (isUnderWay === true) return 'under way';
  return durationMs === undefined ? '' : duration(durationMs);
}

/** To the second, in UTC. */
function shown(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)}Z`;
}
