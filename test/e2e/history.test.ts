import { costOf, machineHours, type LifeRecord } from '../../api/history';
import type { Workspace } from '../../api/workspace';
import { HISTORY_CONFIG_MAP, readRecords } from '../../activities/history/records';
import { RESOURCES } from '../../kubernetes/resources';
import { inference, isReady, useStage } from './support';

/** What stays readable of a Workspace after it is gone. */
const stage = useStage('history');

type Ref = { readonly namespace: string; readonly name: string };

async function apply(namespace: string): Promise<Ref> {
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  return { namespace, name: 'phi' };
}

async function remove(ref: Ref): Promise<void> {
  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until('it is gone', () => stage().view.workspace(ref.namespace, ref.name) === undefined);
}

async function records(ref: Ref): Promise<readonly LifeRecord[]> {
  const found = await readRecords(stage().client, ref);
  expect(found.unreadable).toEqual([]);
  return found.records;
}

it('tells who changed what, how long each step took, and which machines were used', async () => {
  const ref = await apply(await stage().namespace());
  const first = await stage().ready(ref);
  await stage().kubectl(ref.namespace, [
    'patch',
    'workspace',
    'phi',
    '--type=merge',
    '--field-manager=anna',
    '-p',
    '{"resource":{"instanceTypes":["Standard_NC48ads_A100_v4"]},"metadata":{"annotations":{"kubernetes.io/change-cause":"too slow"}}}',
  ]);
  await stage().workspaceWhen(ref, 'is Ready anew', (one) => one.metadata.generation === 2 && isReady(one));
  await remove(ref);

  const [record, ...others] = await records(ref);
  expect(others).toEqual([]);
  expect(record).toMatchObject({
    name: 'phi',
    uid: first.metadata.uid,
    end: 'Deleted',
    created: first.metadata.creationTimestamp,
    preset: 'phi-4-mini-instruct',
    instanceType: 'Standard_NC24ads_A100_v4',
    workflowID: `workspace/${ref.namespace}/phi`,
  });
  const [log] = record?.logs ?? [];
  expect(log?.last).toBe('Ready');
  expect(log?.generations).toMatchObject([
    { generation: 1, manager: 'kaito-temporal', operation: 'Update' },
    { generation: 2, manager: 'anna', operation: 'Update', changed: ['resource.instanceTypes'], cause: 'too slow' },
  ]);
  expect(log?.steps.map(({ generation, step }) => `${generation} ${step}`)).toEqual(
    expect.arrayContaining(['1 Machines', '1 Serving', '1 Ready', '2 Plan', '2 Machines', '2 Ready']),
  );
  expect(log?.machines).toMatchObject([
    { instanceType: 'Standard_NC24ads_A100_v4', count: 1, to: expect.stringMatching(/Z$/) as unknown },
  ]);
  const hours = machineHours(log?.machines ?? [], Date.now());
  expect([...hours.values()].every((one) => one > 0 && one < 0.1)).toBe(true);
  expect(costOf(log?.machines ?? [], Date.now())).toBeUndefined(); // simulated machines have no price

  const shown = await stage().kubectl(ref.namespace, ['get', 'configmap', HISTORY_CONFIG_MAP, '-o', 'json']);
  expect(shown).toContain(first.metadata.uid);
});

it('keeps each life of a name, and one record of a life that was cancelled, resumed and terminated', async () => {
  const namespace = await stage().namespace();
  const ref = await apply(namespace);
  const first = await stage().ready(ref);
  await remove(ref);

  await apply(namespace);
  const second = await stage().ready(ref);
  await stage().workflow(ref).cancel();
  const isCancelled = ({ status }: Workspace): boolean => status?.step?.name === 'Cancelled';
  const cancelled = await stage().workspaceWhen(ref, 'is Cancelled', isCancelled);
  expect((await records(ref)).map(({ uid, end }) => [uid, end])).toEqual([
    [first.metadata.uid, 'Deleted'],
    [second.metadata.uid, 'Cancelled'],
  ]);
  await stage().annotate(cancelled, { 'kaito.sh/retry': '1' });
  const resumed = await stage().ready(ref);
  await stage().workflow(ref).terminate('a test');
  await stage().workspaceWhen(
    ref,
    'is healed',
    ({ status }) => status.workflow?.runID !== resumed.status.workflow?.runID,
  );
  await stage().ready(ref);
  await remove(ref);

  const [, last, ...others] = await records(ref);
  expect(others).toEqual([]);
  expect(last).toMatchObject({ uid: second.metadata.uid, end: 'Deleted' });
  expect(new Set(last?.logs.map(({ run }) => run)).size).toBe(last?.logs.length);
  expect(last?.logs[0]).toMatchObject({ last: 'Ready', machines: [{ count: 1 }] });
  expect(last?.logs.length).toBeGreaterThanOrEqual(2);
});
