/** Makes the record of a life: pure, so that the same life always gives the same record. */
import type { LifeEnd, LifeRecord, WorkflowLog } from '../../api/history';
import { withoutMachines } from '../../api/history';
import { workflowIdOf, type WorkspaceRef } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';

/** Of one record; with 100 lives in a namespace that is well below what a ConfigMap may hold. */
const MOST_BYTES = 6 * 1_024;
const MOST_LOGS = 5;
const MOST_MESSAGE_CHARS = 200;

/** `workspace`: as it is, undefined where it is gone. */
export function recordOf(
  ref: WorkspaceRef,
  life: { readonly uid: string; readonly log: WorkflowLog },
  end: LifeEnd,
  workspace: Workspace | undefined,
  now: Date,
): LifeRecord {
  const { status, metadata, inference, tuning } = workspace ?? {};
  const preset = inference?.preset?.name ?? tuning?.preset?.name;
  const { image, digest } = status?.tuning ?? {};
  const attempts = status?.attempts?.map((attempt) => ({
    ...attempt,
    message: attempt.message.slice(0, MOST_MESSAGE_CHARS),
  }));
  return {
    version: 1,
    ...ref,
    uid: life.uid,
    end,
    ...(metadata !== undefined && { created: metadata.creationTimestamp }),
    ended: now.toISOString(),
    ...(preset !== undefined && { preset }),
    ...(status?.instanceType !== undefined && { instanceType: status.instanceType }),
    ...(attempts !== undefined && { attempts }),
    ...(image !== undefined && { adapter: { image, ...(digest !== undefined && { digest }) } }),
    workflowID: workflowIdOf(ref),
    // What was bought is released by now.
    logs: [{ ...life.log, ...withoutMachines(life.log, now.getTime()) }],
  };
}

/** What is kept already, with what another workflow of the same life, or the same one later, has to add. */
export function merged(kept: LifeRecord | undefined, added: LifeRecord): LifeRecord {
  if (kept === undefined) return added;
  const runs = new Set(added.logs.map(({ run }) => run));
  const logs = [...kept.logs.filter(({ run }) => !runs.has(run)), ...added.logs].slice(-MOST_LOGS);
  return { ...kept, ...added, logs };
}

/** Leaves out what matters least until the record is small enough. */
export function fitted(record: LifeRecord): LifeRecord {
  const ways: readonly ((record: LifeRecord) => LifeRecord)[] = [
    (whole) => ({ ...whole, attempts: (whole.attempts ?? []).slice(-3) }),
    (whole) =>
      withLogs(whole, (log) => ({ ...log, machines: log.machines.slice(-5), generations: log.generations.slice(-5) })),
    (whole) => withLogs(whole, (log) => ({ ...log, steps: log.steps.slice(-10) })),
    (whole) => ({ ...whole, logs: whole.logs.slice(-1) }),
    ({ attempts: _, ...whole }) => whole,
    (whole) =>
      withLogs(whole, (log) => ({ ...log, generations: log.generations.map(({ changed: _, ...change }) => change) })),
  ];
  let small = record;
  for (const way of ways) {
    if (Buffer.byteLength(JSON.stringify(small)) <= MOST_BYTES) break;
    small = way(small);
  }
  return small;
}

function withLogs(record: LifeRecord, change: (log: WorkflowLog) => WorkflowLog): LifeRecord {
  return { ...record, logs: record.logs.map(change) };
}
