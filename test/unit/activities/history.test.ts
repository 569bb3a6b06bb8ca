import { describeChange, differences, lastManager } from '../../../activities/history/change';
import { recordOf } from '../../../activities/history/record';
import { HISTORY_CONFIG_MAP, readRecords, RecordKeeper } from '../../../activities/history/records';
import {
  costOf,
  machineHours,
  NOTHING_LOGGED,
  withGeneration,
  withMachines,
  withoutMachines,
  withPrice,
  withStep,
  type LifeRecord,
  type WorkflowLog,
} from '../../../api/history';
import type { KubernetesClient } from '../../../kubernetes/client';
import { startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';
import { workspace } from './objects';

const HOUR = 3_600_000;
const CONFIG_MAPS = 'v1/configmaps';

function life(number: number, run = 'run-1', log: Partial<WorkflowLog> = {}): LifeRecord {
  const uid = `uid-${number}`;
  const now = new Date(Date.UTC(2026, 0, 1) + number * 1_000);
  return recordOf(
    { namespace: 'default', name: 'phi' },
    { uid, log: { ...NOTHING_LOGGED, ...log, run } },
    'Deleted',
    undefined,
    now,
  );
}

describe('the log of a life', () => {
  it('adds up the time in each step of each generation', () => {
    let log = withStep(NOTHING_LOGGED, { generation: 1, step: 'Plan', fromMs: 0, toMs: 1_500 });
    log = withStep(log, { generation: 1, step: 'Machines', fromMs: 1_500, toMs: 60_000 });
    log = withStep(log, { generation: 1, step: 'Plan', fromMs: 70_000, toMs: 70_500 });
    expect(log.steps).toEqual([
      { generation: 1, step: 'Plan', times: 2, seconds: 2, first: '1970-01-01T00:00:00.000Z' },
      { generation: 1, step: 'Machines', times: 1, seconds: 58.5, first: '1970-01-01T00:00:01.500Z' },
    ]);
  });

  it('counts machines from when they were asked for until others were, or none', () => {
    const a100 = { instanceType: 'A100', count: 2 };
    let log = withMachines(NOTHING_LOGGED, { ...a100, fromMs: 0 });
    log = withPrice(log, 'A100', '7.5');
    log = withMachines(log, { ...a100, fromMs: HOUR });
    expect(costOf(log.machines, 2 * HOUR)).toBe('15.00');
    log = withMachines(log, { instanceType: 'H100', count: 1, fromMs: 2 * HOUR });
    log = withoutMachines(log, 5 * HOUR);
    expect([...machineHours(log.machines, 9 * HOUR)]).toEqual([
      ['A100', 4],
      ['H100', 3],
    ]);
    expect(costOf(log.machines, 9 * HOUR)).toBeUndefined();
  });

  it('keeps the first that was seen of a generation, and not more than twenty', () => {
    let log = withGeneration(NOTHING_LOGGED, { generation: 1, digest: 'a', manager: 'anna' });
    log = withGeneration(log, { generation: 1, digest: 'a', manager: 'somebody' });
    expect(log.generations).toEqual([{ generation: 1, digest: 'a', manager: 'anna' }]);
    for (let generation = 2; generation <= 30; generation += 1) log = withGeneration(log, { generation, digest: 'b' });
    expect(log.generations).toHaveLength(20);
  });
});

describe('who changed what', () => {
  it('is the manager that wrote the specification last, whoever wrote metadata or status since', () => {
    const entry = (manager: string, time: string, field: string, subresource?: string) => ({
      manager,
      operation: 'Update',
      time,
      subresource,
      fieldsV1: { [`f:${field}`]: {} },
    });
    const managedFields = [
      entry('anna', '2026-01-01T00:00:00Z', 'resource'),
      entry('bob', '2026-01-02T00:00:00Z', 'inference'),
      entry('carol', '2026-01-03T00:00:00Z', 'metadata'),
      entry('us', '2026-01-04T00:00:00Z', 'resource', 'status'),
    ];
    expect(lastManager({ name: 'phi', managedFields })).toEqual({
      manager: 'bob',
      operation: 'Update',
      time: '2026-01-02T00:00:00Z',
    });
    expect(lastManager({ name: 'phi' })).toEqual({});
  });

  it('names the fields that differ', () => {
    const before = { resource: { instanceType: 'A', count: 1 }, inference: { preset: { name: 'phi' } } };
    const after = { resource: { instanceType: 'B', count: 1 }, inference: { preset: { name: 'phi' }, adapters: [1] } };
    expect(differences(before, after)).toEqual(['inference.adapters', 'resource.instanceType']);
  });
});

describe('what a user may make long', () => {
  it('is cut short: keys of parts without a schema, the reason of a change', async () => {
    const former = { metadata: { ownerReferences: [{ uid: 'uid-w' }] }, revision: 1, data: {} };
    const client = { list: async () => ({ items: [former] }) } as unknown as KubernetesClient;
    const template = { [`${'k'.repeat(100_000)}`]: 1 } as never;
    const edited = workspace(
      { inference: { template } },
      { generation: 2, annotations: { 'kubernetes.io/change-cause': 'c'.repeat(100_000) } },
    );
    const change = await describeChange(client, edited, new AbortController().signal);
    expect(change.changed?.length).toBeGreaterThan(0);
    expect(JSON.stringify(change).length).toBeLessThan(1_000);
  });
});

describe('records', () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await startFakeCluster();
  });
  afterEach(() => cluster.stop());

  const kept = async () => (await readRecords(cluster.client, { namespace: 'default' })).records;

  it('of lives that end at the same time, told by several workers, are all kept, each once', async () => {
    const keepers = [new RecordKeeper(cluster.client), new RecordKeeper(cluster.client)];
    const twice = Array.from({ length: 20 }, (_, i) => keepers.map((keeper) => keeper.keep(life(i))));
    await Promise.all(twice.flat());
    expect((await kept()).map(({ uid }) => uid)).toEqual(Array.from({ length: 20 }, (_, i) => `uid-${i}`));
    expect((await kept()).every(({ logs }) => logs.length === 1)).toBe(true);
  });

  it('of lives that end soon after each other are written together', async () => {
    const keeper = new RecordKeeper(cluster.client);
    await keeper.keep(life(0));
    const first = keeper.keep(life(1));
    await kept(); // by now it would have been written
    await Promise.all([first, keeper.keep(life(2))]);
    expect((await kept()).map(({ uid }) => uid)).toEqual(['uid-0', 'uid-1', 'uid-2']);
    expect(cluster.server.requestsOf('patch')).toHaveLength(1);
  });

  it('have the logs of all workflows of a life', async () => {
    const keeper = new RecordKeeper(cluster.client);
    for (const run of ['run-1', 'run-2', 'run-2']) await keeper.keep(life(1, run));
    expect((await kept()).map(({ logs }) => logs.map(({ run }) => run))).toEqual([['run-1', 'run-2']]);
  });

  it('make room for newer ones, and stay small', async () => {
    const keeper = new RecordKeeper(cluster.client);
    const steps = Array.from({ length: 40 }, (_, generation) => ({
      generation,
      step: 'Machines' as const,
      times: 1,
      seconds: 1.5,
      first: '2026-01-01T00:00:00.000Z',
    }));
    const changed = Array.from({ length: 10 }, (_, i) => `inference.preset.field${i}`);
    const generations = Array.from({ length: 20 }, (_, generation) => ({ generation, digest: 'abc', changed }));
    await Promise.all(Array.from({ length: 105 }, (_, i) => keeper.keep(life(i, 'run', { steps, generations }))));
    const records = await kept();
    expect(records).toHaveLength(100);
    expect(records[0]?.uid).toBe('uid-5');
    expect(Math.max(...records.map((record) => JSON.stringify(record).length))).toBeLessThanOrEqual(6 * 1_024);
    expect(records[0]?.logs[0]?.steps.at(-1)).toEqual(steps.at(-1));
  });

  it('stay small whatever their changes say', async () => {
    const keeper = new RecordKeeper(cluster.client);
    const changed = Array.from({ length: 10 }, (_, i) => `${i}${'x'.repeat(99)}`);
    const generations = Array.from({ length: 20 }, (_, generation) => ({
      generation,
      digest: 'abc',
      manager: 'm'.repeat(128),
      changed,
      cause: 'c'.repeat(200),
    }));
    const machines = Array.from({ length: 20 }, () => ({
      instanceType: 'A'.repeat(63),
      count: 1,
      from: '2026-01-01T00:00:00.000Z',
      to: '2026-01-01T00:00:00.000Z',
    }));
    await keeper.keep(life(1, 'run', { generations, machines }));
    const [record] = await kept();
    expect(JSON.stringify(record).length).toBeLessThanOrEqual(6 * 1_024);
    expect(record?.logs[0]?.generations).toHaveLength(5);
  });

  it('that somebody edited are told, and do not stand in the way', async () => {
    const keeper = new RecordKeeper(cluster.client);
    await keeper.keep(life(1));
    cluster.server.store.update(CONFIG_MAPS, 'default', HISTORY_CONFIG_MAP, (map) => ({
      ...map,
      data: { ...(map as unknown as { data: object }).data, notes: 'hello' },
    }));
    expect((await readRecords(cluster.client, { namespace: 'default' })).unreadable).toEqual(['notes']);
    await keeper.keep(life(2));
    expect((await kept()).map(({ uid }) => uid)).toEqual(['uid-1', 'uid-2']);
  });
});
