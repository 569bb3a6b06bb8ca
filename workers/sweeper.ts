import type { Client } from '@temporalio/client';
import type { Dependencies } from '../activities/dependencies';
import { createProviders } from '../activities/machines/acquire-machines';
import { createSweepActivities } from '../activities/sweep';
import type { SweepDependencies } from '../activities/sweep/dependencies';
import { isWorkflowRunning, scheduleSweeps } from '../activities/sweep/schedule';
import type { SweepActivities } from '../api/sweep';
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
    onRelease,
  }: {
    readonly temporal: Client;
    readonly configuration: Pick<Configuration, 'taskQueue' | 'azure' | 'sweep'>;
  } & Pick<SweepDependencies, 'onOrphans' | 'onRelease'>,
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
      ...(onRelease !== undefined && { onRelease }),
    }),
    // A task queue belongs to one cluster.
    schedule: () => scheduleSweeps(temporal, { clusterId: azure?.clusterId ?? taskQueue, taskQueue, ...sweep }),
  };
}
