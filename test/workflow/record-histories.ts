/**
 * Records the histories that `replay.test.ts` replays, with the workflow code as it is now:
 *
 *     node local/bootstrap.cjs test/workflow/record-histories.ts [scenario …]
 *
 * Run it for a scenario that is new. Recording an old one again throws away the proof that runs begun by released code can go on.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Connection, type Client } from '@temporalio/client';

import { pickPorts } from '../../local/ports';
import { getPrograms } from '../../local/programs';
import { openHarness, until, type HistoryEvent } from './harness';
import { SCENARIOS, SUGGEST_CONTINUE_AS_NEW_AT } from './scenarios';
import { SHARED_SCENARIOS } from './shared-scenarios';

const FOLDER = path.join(__dirname, 'histories');

async function main(): Promise<void> {
  const asked = process.argv.slice(2);
  const names = asked.length > 0 ? asked : Object.keys({ ...SCENARIOS, ...SHARED_SCENARIOS });
  await mkdir(FOLDER, { recursive: true });
  await withServer(async (address) => {
    const harness = await openHarness({ address, namespace: 'default' });
    for (const name of names) {
      const live = SCENARIOS[name];
      const shared = SHARED_SCENARIOS[name];
      if (live !== undefined) {
        await harness.run(async (subject) => {
          await live(subject);
          await save(harness.client, subject.handle.workflowId, name);
        });
      } else if (shared !== undefined) await save(harness.client, await shared(harness), name);
      else {
        const known = Object.keys({ ...SCENARIOS, ...SHARED_SCENARIOS });
        throw new Error(`no scenario ${name}; there are: ${known.join(', ')}`);
      }
    }
    await harness.close();
  });
}

/** Every run of the life, a file each. */
async function save(client: Client, workflowId: string, name: string): Promise<void> {
  const eventsOf = async (run: string): Promise<readonly HistoryEvent[]> =>
    (await client.workflow.getHandle(workflowId, run).fetchHistory()).events ?? [];
  const { runId } = await client.workflow.getHandle(workflowId).describe();
  const runs = [runId];
  for (let run: string | undefined = runId; ;) {
    const [started] = await eventsOf(run);
    run = started?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? undefined;
    if (run === undefined || run === '') break;
    runs.unshift(run);
  }
  for (const [i, run] of runs.entries()) {
    const events = await eventsOf(run);
    const file = path.join(FOLDER, runs.length === 1 ? `${name}.json` : `${name}-${i + 1}.json`);
    // An event a line: readable, and short diffs.
    await writeFile(
      file,
      `{"events":[\n${events.map((event) => JSON.stringify(event, withoutStacks)).join(',\n')}\n]}\n`,
    );
    process.stdout.write(`${path.relative(process.cwd(), file)}: ${events.length} events\n`);
  }
}

/** Stacks name files of this machine; replay does not look at them. */
function withoutStacks(key: string, value: unknown): unknown {
  return key === 'stackTrace' ? '' : value;
}

async function withServer(work: (address: string) => Promise<void>): Promise<void> {
  const { temporal } = await getPrograms(['temporal'], (line) => process.stderr.write(`${line}\n`));
  const { frontend } = await pickPorts(['frontend'], {});
  const address = `127.0.0.1:${frontend}`;
  const suggestion = `limit.historyCount.suggestContinueAsNew=${SUGGEST_CONTINUE_AS_NEW_AT}`;
  const server = spawn(
    temporal.file,
    [
      'server',
      'start-dev',
      '--headless',
      `--port=${frontend}`,
      '--log-level=error',
      '--dynamic-config-value',
      suggestion,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  try {
    await until('the Temporal server answers', async () => {
      try {
        await (await Connection.connect({ address })).close();
        return true;
      } catch {
        return false; // not yet; the time limit tells if never
      }
    });
    await work(address);
  } finally {
    server.kill('SIGKILL');
    await once(server, 'exit');
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
