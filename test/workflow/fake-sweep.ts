import { ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';

import {
  sweepScheduleIdOf,
  type FindOrphansInput,
  type Found,
  type FoundOrphan,
  type ReleaseOrphanOutcome,
  type SweepActivities,
} from '../../api/sweep';
import { until } from './harness';

export function orphan(name: string): FoundOrphan {
  const workspace = { namespace: 'team', name: 'phi', uid: 'dead' };
  return {
    provider: 'karpenter',
    kind: 'NodeClaim',
    name,
    identity: name,
    workspace,
    instanceType: 'A100',
    count: 1,
    isSpot: false,
  };
}

/** The sweeper's activities as a test has them in its hands. */
export class FakeSweep {
  orphans: readonly FoundOrphan[] = [];
  /** What looking, or releasing, throws. */
  lookFails: string | undefined;
  releaseFails: string | undefined;
  looks = 0;
  /** What the last look was told of the sweep before. */
  before: FindOrphansInput | undefined;
  readonly released: string[] = [];
  readonly reports: (readonly string[])[] = [];

  readonly activities: SweepActivities = {
    findOrphans: async (before): Promise<Found> => {
      this.looks += 1;
      this.before = before;
      if (this.lookFails !== undefined) throw ApplicationFailure.nonRetryable(this.lookFails);
      return { owned: 7, orphans: this.orphans };
    },
    reportOrphans: async ({ orphans }) => {
      this.reports.push(orphans.map(({ name }) => name));
    },
    releaseOrphan: async ({ name }): Promise<ReleaseOrphanOutcome> => {
      if (this.releaseFails !== undefined) throw ApplicationFailure.nonRetryable(this.releaseFails);
      this.released.push(name);
      this.orphans = this.orphans.filter((one) => one.name !== name);
      return { kind: 'released' };
    },
  };
}

/** One sweep, begun by hand as the schedule would; the ID of its workflow, once it has ended. */
export async function sweepNow(client: Client, clusterId: string): Promise<string> {
  const handle = client.schedule.getHandle(sweepScheduleIdOf(clusterId));
  const before = (await handle.describe()).info.numActionsTaken;
  await handle.trigger(ScheduleOverlapPolicy.SKIP);
  await until('the sweep has begun and ended', async () => {
    const { info } = await handle.describe();
    return info.numActionsTaken > before && info.runningActions.length === 0;
  });
  const { action } = (await handle.describe()).info.recentActions.at(-1) ?? {};
  if (action?.type !== 'startWorkflow') throw new Error('the schedule began nothing');
  return action.workflow.workflowId;
}
