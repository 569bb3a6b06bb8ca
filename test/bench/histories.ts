/** What Temporal noted of the Workspaces' workflows: how many events, and where the time went. */
import type { Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time';

import { WORKSPACE_WORKFLOW, workflowIdOf } from '../../api/workflow';
import { each } from './each';
import { percentile } from './statistics';
import { refOfName } from './names';

/** How long an activity waited for a worker, and ran, milliseconds. */
export interface ActivityTimes {
  readonly name: string;
  readonly count: number;
  readonly waitP50: number;
  readonly waitP99: number;
  readonly runP50: number;
  readonly runP99: number;
}

const CONCURRENCY = 8;
/** Histories to read in full: each is a large answer. */
const SAMPLES = 25;

/** The history of each Workspace's workflow so far: how many events, how many bytes. */
export async function historySizes(
  client: Client,
  names: readonly string[],
): Promise<readonly { readonly events: number; readonly bytes: number }[]> {
  const sizes: { events: number; bytes: number }[] = [];
  await each(names, CONCURRENCY, async (name) => {
    const { historyLength, historySize = 0 } = await client.workflow.getHandle(idOf(name)).describe();
    sizes.push({ events: historyLength, bytes: historySize });
  });
  return sizes;
}

/** Of a sample of the Workspaces, each activity in the order of its first appearance. `workflow task` is the workflow's own code. */
export async function activityTimes(client: Client, names: readonly string[]): Promise<readonly ActivityTimes[]> {
  const step = Math.max(1, Math.floor(names.length / SAMPLES));
  const sample = names.filter((_, index) => index % step === 0);
  const times = new Map<string, { wait: number[]; run: number[] }>();
  const note = (name: string, scheduled: number, started: number, ended: number): void => {
    const entry = times.get(name) ?? { wait: [], run: [] };
    times.set(name, entry);
    entry.wait.push(started - scheduled);
    entry.run.push(ended - started);
  };
  await each(sample, CONCURRENCY, async (workspace) => {
    const { events } = await client.workflow.getHandle(idOf(workspace)).fetchHistory();
    const at = new Map<string, number>();
    const names = new Map<string, string>();
    for (const event of events ?? []) {
      const id = String(event.eventId);
      at.set(id, tsToMs(event.eventTime));
      const activity = event.activityTaskScheduledEventAttributes;
      if (activity) names.set(id, activity.activityType?.name ?? 'activity');
      if (event.workflowTaskScheduledEventAttributes) names.set(id, 'workflow task');
      const ended = event.activityTaskCompletedEventAttributes ?? event.workflowTaskCompletedEventAttributes;
      if (!ended) continue;
      const scheduledId = String(ended.scheduledEventId);
      const [scheduled, started, end] = [at.get(scheduledId), at.get(String(ended.startedEventId)), at.get(id)];
      const name = names.get(scheduledId);
      if (name === undefined || scheduled === undefined || started === undefined || end === undefined) continue;
      note(name, scheduled, started, end);
    }
  });
  return [...times].map(([name, { wait, run }]) => ({
    name,
    count: wait.length / sample.length,
    waitP50: percentile(wait, 50),
    waitP99: percentile(wait, 99),
    runP50: percentile(run, 50),
    runP99: percentile(run, 99),
  }));
}

/** Workflows of Workspaces that run now. */
export async function running(client: Client): Promise<number> {
  return (await client.workflow.count(`WorkflowType = '${WORKSPACE_WORKFLOW}' AND ExecutionStatus = 'Running'`)).count;
}

function idOf(name: string): string {
  return workflowIdOf(refOfName(name));
}
