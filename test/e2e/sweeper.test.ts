import { LABEL_WORKSPACE, LABEL_WORKSPACE_UID } from '../../api/labels';
import { sweepScheduleIdOf, type SweepReport } from '../../api/sweep';
import type { Manifest, NodeClaim } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { inference, textWith, useStage } from './support';

const TASK_QUEUE = 'sweeper';

/** Sweeps as quick as the rest of these tests. */
const stage = useStage('sweeper', {
  KAITO_TASK_QUEUE: TASK_QUEUE,
  KAITO_SWEEP_INTERVAL: '1s',
  KAITO_SWEEP_GRACE: '2s',
});

beforeAll(() => stage().defer(() => stage().temporal.schedule.getHandle(sweepScheduleIdOf(TASK_QUEUE)).delete()));

/** The same machine once more, bought for somebody else. */
function copyOf({ apiVersion, kind, metadata, spec }: NodeClaim, name: string, labels: object): Manifest {
  const copied = { ...metadata.labels, ...labels } as Record<string, string>;
  const annotations = metadata.annotations ?? {};
  return { apiVersion, kind, metadata: { name, labels: copied, annotations }, spec } as Manifest;
}

test('a machine whose Workspace and workflow are gone is told, and released when it is seen again; no other is', async () => {
  const { client, view } = stage();
  const namespace = await stage().namespace();
  await client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  await stage().ready({ namespace, name: 'phi' });
  const living = stage().onlyClaim(namespace);

  // What a worker bought that was cut off while its Workspace was released; and one that is KAITO's own.
  const dead = { [LABEL_WORKSPACE]: 'gone', [LABEL_WORKSPACE_UID]: 'dead' };
  const orphan = `ws${namespace.slice(-9).replace(/[^a-z0-9]/g, '0')}`;
  const foreign = `f${orphan}`;
  const { [LABEL_WORKSPACE_UID]: _, ...withoutUid } = living.metadata.labels ?? {};
  await client.create(RESOURCES.nodeClaims, copyOf(living, orphan, dead));
  const kept = copyOf({ ...living, metadata: { ...living.metadata, labels: withoutUid } }, foreign, {
    [LABEL_WORKSPACE]: 'gone',
  });
  await client.create(RESOURCES.nodeClaims, kept);

  const event = await stage().until('it is told', () =>
    view
      .events('default')
      .find(({ involvedObject, reason }) => involvedObject.name === orphan && reason === 'OrphanedMachines'),
  );
  expect(event).toMatchObject({
    type: 'Warning',
    involvedObject: { kind: 'NodeClaim' },
    message: textWith(`was bought for Workspace ${namespace}/gone (dead), which is gone; it is released after`),
  });
  await stage().until('it is gone', () => view.nodeClaims(namespace).every(({ metadata }) => metadata.name !== orphan));

  // As the Temporal UI shows it.
  const released = await stage().poll('the sweep tells', async () => {
    const { info } = await stage().temporal.schedule.getHandle(sweepScheduleIdOf(TASK_QUEUE)).describe();
    for (const { action } of info.recentActions) {
      if (action.type !== 'startWorkflow') continue;
      const handle = stage().temporal.workflow.getHandle(action.workflow.workflowId);
      if ((await handle.describe()).status.name !== 'COMPLETED') continue;
      const report = (await handle.result()) as SweepReport;
      if (report.released.length > 0) return report.released;
    }
    return undefined;
  });
  expect(released).toMatchObject([
    { provider: 'karpenter', name: orphan, workspace: { namespace, name: 'gone', uid: 'dead' }, count: 1 },
  ]);

  const left = view.nodeClaims(namespace).map(({ metadata }) => metadata.name);
  expect(left.toSorted()).toEqual([foreign, living.metadata.name].toSorted());
  await client.delete(RESOURCES.nodeClaims, { name: foreign });
});
