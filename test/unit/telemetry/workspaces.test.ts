import type { Workspace } from '../../../api/workspace';
import { Cache } from '../../../kubernetes/cache';
import { SILENT_LOGGER } from '../../../kubernetes/logger';
import type { KubernetesObject } from '../../../kubernetes/objects';
import { RESOURCES } from '../../../kubernetes/resources';
import { createMetrics } from '../../../telemetry/metrics';
import { collectWorkspaces } from '../../../telemetry/workspaces';
import { eventually, startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';
import { workspace } from '../activities/objects';

const KIND = 'kaito.sh/v1beta1/workspaces';
const NOW = Date.parse('2026-06-01T12:00:00Z');

let cluster: FakeCluster;
let workspaces: Cache<Workspace & KubernetesObject>;
let metrics: ReturnType<typeof createMetrics>;

beforeEach(async () => {
  cluster = await startFakeCluster();
  workspaces = new Cache(cluster.client, { resource: RESOURCES.workspaces, logger: SILENT_LOGGER }).start();
  await workspaces.synced;
  metrics = createMetrics();
});
afterEach(async () => {
  await workspaces.stop();
  await cluster.stop();
});

function create(name: string, status: object | undefined, parts: object = {}): void {
  const { metadata: _, status: __, ...rest } = workspace();
  cluster.server.store.create(KIND, 'default', {
    ...rest,
    ...parts,
    metadata: { name } as never,
    ...(status !== undefined && { status }),
  });
}

const held = (count: number) => eventually('the cache has them', () => workspaces.size === count);

/** Samples of the registry, `name{labels} value`, without those of other metrics. */
async function told(...names: readonly string[]): Promise<readonly string[]> {
  return toldAt(NOW, ...names);
}

async function toldAt(now: number, ...names: readonly string[]): Promise<readonly string[]> {
  collectWorkspaces(metrics, { workspaces, now: () => now });
  const text = await metrics.registry.metrics();
  return text.split('\n').filter((line) => names.some((name) => line.startsWith(`${name}{`)));
}

const machine = (phase: string, instanceType?: string, provider = 'azure') => ({
  name: `m-${phase}`,
  provider,
  phase,
  ...(instanceType !== undefined && { instanceType }),
});

it('counts Workspaces by kind, state, step and cause; those that nobody has looked at, too', async () => {
  create('new', undefined);
  for (const name of ['a', 'b']) {
    create(name, { state: 'Pending', step: { name: 'Machines', cause: 'Quota', startedTime: '2026-06-01T11:00:00Z' } });
  }
  await held(3);
  expect(await told('kaito_workspaces')).toEqual([
    'kaito_workspaces{kind="inference",state="New",step="none",cause=""} 1',
    'kaito_workspaces{kind="inference",state="Pending",step="Machines",cause="Quota"} 2',
  ]);
  const created = Date.parse(workspaces.get({ namespace: 'default', name: 'new' })?.metadata.creationTimestamp ?? '');
  expect(await toldAt(created + 60_000, 'kaito_oldest_step_age_seconds')).toContain(
    'kaito_oldest_step_age_seconds{step="none"} 60',
  );
  expect(await told('kaito_oldest_step_age_seconds')).toContain('kaito_oldest_step_age_seconds{step="Machines"} 3600');
});

it('what is gone is told no more', async () => {
  create('a', { state: 'Ready', step: { name: 'Ready' }, machines: [machine('Ready', 'A100')] });
  await held(1);
  expect(await told('kaito_workspaces', 'kaito_machines')).toHaveLength(2);
  cluster.server.store.delete(KIND, 'default', 'a');
  await held(0);
  expect(await told('kaito_workspaces', 'kaito_machines')).toEqual([]);
});

it('a training that tells progress is not old', async () => {
  create('t', {
    state: 'Running',
    step: { name: 'Training', startedTime: '2026-06-01T02:00:00Z' },
    tuning: { hash: 'h', progress: { step: 1, steps: 2, time: '2026-06-01T11:59:30Z' } },
  });
  await held(1);
  expect(await told('kaito_oldest_step_age_seconds')).toEqual(['kaito_oldest_step_age_seconds{step="Training"} 30']);
});

it('tells what machines cost: by the status, for what is billed; what has no price is counted', async () => {
  create('priced', {
    pricePerHour: '7.5',
    machines: [machine('Ready', 'A100'), machine('Launched', 'A100'), machine('Pending', 'A100')],
  });
  create('unpriced', { machines: [machine('Ready', 'H100', 'karpenter'), machine('Lost', 'H100', 'karpenter')] });
  create('own', { machines: [machine('Ready', undefined, 'own-nodes')] });
  await held(3);
  expect(await told('kaito_machines_cost_dollars_per_hour', 'kaito_machines_unpriced')).toEqual([
    'kaito_machines_cost_dollars_per_hour{provider="azure",instance_type="A100"} 7.5',
    'kaito_machines_unpriced{provider="karpenter",instance_type="H100"} 1',
  ]);
  expect(await told('kaito_machines')).toEqual(
    expect.arrayContaining(['kaito_machines{provider="own-nodes",instance_type="other",phase="Ready"} 1']),
  );
});

it('does not tell of ever more sizes', async () => {
  const machines = Array.from({ length: 150 }, (_, i) => machine('Ready', `size-${i}`));
  create('many', { machines });
  await held(1);
  const lines = await told('kaito_machines');
  expect(lines).toHaveLength(101);
  expect(lines).toContain('kaito_machines{provider="azure",instance_type="other",phase="Ready"} 50');
});
