import { randomUUID } from 'node:crypto';

import type { Client } from '@temporalio/client';

import { isWorkflowRunning, scheduleSweeps } from '../../activities/sweep/schedule';
import { orphanKeyOf, turnsAfter, sweepScheduleIdOf, type Orphan, type SweepReport } from '../../api/sweep';
import { useTemporal } from '../environment';
import { FakeSweep, orphan, sweepNow } from './fake-sweep';
import { openHarness, until, type Harness } from './harness';

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness(useTemporal());
}, 120_000);
afterAll(() => harness.close());

interface Sweeper {
  readonly fake: FakeSweep;
  readonly client: Client;
  readonly clusterId: string;
  /** One sweep, begun by hand; how it ended. */
  readonly sweep: () => Promise<SweepReport>;
  readonly schedule: (over?: { intervalMs?: number; graceMs?: number }) => Promise<void>;
}

/** Runs `test` with a schedule and a worker of its own. By itself the schedule begins nothing within a test, unless told to. */
async function onCluster(test: (sweeper: Sweeper) => Promise<void>): Promise<void> {
  const clusterId = `cluster-${randomUUID().slice(0, 8)}`;
  const { client } = harness;
  const fake = new FakeSweep();
  const handle = client.schedule.getHandle(sweepScheduleIdOf(clusterId));
  await harness.withWorker(fake.activities, async (taskQueue) => {
    const schedule: Sweeper['schedule'] = ({ intervalMs = 24 * 3_600_000, graceMs = 0 } = {}) =>
      scheduleSweeps(client, { clusterId, taskQueue, intervalMs, graceMs });
    try {
      await schedule();
      await test({
        fake,
        client,
        clusterId,
        schedule,
        async sweep() {
          const workflowId = await sweepNow(client, clusterId);
          return client.workflow.getHandle(workflowId).result() as Promise<SweepReport>;
        },
      });
    } finally {
      await handle.delete();
    }
  });
}

test('an orphan is told when it is seen, and released when it is seen again', async () => {
  await onCluster(async ({ fake, sweep }) => {
    fake.orphans = [orphan('a')];
    const first = await sweep();
    expect(first).toMatchObject({ owned: 7, released: [], orphans: [{ name: 'a' }] });
    expect(fake.released).toEqual([]);
    expect(fake.reports).toEqual([['a']]);

    const second = await sweep();
    expect(second).toMatchObject({ released: [{ name: 'a', firstSeenTime: first.time }], orphans: [] });
    expect(fake.released).toEqual(['a']);
    expect(fake.reports.at(-1)).toEqual([]);
  });
});

test('the grace counts from the first look, over sweeps and over a change of the schedule', async () => {
  await onCluster(async ({ fake, sweep, schedule }) => {
    fake.orphans = [orphan('a')];
    await schedule({ graceMs: 3_600_000 });
    const { time } = await sweep();
    expect((await sweep()).orphans).toMatchObject([{ name: 'a', firstSeenTime: time }]);
    expect(fake.released).toEqual([]);
    // A worker starts with another grace: what is remembered stays.
    await schedule({ graceMs: 1 });
    expect((await sweep()).released).toMatchObject([{ name: 'a', firstSeenTime: time }]);
  });
});

test('what is no orphan in between begins anew', async () => {
  await onCluster(async ({ fake, sweep }) => {
    fake.orphans = [orphan('a')];
    await sweep();
    fake.orphans = [];
    await sweep();
    fake.orphans = [orphan('a')];
    await sweep();
    expect(fake.released).toEqual([]);
  });
});

test('a look that fails releases nothing and forgets nothing', async () => {
  await onCluster(async ({ fake, sweep }) => {
    fake.orphans = [orphan('a')];
    await sweep();
    fake.lookFails = 'page 2 of the pools can not be had';
    await expect(sweep()).rejects.toMatchObject({ cause: { cause: { message: fake.lookFails } } });
    expect(fake.released).toEqual([]);
    fake.lookFails = undefined;
    expect((await sweep()).released).toMatchObject([{ name: 'a' }]);
  });
});

test('a release that fails keeps no other from it, is told, and is tried again', async () => {
  await onCluster(async ({ fake, sweep }) => {
    fake.orphans = Array.from({ length: 7 }, (_, index) => orphan(`o${index}`));
    const { time } = await sweep();
    fake.releaseFails = 'the identity may not delete';
    const failed: readonly Orphan[] = (await sweep()).orphans;
    expect(failed).toHaveLength(7);
    expect(new Set(failed.map(({ failure }) => failure))).toEqual(new Set([fake.releaseFails]));
    expect(new Set(failed.map(({ firstSeenTime }) => firstSeenTime))).toEqual(new Set([time]));
    fake.releaseFails = undefined;
    fake.orphans = [...fake.orphans, orphan('new')];
    expect((await sweep()).released).toHaveLength(7);
    expect(fake.before).toEqual(turnsAfter(failed));
    expect((await sweep()).released).toMatchObject([{ name: 'new' }]);
    expect(fake.before).toEqual({ waiting: [orphanKeyOf(orphan('new'))], failed: [] });
  });
});

test('why a release failed is remembered in few words', async () => {
  await onCluster(async ({ fake, sweep }) => {
    fake.orphans = [orphan('a')];
    await sweep();
    fake.releaseFails = `the cloud\nsaid ${'much '.repeat(1_000)}`;
    const [failed] = (await sweep()).orphans;
    expect(failed?.failure).toMatch(/^the cloud said (much )+m?u?c?h?…$/);
    expect(Buffer.byteLength(failed?.failure ?? '')).toBeLessThanOrEqual(300);
  });
});

test('the schedule sweeps by itself, and any worker may set it up again', async () => {
  await onCluster(async ({ fake, schedule }) => {
    fake.orphans = [orphan('a')];
    await schedule({ intervalMs: 1_000 });
    await schedule({ intervalMs: 1_000 });
    await until('the orphan is released', () => fake.released.length > 0);
    expect(fake.released).toEqual(['a']);
    expect(fake.looks).toBeGreaterThanOrEqual(2);
  });
});

test('a schedule that was paused stays paused when a worker starts', async () => {
  await onCluster(async ({ client, clusterId, schedule }) => {
    const handle = client.schedule.getHandle(sweepScheduleIdOf(clusterId));
    await handle.pause('looking into it');
    await schedule();
    expect((await handle.describe()).state).toMatchObject({ paused: true, note: 'looking into it' });
  });
});

test('whether a workflow runs is told by the server', async () => {
  await onCluster(async ({ client }) => {
    const ref = { namespace: 'team', name: `phi-${randomUUID().slice(0, 8)}` };
    expect(await isWorkflowRunning(client, ref)).toBe(false);
    const handle = await client.workflow.start('workspace', {
      workflowId: `workspace/${ref.namespace}/${ref.name}`,
      taskQueue: 'nobody',
      args: [ref],
    });
    expect(await isWorkflowRunning(client, ref)).toBe(true);
    await handle.terminate();
    expect(await isWorkflowRunning(client, ref)).toBe(false);
  });
});
