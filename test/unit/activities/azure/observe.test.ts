import { nodesOfPool, observePoolNodes } from '../../../../activities/machines/azure/observe';
import { condition, node, workspace } from '../objects';

const SIZE = 'Standard_NC48ads_A100_v4';

function poolNode(name: string, gpus: string, over: { labels?: object; metadata?: object } = {}) {
  const labels = {
    'kaito.sh/workspace-uid': 'uid-w',
    'kaito.sh/machine-provider': 'azure',
    'kubernetes.azure.com/agentpool': 'k1',
    'node.kubernetes.io/instance-type': SIZE,
    ...over.labels,
  };
  return node(name, { gpus, metadata: { labels, ...over.metadata } });
}

describe('nodes of agent pools', () => {
  test('are the Workspace’s machines, ready when all GPUs of the size are there', () => {
    const nodes = [
      poolNode('b', '1'),
      poolNode('a', '2'),
      poolNode('going', '2', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
    ];
    expect(observePoolNodes(workspace(), nodes)).toEqual([
      { name: 'a', provider: 'azure', nodeName: 'a', instanceType: SIZE, phase: 'Ready' },
      {
        name: 'b',
        provider: 'azure',
        nodeName: 'b',
        instanceType: SIZE,
        phase: 'Initialized',
        reason: 'GpusNotAllocatable',
        message: '1 of 2 nvidia.com/gpu allocatable on b',
      },
      {
        name: 'going',
        provider: 'azure',
        nodeName: 'going',
        instanceType: SIZE,
        phase: 'Deleting',
        reason: 'Deleting',
        message: 'node "going" is being deleted',
      },
    ]);
  });

  test('a node that is not ready is told with its condition', () => {
    const ready = condition('Ready', 'False', { reason: 'KubeletNotReady', message: 'no network' });
    const broken = { ...poolNode('a', '2'), status: { allocatable: {}, conditions: [ready] } };
    expect(observePoolNodes(workspace(), [broken])).toMatchObject([
      { phase: 'NotReady', reason: 'KubeletNotReady', message: 'no network' },
    ]);
  });

  test('gpu-provisioner’s nodes and other lives’ are not ours', () => {
    const others = [
      poolNode('claimed', '2', { labels: { 'kaito.sh/machine-provider': undefined } }),
      poolNode('earlier', '2', { labels: { 'kaito.sh/workspace-uid': 'uid-earlier' } }),
    ];
    expect(observePoolNodes(workspace(), others)).toEqual([]);
  });

  test('belong to a pool by either of AKS’s labels', () => {
    const deprecated = poolNode('old', '2', {
      labels: { 'kubernetes.azure.com/agentpool': undefined, agentpool: 'k1' },
    });
    const other = poolNode('other', '2', { labels: { 'kubernetes.azure.com/agentpool': 'k2' } });
    expect(nodesOfPool('k1', [poolNode('new', '2'), deprecated, other]).map(({ metadata }) => metadata.name)).toEqual([
      'new',
      'old',
    ]);
  });
});
