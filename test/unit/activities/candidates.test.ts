import { CauseError } from '../../../api/causes';
import { findCandidates } from '../../../activities/plan/candidates';
import { findPreset } from '../../../presets/catalogue';
import { node, workspace } from './objects';

const model = findPreset('phi-3-mini-4k-instruct');
if (model === undefined) throw new Error('the catalogue lacks phi-3-mini-4k-instruct');
const labelSelector = {};
const noNodes = () => [];

function failure(act: () => unknown) {
  try {
    act();
  } catch (error) {
    if (error instanceof CauseError) return error.failure;
    throw error;
  }
  throw new Error('it did not fail');
}

test('instanceType first, then the fallbacks in their order; what is unknown is ruled out and said', () => {
  const resource = {
    labelSelector,
    count: 1,
    instanceType: 'Standard_NC24ads_A100_v4',
    instanceTypes: ['Standard_Unheard_Of', 'Standard_NV36ads_A10_v5'],
  };
  const { candidates, ruledOut } = findCandidates(
    { buyer: 'karpenter', workspace: workspace({ resource }), model },
    noNodes,
  );
  expect(candidates.map(({ instanceType, nodeCount }) => [instanceType, nodeCount])).toEqual([
    ['Standard_NC24ads_A100_v4', 1],
    ['Standard_NV36ads_A10_v5', 1],
  ]);
  expect(ruledOut).toEqual([
    { instanceType: 'Standard_Unheard_Of', reason: "unknown instance type 'Standard_Unheard_Of'" },
  ]);
});

test('an unknown size alone is bad input that names the field and the value', () => {
  const resource = { labelSelector, count: 1, instanceType: 'Standard_Unheard_Of' };
  expect(
    failure(() => findCandidates({ buyer: 'karpenter', workspace: workspace({ resource }), model }, noNodes)),
  ).toMatchObject({
    cause: 'InvalidInput',
    message: "resource.instanceType: Standard_Unheard_Of: unknown instance type 'Standard_Unheard_Of'",
  });
});

test('a retired size is refused on its own cloud only', () => {
  const retired = workspace({ resource: { labelSelector, count: 1, instanceType: 'Standard_NC6s_v3' } });
  expect(
    findCandidates({ buyer: 'karpenter', workspace: retired, model, cloud: 'other' }, noNodes).candidates,
  ).toHaveLength(1);
  const refused = failure(() =>
    findCandidates({ buyer: 'karpenter', workspace: retired, model, cloud: 'azure' }, noNodes),
  );
  expect(refused.cause).toBe('DoesNotFit');
  expect(refused.message).toMatch(/Standard_NC6s_v3.*retired/i);
});

test('what does not fit is refused with its reason, and allowed to those who bypass the check', () => {
  const large = findPreset('llama-3.3-70b-instruct');
  if (large === undefined) throw new Error('the catalogue lacks llama-3.3-70b-instruct');
  const resource = { labelSelector, count: 1, instanceType: 'Standard_NC24ads_A100_v4' };
  const need = { model: large, contextTokens: 10_000_000 };
  expect(
    failure(() => findCandidates({ buyer: 'karpenter', ...need, workspace: workspace({ resource }) }, noNodes)).cause,
  ).toBe('DoesNotFit');
  const bypassing = workspace({ resource }, { annotations: { 'kaito.sh/bypass-resource-checks': 'true' } });
  expect(findCandidates({ buyer: 'karpenter', ...need, workspace: bypassing }, noNodes).candidates[0]).toMatchObject({
    nodeCount: 1,
    layout: { tensorParallel: 1, pipelineParallel: 1 },
  });
});

describe('own nodes', () => {
  const own = workspace({ resource: { labelSelector: { matchLabels: { pool: 'x' } }, count: 1 } });
  const gpuLabels = {
    pool: 'x',
    'nvidia.com/gpu.product': 'NVIDIA-A100-SXM4-80GB',
    'nvidia.com/gpu.count': '2',
    'nvidia.com/gpu.memory': '81920',
  };
  const named = (name: string, labels: object) => node(name, { metadata: { labels } });

  test('GPU facts come from NVIDIA’s labels', () => {
    const { candidates } = findCandidates({ buyer: 'karpenter', workspace: own, model }, () => [named('a', gpuLabels)]);
    expect(candidates[0]).toMatchObject({
      provider: 'own-nodes',
      instanceType: '',
      nodeCount: 1,
      gpus: { count: 2, memoryBytes: 85_899_345_920 },
    });
  });

  const { 'nvidia.com/gpu.memory': _, ...withoutMemory } = gpuLabels;
  const troubles: readonly [string, readonly ReturnType<typeof node>[], string, string][] = [
    [
      'no node matches',
      [],
      'NoMatchingNodes',
      'resource.labelSelector: no nodes found matching {"matchLabels":{"pool":"x"}}',
    ],
    [
      'a label is missing',
      [named('a', withoutMemory)],
      'NoMatchingNodes',
      "failed to get GPU facts of node 'a': labels nvidia.com/gpu.memory are missing",
    ],
    [
      'nodes differ',
      [named('a', gpuLabels), named('b', { ...gpuLabels, 'nvidia.com/gpu.count': '4' })],
      'InvalidInput',
      "resource.labelSelector: nodes 'a' and 'b' differ in GPU count: 2 and 4",
    ],
    [
      'a label is no number',
      [named('a', { ...gpuLabels, 'nvidia.com/gpu.count': 'two' })],
      'InvalidInput',
      "node 'a': label nvidia.com/gpu.count is 'two', which is no positive whole number",
    ],
  ];
  test.each(troubles)('%s', (_name, nodes, cause, message) => {
    expect(failure(() => findCandidates({ buyer: 'karpenter', workspace: own, model }, () => nodes))).toMatchObject({
      cause,
      message,
    });
  });
});
