import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow';
import type { temporal } from '@temporalio/proto';
import { latestRun } from '../../api/latest-run';
import { workflowIdOf, type WorkspaceRef } from '../../api/workflow';
import type { LifeEntry } from './entry';
import { readFailure, readRun, type Decode } from './reader';

type PendingActivity = temporal.api.workflow.v1.IPendingActivityInfo;

/** What all runs of a Workspace's workflow tell, those of deleted Workspaces included, oldest first; empty where Temporal knows none. */
export async function readHistory(client: Client, ref: WorkspaceRef): Promise<readonly LifeEntry[]> {
  const decode = decoderOf(client);
  const workflowId = workflowIdOf(ref);
  const entries: LifeEntry[] = [];
  for (const { runId, isRunning } of await runsOf(client, workflowId)) {
    const handle = client.workflow.getHandle(workflowId, runId);
    const { events } = await handle.fetchHistory();
    const read = await readRun(events ?? [], decode);
    if (!isRunning) {
      entries.push(...read);
      continue;
    }
    const { raw } = await handle.describe();
    entries.push(...(await withPending(read, raw.pendingActivities ?? [], decode)));
  }
  return entries;
}

interface Run {
  readonly runId: string;
  readonly startMs: number;
  readonly isRunning: boolean;
}

async function runsOf(client: Client, workflowId: string): Promise<readonly Run[]> {
  const runs = new Map<string, Run>();
  const add = ({ runId, startTime, status }: Pick<WorkflowExecutionInfo, 'runId' | 'startTime' | 'status'>): unknown =>
    runs.set(runId, { runId, startMs: startTime.getTime(), isRunning: status.name === 'RUNNING' });
  // A name may hold no quote; the query's language has no other way out of one.
  for await (const info of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) add(info);
  // Lists lag behind: of the latest run Temporal knows better.
  const latest = await latestRun(client, workflowId);
  if (latest !== undefined) add(latest);
  return [...runs.values()].sort((a, b) => a.startMs - b.startMs);
}

/** Attempts of an activity that is still tried are in no event yet: the server tells them apart. */
async function withPending(
  entries: readonly LifeEntry[],
  pending: readonly PendingActivity[],
  decode: Decode,
): Promise<readonly LifeEntry[]> {
  const tried = pending.find(({ lastFailure }) => lastFailure);
  const at = entries.findLastIndex(({ kind, isUnderWay }) => kind === 'step' && isUnderWay === true);
  const entry = entries[at];
  if (tried === undefined || entry === undefined || !tried.lastFailure) return entries;
  const failure = await readFailure(tried.lastFailure, decode);
  return entries.with(at, { ...entry, attempts: tried.attempt ?? 1, failure });
}

function decoderOf(client: Client): Decode {
  const converter = client.options.loadedDataConverter;
  return { payloads: (payloads) => decodeArrayFromPayloads(converter, payloads?.payloads ?? []) };
}
