import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import { latestRun } from '../../api/latest-run';
import { SWEEP_WORKFLOW, sweepScheduleIdOf, type SweepSettings } from '../../api/sweep';
import { workflowIdOf, type WorkspaceRef } from '../../api/workflow';

export interface ScheduleSettings extends SweepSettings {
  /** Tells this cluster from others that use the same Temporal namespace. */
  readonly clusterId: string;
  readonly taskQueue: string;
  readonly intervalMs: number;
}

/**
 * Makes sure that sweeps are scheduled as the settings say; safe to call by every worker that starts. What the last sweep remembered stays with the
 * schedule. A schedule that somebody has paused stays paused.
 */
export async function scheduleSweeps(client: Client, settings: ScheduleSettings): Promise<void> {
  const { clusterId, taskQueue, intervalMs, graceMs } = settings;
  const scheduleId = sweepScheduleIdOf(clusterId);
  const spec = { intervals: [{ every: intervalMs }] };
  const action = {
    type: 'startWorkflow' as const,
    workflowType: SWEEP_WORKFLOW,
    // The server adds the time.
    workflowId: scheduleId,
    taskQueue,
    args: [{ graceMs } satisfies SweepSettings],
    staticSummary: `machines without a Workspace in ${clusterId}`,
  };
  // A sweep that was missed while nothing ran is not made up for: the next one sees the same.
  const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: Math.max(intervalMs, LEAST_CATCHUP_MS) };
  try {
    await client.schedule.create({ scheduleId, spec, action, policies });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await client.schedule.getHandle(scheduleId).update(({ state }) => ({ spec, action, policies, state }));
  }
}

/** The server takes no less. */
const LEAST_CATCHUP_MS = 10_000;

/** Whether a Workspace's workflow runs now, as the server's own record has it. */
export async function isWorkflowRunning(client: Client, ref: WorkspaceRef): Promise<boolean> {
  return (await latestRun(client, workflowIdOf(ref)))?.status.name === 'RUNNING';
}
