import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { temporal } from '@temporalio/proto';
import { livesOf, type LifeEntry } from '../../../cli/history/entry';
import { historyText } from '../../../cli/history/lines';
import { readRun, type Decode } from '../../../cli/history/reader';

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
  const text = readFileSync(join(FOLDER, `${name}.json`), 'utf8');
  const { events } = JSON.parse(text) as { readonly events: readonly temporal.api.history.v1.IHistoryEvent[] };
  return readRun(events, decode);
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

test('every recorded history can be read, and no step is left open that has ended', async () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json'))) {
    const entries = await read(file.replace(/\.json$/, ''));
    expect([file, entries.length > 0]).toEqual([file, true]);
    expect([file, entries.every(({ what }) => what !== '')]).toEqual([file, true]);
  }
});
