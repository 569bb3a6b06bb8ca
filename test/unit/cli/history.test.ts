import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { temporal } from '@temporalio/proto';
import type { LifeRecord } from '../../../api/history';
import { livesOf, type LifeEntry } from '../../../cli/history/entry';
import { historyText } from '../../../cli/history/lines';
import { readRun, type Decode } from '../../../cli/history/reader';
import { withRecords } from '../../../cli/history/sources';

/** The histories that are replayed in CI, read as people read them. */
const FOLDER = join(__dirname, '../../workflow/histories');

/** In a file, bytes are base64. */
const decode: Decode = {
  payloads: async (payloads) =>
    (payloads?.payloads ?? []).map(({ data }) => {
      const json = Buffer.from(data as unknown as string, 'base64').toString('utf8');
      return json === '' ? undefined : (JSON.parse(json) as unknown);
    }),
};

async function read(name: string): Promise<readonly LifeEntry[]> {
  return readRun(eventsOf(`${name}.json`), decode);
}

function eventsOf(file: string): readonly temporal.api.history.v1.IHistoryEvent[] {
  const text = readFileSync(join(FOLDER, file), 'utf8');
  return (JSON.parse(text) as { readonly events: readonly temporal.api.history.v1.IHistoryEvent[] }).events;
}

/** Each entry in a word or some, without its time. */
async function told(name: string): Promise<readonly string[]> {
  return (await read(name)).map(({ kind, step, what, failure, isUnderWay }) =>
    [kind === 'step' ? step : kind, what, failure?.cause, isUnderWay === true ? 'under way' : undefined]
      .filter(Boolean)
      .join(' | '),
  );
}

test('what failed is told with its cause, and what mended it', async () => {
  expect(await told('failed-then-fixed')).toMatchInlineSnapshot(`
   [
     "asked | the Workspace was created",
     "Plan | plan | InvalidInput",
     "state | Failed",
     "asked | the spec changed (generation 2)",
     "Plan | plan",
     "state | Pending",
     "Machines | 1 × A100",
     "Workload | apply workload",
     "Serving | wait until serving",
     "state | Ready",
   ]
  `);
});

test('sizes that could not be had are told with the reason', async () => {
  expect(await told('fallback')).toMatchInlineSnapshot(`
   [
     "asked | the Workspace was created",
     "Plan | plan",
     "Machines | 1 × H100: could not be had | Capacity",
     "Machines | 1 × A100",
     "Workload | apply workload",
     "Serving | wait until serving",
     "state | Ready",
   ]
  `);
});

test('a pause between rounds and a retry are told', async () => {
  expect(await told('paused-then-retried')).toMatchInlineSnapshot(`
   [
     "asked | the Workspace was created",
     "Plan | plan",
     "Machines | 1 × A100: could not be had | Capacity",
     "Machines | report next try",
     "pause | waits up to 60 s before the next try",
     "asked | retry was asked for",
     "Plan | plan",
     "Machines | 1 × A100",
     "Workload | apply workload",
     "Serving | wait until serving",
     "state | Ready",
   ]
  `);
});

test('a tuning is told step by step', async () => {
  expect(await told('tuned')).toMatchInlineSnapshot(`
   [
     "asked | the Workspace was created",
     "Plan | plan",
     "Data | check dataset",
     "Machines | 1 × A100",
     "Data | prepare data",
     "state | Running",
     "Training | train adapter",
     "Push | push adapter",
     "Release | release machines (succeeded)",
     "state | Succeeded",
   ]
  `);
});

test('a cancellation is told with its end', async () => {
  expect(await told('cancelled-during-a-step')).toMatchInlineSnapshot(`
   [
     "asked | the Workspace was created",
     "Plan | plan",
     "Machines | 1 × A100: was told to stop",
     "asked | cancellation was asked for",
     "state | Cancelled",
     "Release | release (cancelled)",
     "end | cancelled: what was bought is released",
   ]
  `);
});

test('a Workspace that was made anew under its name is another life', async () => {
  const lives = livesOf(await read('recreated'));
  expect(lives.map(({ uid }) => uid)).toEqual(['uid-1', 'uid-2']);
  expect(historyText(lives)).toMatch(/^Life 1 of 2: UID uid-1, .*\nTIME +STEP +TOOK +TRIES +CAUSE +WHAT\n/);
});

test('what Temporal has forgotten is told from the record, with changes, steps and cost', () => {
  const record: LifeRecord = {
    version: 1,
    namespace: 'team',
    name: 'phi',
    uid: 'uid-0',
    end: 'Deleted',
    ended: '2026-11-22T12:00:00.000Z',
    preset: 'phi-4',
    instanceType: 'A100',
    workflowID: 'workspace/team/phi',
    logs: [
      {
        run: 'r',
        generations: [
          {
            generation: 2,
            digest: 'd',
            time: '2026-11-22T11:00:00Z',
            manager: 'anna',
            changed: ['resource.count'],
            cause: 'slow',
          },
        ],
        steps: [{ generation: 2, step: 'Serving', times: 3, seconds: 90.5, first: '2026-11-22T11:00:01.000Z' }],
        machines: [
          {
            instanceType: 'A100',
            count: 2,
            from: '2026-11-22T11:00:00.000Z',
            to: '2026-11-22T11:30:00.000Z',
            pricePerHour: '7.00',
          },
        ],
      },
    ],
  };
  const later = { uid: 'uid-1', entries: [] };
  const lives = withRecords([later], [record]);
  expect(lives).toEqual([{ uid: 'uid-0', entries: [], record }, later]);
  expect(withRecords([{ uid: 'uid-0', entries: [] }], [record])).toEqual([{ uid: 'uid-0', entries: [], record }]);
  expect(`\n${historyText(lives.slice(0, 1))}`).toMatchInlineSnapshot(`
   "
   Life 1 of 1: UID uid-0
   Ended     2026-11-22T12:00:00.000Z: Deleted
   Model     phi-4
   Size      A100
   Machines  1.00 h of A100, $3.50

   TIME                  CHANGE
   2026-11-22T11:00:00Z  generation 2 by anna: resource.count (slow)

   FIRST                     GENERATION  STEP     TIMES  TOOK
   2026-11-22T11:00:01.000Z  2           Serving  3      90s
   "
  `);
});

test('every recorded history of a Workspace can be read, and nothing is left open in one that has ended', async () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json'))) {
    const events = eventsOf(file);
    if (events[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name !== 'workspace') continue;
    const entries = await readRun(events, decode);
    expect([file, entries.length > 0 && entries.every(({ what }) => what !== '')]).toEqual([file, true]);
    const open = entries.filter(({ isUnderWay }) => isUnderWay === true);
    const hasEnded = entries.some(({ kind }) => kind === 'end');
    expect([file, hasEnded ? open : []]).toEqual([file, []]);
  }
});
