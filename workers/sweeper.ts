import type { Client } from '@temporalio/client';
import type { Dependencies } from '../activities/dependencies';
import { createProviders } from '../activities/machines/acquire-machines';
import { createSweepActivities } from '../activities/sweep';
import { isWorkflowRunning, scheduleSweeps } from '../activities/sweep/schedule';
import type { Orphan, SweepActivities } from '../api/sweep';
import type { Configuration } from './configuration';

export interface Sweeper {
  readonly activities: SweepActivities;
  /** Makes sure that sweeps are scheduled. */
  schedule(): Promise<void>;
}

/** What finds and releases machines whose Workspace is gone: the worker's part, and Temporal's. */
export function createSweeper(
  deps: Dependencies,
  {
    temporal,
    configuration,
    onOrphans,
  }: {
    readonly temporal: Client;
    readonly configuration: Pick<Configuration, 'taskQueue' | 'azure' | 'sweep'>;
    /** Called with all orphans each time they are told; for metrics. */
    readonly onOrphans?: (orphans: readonly Orphan[]) => void;
  },
): Sweeper {
  const { taskQueue, azure, sweep } = configuration;
  return {
    activities: createSweepActivities({
      client: deps.client,
      events: deps.events,
      logger: deps.logger,
      now: deps.now,
      providers: Object.values(createProviders(deps)),
      isWorkflowRunning: (ref) => isWorkflowRunning(temporal, ref),
      ...(onOrphans !== undefined && { onOrphans }),
    }),
    // A task queue belongs to one cluster.
    schedule: () => scheduleSweeps(temporal, { clusterId: azure?.clusterId ?? taskQueue, taskQueue, ...sweep }),
  };
}
