import type { Workspace } from '../../api/workspace';
import type { Condition, Pod } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { anyText, condition, inference, isReady, textWith, useStage } from './support';

/**
 * Pods and nodes that fail after Ready. KWOK plays the kubelet and starts pods, but doesn't take back what a pod's status says after that; so
 * the tests say it, as a kubelet does.
 */
const stage = useStage('degraded');

const POD = 'phi-0';

let workspace: Workspace;
beforeAll(async () => {
  const namespace = await stage().namespace();
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  workspace = await stage().ready({ namespace, name: 'phi' });
});

const at = () => ({ namespace: workspace.metadata.namespace, name: POD });
const ref = () => ({ namespace: workspace.metadata.namespace, name: 'phi' });

function pod(): Pod {
  const found = stage().view.pod(at().namespace, POD);
  if (found === undefined) throw new Error(`no pod ${POD}`);
  return found;
}

/** As the kubelet tells of a pod whose only container is in that state. */
async function kubeletSays(container: object, isPodReady: boolean): Promise<void> {
  const status = isPodReady ? 'True' : 'False';
  const told = pod().status?.conditions?.map((one) =>
    ['Ready', 'ContainersReady'].includes(one.type) ? { ...one, status } : one,
  );
  const containerStatuses = [
    { name: 'phi', image: 'x', imageID: '', ready: isPodReady, restartCount: 3, ...container },
  ];
  await stage().client.patchStatus(RESOURCES.pods, at(), { status: { conditions: told, containerStatuses } });
}

const readiness = (conditions: readonly Condition[] = []) => conditions.find(({ type }) => type === 'Ready')?.status;

const RUNNING = { state: { running: { startedAt: '2026-01-01T00:00:00Z' } } };
const terminated = (reason: string, exitCode: number) => ({ terminated: { exitCode, reason } });

it.each([
  [
    'ImagePullError',
    'ImagePull',
    { state: { waiting: { reason: 'ImagePullBackOff', message: 'no such tag' } } },
    'no such tag',
  ],
  [
    'ContainerOOMKilled',
    'OutOfMemory',
    { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: terminated('OOMKilled', 137) },
    'ran out of memory (exit code 137, 3 restarts)',
  ],
  [
    'ContainerCrashLoopBackOff',
    'CrashLoop',
    { state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } }, lastState: terminated('Error', 1) },
    'keeps crashing (exit code 1, Error)',
  ],
  [
    'ContainerStartError',
    'ContainerStart',
    { state: { waiting: { reason: 'CreateContainerConfigError', message: 'no such key' } } },
    'no such key',
  ],
])('shows %s of a pod, and that it recovered', async (reason, cause, container, message) => {
  await kubeletSays(container, false);
  const fallen = await stage().workspaceWhen(
    ref(),
    `says ${reason}`,
    (one) => condition(one, 'InferenceReady')?.reason === reason && one.status.step?.name === 'Serving',
  );

  expect(fallen.status.state).toBe('NotReady');
  expect(condition(fallen, 'InferenceReady')).toMatchObject({
    status: 'False',
    message: textWith(message),
  });
  expect(condition(fallen, 'ResourceReady')).toMatchObject({ status: 'True' });
  expect(condition(fallen, 'WorkspaceSucceeded')).toMatchObject({ status: 'False' });
  expect(fallen.status.step).toMatchObject({ name: 'Serving', cause, remedy: anyText });
  await stage().until('an Event tells it', () =>
    stage()
      .view.events(at().namespace)
      .some((event) => event.reason === cause && event.type === 'Warning' && event.message?.includes(message)),
  );

  await kubeletSays(RUNNING, true);
  const { status } = await stage().ready(ref());
  expect(status.step?.cause).toBeUndefined();
  expect(condition({ ...workspace, status }, 'InferenceReady')).toMatchObject({ status: 'True' });
});

it('shows that a pod was evicted, and that another took its place', async () => {
  const evicted = pod();
  // Keeps the evicted pod there; the StatefulSet would replace it at once.
  await stage().client.patch(RESOURCES.pods, at(), { metadata: { finalizers: ['example.com/keep'] } });
  const status = { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' };
  await stage().client.patchStatus(RESOURCES.pods, at(), { status });

  const fallen = await stage().workspaceWhen(
    ref(),
    'says so',
    (one) => condition(one, 'InferenceReady')?.reason === 'NodeMemoryPressure' && one.status.step?.name === 'Serving',
  );
  expect(fallen.status.step).toMatchObject({
    cause: 'Evicted',
    message: textWith('low on resource: memory'),
  });
  await stage().client.patch(RESOURCES.pods, at(), { metadata: { finalizers: null } });
  await stage().ready(ref());

  expect(pod().metadata.uid).not.toBe(evicted.metadata.uid);
});

it('shows that a node is not ready, and that it is again', async () => {
  const [nodeName = ''] = workspace.status?.workerNodes ?? [];
  const fake = (value: string | null) =>
    stage().client.patch(
      RESOURCES.nodes,
      { name: nodeName },
      { metadata: { annotations: { 'kwok.x-k8s.io/node': value } } },
    );
  const node = stage().view.node(nodeName);
  // KWOK lets go of the node, so that it does not say that it is ready.
  await fake(null);
  const conditions = node?.status?.conditions?.map((one) =>
    one.type === 'Ready'
      ? { ...one, status: 'False', reason: 'KubeletNotReady', message: 'container runtime is down' }
      : one,
  );
  await stage().client.patchStatus(RESOURCES.nodes, { name: nodeName }, { status: { conditions } });

  const fallen = await stage().workspaceWhen(
    ref(),
    'says so',
    (one) => condition(one, 'NodesReady')?.status === 'False',
  );
  expect(fallen.status).toMatchObject({
    state: 'NotReady',
    machines: [{ nodeName, phase: 'NotReady', reason: 'KubeletNotReady' }],
    step: { cause: 'NodeNotReady', message: textWith('container runtime is down') },
  });
  expect(condition(fallen, 'ResourceReady')).toMatchObject({ status: 'False' });
  expect(condition(fallen, 'InferenceReady')).toMatchObject({ status: 'False' });

  await fake('fake');
  await stage().until(
    'KWOK has it ready again',
    () => readiness(stage().view.node(nodeName)?.status?.conditions) === 'True',
  );
  const { status } = await stage().ready(ref());
  expect(status.machines).toEqual([expect.objectContaining({ nodeName, phase: 'Ready' })]);
});

it('says which node’s GPUs went away, and that they are back', async () => {
  const [nodeName = ''] = workspace.status?.workerNodes ?? [];
  const allocatable = (count: string) =>
    stage().client.patchStatus(
      RESOURCES.nodes,
      { name: nodeName },
      { status: { allocatable: { 'nvidia.com/gpu': count } } },
    );

  await allocatable('0');
  const fallen = await stage().workspaceWhen(
    ref(),
    'says so',
    (one) => condition(one, 'NodesReady')?.reason === 'NodePluginsNotReady',
  );
  expect(condition(fallen, 'NodesReady')?.message).toContain(`0 of 1 nvidia.com/gpu allocatable on ${nodeName}`);
  expect(isReady(fallen)).toBe(false);
  await allocatable('1');

  await stage().ready(ref());
});
