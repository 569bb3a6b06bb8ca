import { observe } from '../../../activities/observe/observation';
import { observeNodeClaims } from '../../../activities/machines/karpenter/observe';
import { observeOwnNodes } from '../../../activities/machines/own-nodes/observe';
import { LAUNCHED, condition, node, nodeClaim, owned, pod, statefulSet, workspace } from './objects';

const told = (observation: ReturnType<typeof observe>) =>
  Object.fromEntries(observation.conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]));

describe('a machine of Karpenter', () => {
  const machine = nodeClaim('ws1', LAUNCHED, { nodeName: 'n1' });
  const phases: readonly [string, ReturnType<typeof nodeClaim>, readonly ReturnType<typeof node>[], object][] = [
    [
      'asked for',
      nodeClaim('ws1', []),
      [],
      { phase: 'Pending', reason: 'AwaitingReconciliation', message: 'waiting for the machine to be launched' },
    ],
    [
      'refused',
      nodeClaim('ws1', [condition('Launched', 'Unknown', { reason: 'LaunchFailed', message: 'no quota' })]),
      [],
      { phase: 'Pending', reason: 'LaunchFailed', message: 'no quota' },
    ],
    [
      'launched',
      nodeClaim('ws1', LAUNCHED.slice(0, 1)),
      [],
      { phase: 'Launched', reason: 'AwaitingReconciliation', message: 'waiting for the node to register' },
    ],
    [
      'registered',
      nodeClaim('ws1', LAUNCHED.slice(0, 2)),
      [],
      { phase: 'Registered', reason: 'AwaitingReconciliation', message: 'waiting for the node to be initialized' },
    ],
    ['without its node', machine, [], { phase: 'Lost', reason: 'NodeNotFound', message: 'node "n1" is gone' }],
    [
      'without GPUs',
      machine,
      [node('n1', { gpus: '0' })],
      { phase: 'Initialized', reason: 'GpusNotAllocatable', message: '0 of 1 nvidia.com/gpu allocatable on n1' },
    ],
    [
      'not ready',
      machine,
      [
        node('n1', {
          ready: condition('Ready', 'Unknown', { reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting' }),
        }),
      ],
      { phase: 'NotReady', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting' },
    ],
    ['usable', machine, [node('n1')], { phase: 'Ready' }],
    [
      'on its way out',
      nodeClaim('ws1', LAUNCHED, { nodeName: 'n1', metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
      [node('n1')],
      { phase: 'Deleting', reason: 'Deleting', message: 'the machine is being deleted' },
    ],
  ];

  test.each(phases)('%s', (_, claim, nodes, expected) => {
    const [state] = observeNodeClaims([claim], owned({ nodes }).nodeNamed);
    const { phase, reason, message } = state ?? {};
    expect(JSON.parse(JSON.stringify({ phase, reason, message }))).toEqual(expected);
  });
});

describe('own nodes', () => {
  const gpuNode = (name: string, labels: Record<string, string>) =>
    node(name, { metadata: { labels: { 'nvidia.com/gpu.count': '1', ...labels } } });
  const nodes = [gpuNode('a', { pool: 'x', zone: '1' }), gpuNode('b', { pool: 'x' }), gpuNode('c', { pool: 'y' })];
  const selectors: readonly [string, object, readonly string[]][] = [
    ['matchLabels', { matchLabels: { pool: 'x' } }, ['a', 'b']],
    ['reserved keys do not count', { matchLabels: { pool: 'y', 'kaito.sh/workspace': 'other' } }, ['c']],
    ['In', { matchExpressions: [{ key: 'pool', operator: 'In', values: ['y', 'z'] }] }, ['c']],
    [
      'NotIn holds without the label',
      { matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['1'] }] },
      ['b', 'c'],
    ],
    ['Exists', { matchExpressions: [{ key: 'zone', operator: 'Exists' }] }, ['a']],
    ['DoesNotExist', { matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' }] }, ['b', 'c']],
  ];

  test.each(selectors)('%s', (_, labelSelector, expected) => {
    expect(
      observeOwnNodes(workspace({ resource: { labelSelector, count: 1 } }), nodes).map(({ name }) => name),
    ).toEqual(expected);
  });

  test('preferred nodes come first', () => {
    const preferring = workspace({
      resource: { labelSelector: { matchLabels: { pool: 'x' } }, count: 1, preferredNodes: ['b'] },
    });
    expect(observeOwnNodes(preferring, nodes).map(({ name }) => name)).toEqual(['b', 'a']);
  });

  test('machines bought for another namespace are not among them, whatever their labels', () => {
    const bought = (name: string, namespace: string) =>
      gpuNode(name, { pool: 'x', 'kaito.sh/workspace': 'other', 'kaito.sh/workspacenamespace': namespace });
    const mine = workspace({ resource: { labelSelector: { matchLabels: { pool: 'x' } }, count: 1 } });
    const { namespace } = mine.metadata;
    const seen = observeOwnNodes(mine, [bought('n1', 'elsewhere'), bought('n2', namespace), ...nodes]);
    expect(seen.map(({ name }) => name)).toEqual(['a', 'b', 'n2']);
  });
});

describe('the whole', () => {
  const machines = { nodeClaims: [nodeClaim('ws1', LAUNCHED, { nodeName: 'n1' })], nodes: [node('n1')] };

  test('serves when machines and replicas are ready', () => {
    const observation = observe(workspace(), 1, owned({ ...machines, statefulSet: statefulSet(1) }));
    expect(told(observation)).toEqual({
      NodesReady: 'True NodesReady',
      NodeClaimReady: 'True NodeClaimsReady',
      ResourceReady: 'True workspaceResourceStatusSuccess',
      InferenceReady: 'True WorkspaceInferenceStatusSuccess',
      WorkspaceSucceeded: 'True workspaceSucceeded',
    });
    expect(observation.workerNodes).toEqual(['n1']);
  });

  test('is never ready with nothing planned', () => {
    expect(observe(workspace(), 0, owned({})).conditions.map(({ status }) => status)).toEqual(Array(5).fill('False'));
  });

  test('does not serve while pods of an older revision answer', () => {
    const rolling = statefulSet(1, 1, { status: { updatedReplicas: 0 } });
    expect(observe(workspace(), 1, owned({ ...machines, statefulSet: rolling })).serving).toBe(false);
  });

  test('does not claim inference on machines that are not ready', () => {
    const broken = {
      ...machines,
      nodes: [node('n1', { ready: condition('Ready', 'False') })],
      statefulSet: statefulSet(1),
    };
    const observation = observe(workspace(), 1, owned(broken));
    expect(told(observation)).toMatchObject({
      ResourceReady: 'False NodeNotReady',
      InferenceReady: 'False WorkspaceInferenceStatusPending',
    });
    expect(observation.failure).toEqual({ cause: 'NodeNotReady', message: 'ws1: node "n1" is not ready' });
  });

  const waiting = (reason: string, message = 'why') => ({
    phase: 'Pending' as const,
    containerStatuses: [{ name: 'w', ready: false, restartCount: 3, state: { waiting: { reason, message } } }],
  });
  const troubles: readonly [string, Parameters<typeof pod>[0], string, string][] = [
    ['image', waiting('ImagePullBackOff'), 'ImagePullError', 'ImagePull'],
    ['start', waiting('CreateContainerConfigError'), 'ContainerStartError', 'ContainerStart'],
    ['crash loop', waiting('CrashLoopBackOff'), 'ContainerCrashLoopBackOff', 'CrashLoop'],
    [
      'out of memory',
      {
        phase: 'Running',
        containerStatuses: [
          {
            name: 'w',
            ready: false,
            restartCount: 1,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
          },
        ],
      },
      'ContainerOOMKilled',
      'OutOfMemory',
    ],
    [
      'evicted for disk',
      { phase: 'Failed', reason: 'Evicted', message: 'low on resource: ephemeral-storage' },
      'NodeDiskPressure',
      'Evicted',
    ],
    [
      'evicted for memory',
      { phase: 'Failed', reason: 'Evicted', message: 'low on resource: memory' },
      'NodeMemoryPressure',
      'Evicted',
    ],
    [
      'unschedulable for a while',
      {
        phase: 'Pending',
        conditions: [condition('PodScheduled', 'False', { reason: 'Unschedulable', message: 'no GPU' })],
      },
      'Unschedulable',
      'Unschedulable',
    ],
  ];
  test.each(troubles)('names what keeps the pod from answering: %s', (_, status, reason, cause) => {
    const observation = observe(
      workspace(),
      1,
      owned({ ...machines, statefulSet: statefulSet(0), pods: [pod(status)] }),
    );
    expect(told(observation)['InferenceReady']).toBe(`False ${reason}`);
    expect(observation.failure?.cause).toBe(cause);
  });

  test('does not cry about a pod that the scheduler has only just met', () => {
    const justNow = condition('PodScheduled', 'False', {
      reason: 'Unschedulable',
      lastTransitionTime: new Date().toISOString(),
    });
    const pods = [pod({ phase: 'Pending', conditions: [justNow] })];
    expect(observe(workspace(), 1, owned({ ...machines, statefulSet: statefulSet(0), pods })).failure).toBeUndefined();
  });
});
