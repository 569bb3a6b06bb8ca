import type { Orphan } from '../../../api/sweep';
import { createMetrics } from '../../../telemetry/metrics';
import { Orphans } from '../../../telemetry/orphans';

const orphan: Orphan = {
  provider: 'karpenter',
  kind: 'NodeClaim',
  name: 'a',
  identity: 'uid-a',
  workspace: { namespace: 'team', name: 'phi', uid: 'dead' },
  instanceType: 'A100',
  count: 2,
  isSpot: false,
  pricePerHour: 7,
  firstSeenTime: '2026-01-01T00:00:00.000Z',
};

/** What is told at a time: machines, dollars an hour. */
async function told(orphans: Orphans): Promise<readonly (readonly number[])[]> {
  const metrics = createMetrics();
  orphans.collect(metrics);
  const gauges = await Promise.all([metrics.orphans.get(), metrics.orphansCost.get()]);
  return gauges.map(({ values }) => values.map(({ value }) => value));
}

test('what was told counts for a while', async () => {
  let now = 0;
  const orphans = new Orphans(1_000, () => now);
  orphans.tell([orphan, { ...orphan, name: 'b' }]);
  now = 1_000;
  expect(await told(orphans)).toEqual([[4], [14]]);
  now = 1_001;
  expect(await told(orphans)).toEqual([[], []]);
});

test('what is being released counts until that ends, and once', async () => {
  let now = 0;
  const orphans = new Orphans(1_000, () => now);
  orphans.tell([orphan]);
  const ended = orphans.releasing({ ...orphan });
  expect(await told(orphans)).toEqual([[2], [7]]);
  now = 3_600_000;
  expect(await told(orphans)).toEqual([[2], [7]]);
  ended();
  expect(await told(orphans)).toEqual([[], []]);
});
