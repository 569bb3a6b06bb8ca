import { DeterminismViolationError } from '@temporalio/workflow';
import { DefaultLogger, Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

import { bundleWorkflows } from '../../workers/product';
import { historyOf, offencesOf, recordedHistories, type HistoryJson } from './histories';
import { SCENARIOS } from './scenarios';
import { SHARED_SCENARIOS } from './shared-scenarios';

let workflowBundle: WorkflowBundleWithSourceMap;
let histories: ReadonlyMap<string, HistoryJson>;
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  [workflowBundle, histories] = await Promise.all([bundleWorkflows(), recordedHistories()]);
});

function replay(history: HistoryJson): Promise<void> {
  return Worker.runReplayHistory({ workflowBundle }, historyOf(history), 'workspace/default/recorded');
}

it('there is a history of every kind of life', () => {
  const recorded = new Set([...histories.keys()].map((name) => name.replace(/-\d+$/, '')));
  expect(recorded).toEqual(new Set(Object.keys({ ...SCENARIOS, ...SHARED_SCENARIOS })));
});

it('every recorded history is replayed by the current code', async () => {
  const failures: string[] = [];
  for (const [name, history] of histories) {
    await replay(history).catch((error: unknown) => failures.push(`${name}: ${String(error)}`));
  }
  expect(failures).toEqual([]);
}, 120_000);

it('a history that the code would not have made is refused', async () => {
  const text = JSON.stringify(histories.get('ready')).replaceAll('"applyWorkload"', '"somethingElse"');
  await expect(replay(JSON.parse(text) as HistoryJson)).rejects.toThrow(DeterminismViolationError);
});

describe('what histories hold', () => {
  it('no payload is larger than 64 KiB, and nothing looks like a secret', () => {
    const offences = [...histories].flatMap(([name, history]) => offencesOf(history).map((o) => `${name}: ${o}`));
    expect(offences).toEqual([]);
  });

  it('the check finds what it looks for', () => {
    const data = (text: string) => ({
      metadata: { encoding: 'anNvbi9wbGFpbg==' },
      data: Buffer.from(text).toString('base64'),
    });
    const token = `hf_${'a'.repeat(34)}`;
    const events = [
      { eventId: '1', input: { payloads: [data(`{"env":"${token}"}`)] } },
      { eventId: '2', failure: { message: `denied for ${token}` } },
      { eventId: '3', result: { payloads: [data(`"${'x'.repeat(64 * 1024)}"`)] } },
    ];
    expect(offencesOf({ events })).toEqual([
      'event 1, input.payloads.0: looks like a token of the Hugging Face hub',
      'event 2, failure.message: looks like a token of the Hugging Face hub',
      'event 3, result.payloads.0: 65538 bytes',
    ]);
  });
});
