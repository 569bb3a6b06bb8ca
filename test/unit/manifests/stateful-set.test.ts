import { inferenceStatefulSet } from '../../../manifests/stateful-set';
import { asYaml, CONFIGURATION, inferenceInput, ONE_V100, QUICK_START, TWO_NODES, workspace } from './fixtures';

const { resource, inference } = QUICK_START;

describe('the StatefulSet of a preset', () => {
  it('serves the quick start', () => {
    expect(asYaml(inferenceStatefulSet(inferenceInput()))).toMatchSnapshot();
  });

  it('serves by data parallelism on a node with several GPUs', () => {
    const candidate = {
      ...ONE_V100,
      instanceType: 'Standard_NC96ads_A100_v4',
      gpus: { ...ONE_V100.gpus, count: 4 },
      nvme: true,
      layout: { ...ONE_V100.layout!, dataParallel: 4 },
    };
    const flags = { model: 'microsoft/phi-3-mini-4k-instruct', 'data-parallel-size': '4', 'tensor-parallel-size': '1' };
    expect(asYaml(inferenceStatefulSet(inferenceInput({ candidate, flags })))).toMatchSnapshot();
  });

  it('serves one model over two nodes', () => {
    const flags = { model: 'org/large', 'tensor-parallel-size': '8', 'pipeline-parallel-size': '2' };
    expect(asYaml(inferenceStatefulSet(inferenceInput({ candidate: TWO_NODES, flags })))).toMatchSnapshot();
  });

  it('pulls adapters from images and says how strong they are', () => {
    const adapters = [
      { source: { name: 'plain', image: 'registry.example/plain:1' } },
      {
        source: { name: 'half', image: 'registry.example/half:1', imagePullSecrets: ['first', 'second'] },
        strength: '0.5',
      },
    ];
    const input = inferenceInput({ workspace: workspace({ resource, inference: { ...inference, adapters } }) });
    expect(asYaml(inferenceStatefulSet(input))).toMatchSnapshot();
  });

  it('mounts adapters from volumes', () => {
    const adapters = [{ source: { name: 'mine', volumeSource: { persistentVolumeClaim: { claimName: 'adapter' } } } }];
    const input = inferenceInput({ workspace: workspace({ resource, inference: { ...inference, adapters } }) });
    expect(asYaml(inferenceStatefulSet(input))).toMatchSnapshot();
  });

  it('runs on own nodes that match labels and expressions, on preferred ones first', () => {
    const own = {
      labelSelector: {
        matchLabels: { apps: 'phi-3', 'kaito.sh/workspace': 'of-another' },
        matchExpressions: [
          { key: 'nvidia.com/gpu.product', operator: 'In', values: ['NVIDIA-A10', 'Tesla-V100'] },
          { key: 'maintenance', operator: 'DoesNotExist' },
        ],
      },
      preferredNodes: ['gpu-1', 'gpu-2'],
    };
    const candidate = { ...ONE_V100, provider: 'own-nodes', instanceType: '' } as const;
    const input = inferenceInput({ candidate, workspace: workspace({ resource: own, inference }) });
    expect(asYaml(inferenceStatefulSet(input))).toMatchSnapshot();
  });

  it('runs on a MIG slice', () => {
    const candidate = {
      ...ONE_V100,
      provider: 'own-nodes',
      instanceType: '',
      gpus: { ...ONE_V100.gpus, resourceName: 'nvidia.com/mig-1g.10gb' },
    } as const;
    const { template } = inferenceStatefulSet(inferenceInput({ candidate })).spec;
    expect(template.spec?.containers[0]?.resources).toEqual({
      requests: { 'nvidia.com/mig-1g.10gb': '1' },
      limits: { 'nvidia.com/mig-1g.10gb': '1' },
    });
    expect(template.spec?.tolerations).toContainEqual({
      key: 'nvidia.com/mig-1g.10gb',
      operator: 'Exists',
      effect: 'NoSchedule',
    });
  });

  it('takes the weights of a private preset from its image', () => {
    const preset = {
      name: 'phi-3-mini-4k-instruct',
      accessMode: 'private',
      presetOptions: { image: 'registry.example/weights:1', imagePullSecrets: ['weights'] },
    };
    const input = inferenceInput({
      workspace: workspace({ resource, inference: { preset } }),
      configuration: { ...CONFIGURATION, imagePullSecrets: ['runtime'] },
    });
    expect(asYaml(inferenceStatefulSet(input))).toMatchSnapshot();
  });

  it('mounts the config, its hash on the pods, and passes the token of the hub', () => {
    const preset = { name: 'org/gated', presetOptions: { modelAccessSecret: 'hub' } };
    const input = inferenceInput({
      workspace: workspace({ resource, inference: { preset, config: 'options' } }),
      configHash: 'abc',
      revision: 3,
    });
    expect(asYaml(inferenceStatefulSet(input))).toMatchSnapshot();
  });

  it('carries the labels by which InferenceSets find their pods', () => {
    const labels = { 'inferenceset.kaito.sh/created-by': 'set', 'kaito.sh/inference-role': 'decode', team: 'ai' };
    const { spec } = inferenceStatefulSet(inferenceInput({ workspace: workspace(QUICK_START, { labels }) }));
    expect(spec.template.metadata?.labels).toEqual({
      'inferenceset.kaito.sh/created-by': 'set',
      'kaito.sh/inference-role': 'decode',
      'kaito.sh/workspace': 'workspace-phi-3-mini',
      'kaito.sh/workspace-uid': '5f0c1f64-31c4-4b1c-9b39-5a1a2a5f5a10',
    });
    expect(spec.selector.matchLabels).toEqual({ 'kaito.sh/workspace': 'workspace-phi-3-mini' });
  });

  it('keeps the text of values that look like variables, and the port that the Service expects', () => {
    const flags = { 'chat-template': '{{ $(HOME) }}', port: '9000' };
    const [container] = inferenceStatefulSet(inferenceInput({ flags })).spec.template.spec!.containers;
    expect(container?.args).toEqual(['--chat-template={{ $$(HOME) }}', '--port=5000']);
  });

  it('is rolled out whenever it is rendered differently, and only then', () => {
    const hash = (over: Parameters<typeof inferenceInput>[0]) =>
      inferenceStatefulSet(inferenceInput(over)).metadata.annotations['kaito.sh/rendered-hash'];
    const before = hash({});
    expect(hash({ revision: 2 })).toBe(before);
    const changed = [
      hash({ flags: { model: 'x' } }),
      hash({ configHash: 'other' }),
      hash({ configuration: { ...CONFIGURATION, runtimeImage: 'registry.example/kaito-runtime:1.0.1' } }),
      hash({ candidate: { ...ONE_V100, nodeCount: 2 } }),
    ];
    expect(new Set([before, ...changed]).size).toBe(5);
  });
});
