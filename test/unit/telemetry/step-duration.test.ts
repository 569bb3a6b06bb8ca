import { createStatusWriter, type StatusWriter } from '../../../activities/status/status-writer';
import type { Workspace, WorkspaceStatus } from '../../../api/workspace';
import type { KubernetesObject } from '../../../kubernetes/objects';
import { RESOURCES } from '../../../kubernetes/resources';
import { createMetrics } from '../../../telemetry/metrics';
import { observeStepDuration } from '../../../telemetry/step-duration';
import { startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';
import { workspace } from '../activities/objects';

const KIND = 'kaito.sh/v1beta1/workspaces';
const REF = { namespace: 'default', name: 'a' };
const NOW = Date.parse('2026-06-01T12:00:00Z');

let cluster: FakeCluster;
let metrics: ReturnType<typeof createMetrics>;
let writer: StatusWriter;

beforeEach(async () => {
  cluster = await startFakeCluster();
  metrics = createMetrics();
  writer = createStatusWriter(cluster.client, {
    onWritten: (before, written) => observeStepDuration(metrics, before, written, NOW),
  });
  const { metadata: _, status: __, ...rest } = workspace();
  cluster.server.store.create(KIND, REF.namespace, { ...rest, metadata: { name: REF.name } as never });
});
afterEach(() => cluster.stop());

type Step = NonNullable<WorkspaceStatus['step']>;

async function read(): Promise<Workspace> {
  const found = await cluster.client.get<Workspace & KubernetesObject>(RESOURCES.workspaces, REF);
  if (found === undefined) throw new Error('the Workspace is gone');
  return found;
}

const write = async (step: Step, of?: Workspace) => writer.write(of ?? (await read()), { step });

/** Of each step that was left: how often, and seconds in all. */
async function observed(): Promise<Readonly<Record<string, { readonly count: number; readonly sum: number }>>> {
  const { values } = await metrics.stepDuration.get();
  const of = (suffix: string, step: unknown) =>
    values.find((one) => one.metricName?.endsWith(suffix) === true && one.labels.step === step)?.value ?? Number.NaN;
  const steps = new Set(values.map(({ labels }) => String(labels.step)));
  return Object.fromEntries([...steps].map((step) => [step, { count: of('_count', step), sum: of('_sum', step) }]));
}

it('is observed once, by whoever writes that the step is left', async () => {
  await write({ name: 'Machines', startedTime: '2026-06-01T11:58:30Z' });
  await write({ name: 'Machines', startedTime: '2026-06-01T11:58:30Z', message: 'still' });
  expect(await observed()).toEqual({});
  await write({ name: 'Workload', startedTime: '2026-06-01T12:00:00Z' });
  await write({ name: 'Workload', startedTime: '2026-06-01T12:00:00Z' });
  expect(await observed()).toEqual({ Machines: { count: 1, sum: 90 } });
});

it('is not told of where a Workspace may stay for good', async () => {
  await write({ name: 'Ready', startedTime: '2026-06-01T11:00:00Z' });
  await write({ name: 'Plan', startedTime: '2026-06-01T12:00:00Z' });
  expect(await observed()).toEqual({});
});

it('is not observed where the status could not be written, as the Workspace is gone', async () => {
  await write({ name: 'Serving', startedTime: '2026-06-01T11:00:00Z' });
  const last = await read();
  cluster.server.store.delete(KIND, REF.namespace, REF.name);
  await write({ name: 'Ready', startedTime: '2026-06-01T12:00:00Z' }, last);
  expect(await observed()).toEqual({});
});
