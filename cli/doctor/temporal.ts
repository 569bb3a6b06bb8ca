import { temporal as proto } from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../../api/workflow';
import { toldOf } from '../failure';
import type { TemporalAccess } from '../temporal';
import { duration } from '../times';
import { fail, ok, skip, warn, type Finding } from './finding';

const { TaskQueueType } = proto.api.enums.v1;
/** What is looked up after the fact is gone by then. */
const SHORT_RETENTION_MS = 72 * 3_600_000;

/** Whether Temporal has what the product needs, and whether a worker is there. */
export async function checkTemporal(
  open: () => Promise<TemporalAccess>,
  taskQueue: string,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  let access: TemporalAccess;
  try {
    access = await open();
  } catch (error) {
    signal.throwIfAborted();
    const { message, remedy = 'Check --address or TEMPORAL_ADDRESS.' } = toldOf(error);
    return [fail('Temporal', message, remedy)];
  }
  const checks = [checkNamespace, checkSearchAttributes];
  const findings: Finding[] = [];
  for (const check of checks) findings.push(await guarded(() => check(access), signal));
  findings.push(await guarded(() => checkPollers(access, taskQueue), signal));
  return findings;
}

async function guarded(check: () => Promise<Finding>, signal: AbortSignal): Promise<Finding> {
  try {
    return await check();
  } catch (error) {
    signal.throwIfAborted();
    const { exit, message, remedy = 'Check --address and --temporal-namespace.' } = toldOf(error);
    return exit === 'denied' ? skip('Temporal', message) : fail('Temporal', message, remedy);
  }
}

async function checkNamespace({ connection, address, namespace }: TemporalAccess): Promise<Finding> {
  const check = 'Temporal';
  const [system, described] = await Promise.all([
    connection.workflowService.getSystemInfo({}),
    connection.workflowService.describeNamespace({ namespace }),
  ]);
  const ttl = described.config?.workflowExecutionRetentionTtl;
  const retentionMs = ttl ? Number(ttl.seconds ?? 0) * 1_000 : undefined;
  const kept = retentionMs === undefined ? '' : `; closed workflows are kept ${duration(retentionMs)}`;
  const message = `${address}, namespace '${namespace}', server ${system.serverVersion || 'of unknown version'}${kept}`;
  if (retentionMs !== undefined && retentionMs < SHORT_RETENTION_MS) {
    return warn(
      check,
      message,
      `History of deleted Workspaces is soon gone; raise it: temporal operator namespace update -n ${namespace} --retention 720h.`,
    );
  }
  return ok(check, message);
}

async function checkSearchAttributes({ connection, namespace }: TemporalAccess): Promise<Finding> {
  const check = 'search attributes';
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.keys(SEARCH_ATTRIBUTES).filter((name) => customAttributes?.[name] === undefined);
  if (missing.length === 0) return ok(check, `all ${Object.keys(SEARCH_ATTRIBUTES).length} are registered`);
  const names = missing.map((name) => `--name ${name}`).join(' ');
  return warn(
    check,
    `missing: ${missing.join(', ')}; the worker registers them when it starts, if it may`,
    `Register them: temporal operator search-attribute create -n ${namespace} ${names} --type Keyword.`,
  );
}

/** A worker asks for tasks of both kinds all the time. */
async function checkPollers({ connection, namespace }: TemporalAccess, taskQueue: string): Promise<Finding> {
  const check = 'worker';
  const describe = async (taskQueueType: proto.api.enums.v1.TaskQueueType) => {
    const described = await connection.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: taskQueue },
      taskQueueType,
    });
    return (described.pollers ?? []).map(({ identity }) => identity ?? '');
  };
  const [workflows, activities] = await Promise.all([
    describe(TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    describe(TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
  ]);
  const both = new Set(workflows.filter((identity) => activities.includes(identity)));
  return both.size > 0
    ? ok(check, `${both.size} at task queue '${taskQueue}': ${[...both].join(', ')}`)
    : fail(
        check,
        `nobody takes tasks from task queue '${taskQueue}': nothing goes on`,
        'Start the worker (or set KAITO_TASK_QUEUE as it has it), and see its log.',
      );
}
