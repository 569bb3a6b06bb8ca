/**
 * The lives of workflows of which a cluster has one, kept like those of scenarios.ts.
 */
import { randomUUID } from 'node:crypto';

import type { Client } from '@temporalio/client';

import { openCoordinator } from '../../activities/machines/azure/coordination/open-coordinator';
import { createTransport } from '../../activities/machines/azure/coordination/transport';
import { scheduleSweeps } from '../../activities/sweep/schedule';
import { coordinatorIdOf, FORGET_SIGNAL, type PoolCandidate } from '../../api/coordination';
import { sweepScheduleIdOf } from '../../api/sweep';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import { FakeSweep, orphan, sweepNow } from './fake-sweep';
import { until } from './harness';

export interface Recording {
  readonly client: Client;
  /** Runs a worker with these activities while `work` runs. */
  readonly withWorker: <T>(activities: object, work: (taskQueue: string) => Promise<T>) => Promise<T>;
}

const never = new AbortController().signal;
const A100: PoolCandidate = { family: 'A', instanceType: 'A100', priority: 'on-demand', vcpus: 24 };
const H100: PoolCandidate = { family: 'H', instanceType: 'H100', priority: 'on-demand', vcpus: 40 };

/** Each returns the ID of the workflow whose runs are kept. */
export const SHARED_SCENARIOS: Readonly<Record<string, (recording: Recording) => Promise<string>>> = {
  coordinator: ({ client, withWorker }) =>
    withWorker({}, async (taskQueue) => {
      const clusterId = `recorded-${randomUUID().slice(0, 8)}`;
      const handle = client.workflow.getHandle(coordinatorIdOf(clusterId));
      const settings = { burst: 3, perMinute: 600, creatingAtOnce: 1, leaseMs: 60_000, askAgainMs: 30 };
      const transport = createTransport(client, clusterId, taskQueue);
      const one = openCoordinator({ transport, identity: 'one', settings, logger: SILENT_LOGGER });
      const other = openCoordinator({ transport, identity: 'other', settings, logger: SILENT_LOGGER });
      const ask = (workspaceUid: string, candidate: PoolCandidate) => ({
        workspaceUid,
        workspace: `default/${workspaceUid}`,
        candidate,
      });

      const first = await one.admit(ask('a', A100), { signal: never });
      const waiting = other.admit(ask('b', H100), { signal: never });
      if (first.kind !== 'admitted') throw new Error('nothing has failed yet');
      await first.allowPut({ signal: never });
      await one.throttled(50);
      await first.allowPut({ signal: never });
      const failure = { cause: 'Capacity', message: 'no capacity' } as const;
      await one.report({ kind: 'failed', candidate: A100, lesson: 'allocation', failure });
      await first.release();
      const second = await waiting;
      if (second.kind === 'admitted') await second.release();
      const avoided = await one.admit(ask('c', A100), { signal: never });
      if (avoided.kind !== 'avoid') throw new Error('what failed a moment ago is avoided');
      await handle.signal(FORGET_SIGNAL);
      await other.report({ kind: 'succeeded', candidate: A100 });

      const { runId } = await handle.describe();
      await until('the run has gone on in another', async () => {
        await one.report({ kind: 'succeeded', candidate: H100 });
        return (await handle.describe()).runId !== runId;
      });
      const again = await one.admit(ask('d', A100), { signal: never });
      if (again.kind === 'admitted') await again.release();
      await Promise.all([one.close(), other.close()]);
      return handle.workflowId;
    }),

  sweep: async ({ client, withWorker }) => {
    const fake = new FakeSweep();
    return withWorker(fake.activities, async (taskQueue) => {
      const clusterId = `recorded-${randomUUID().slice(0, 8)}`;
      await scheduleSweeps(client, { clusterId, taskQueue, intervalMs: 24 * 3_600_000, graceMs: 0 });
      try {
        fake.orphans = [orphan('a'), orphan('b')];
        await sweepNow(client, clusterId);
        fake.releaseFails = 'no right to delete';
        await sweepNow(client, clusterId);
        fake.releaseFails = undefined;
        // Remembers two that could not be released, and finds one more.
        fake.orphans = [...fake.orphans, orphan('c')];
        return await sweepNow(client, clusterId);
      } finally {
        await client.schedule.getHandle(sweepScheduleIdOf(clusterId)).delete();
      }
    });
  },
};
