import type { ResolvedAdapter } from '../../../api/workflow';
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
    expect(asYaml(inferenceStatefulSet(inferenceInput({ candidate })))).toMatchSnapshot();
  });

  it('serves one model over two nodes', () => {
    expect(asYaml(inferenceStatefulSet(inferenceInput({ candidate: TWO_NODES })))).toMatchSnapshot();
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

  it('serves what a tuning Workspace pushed as it serves any other image', () => {
    const image = 'registry.example/tuned@sha256:0a';
    const render = (source: object, adapters?: readonly ResolvedAdapter[]) =>
      inferenceStatefulSet(
        inferenceInput({
          workspace: workspace({
            resource,
            inference: { ...inference, adapters: [{ source: { name: 'tuned', ...source } }] },
          }),
          ...(adapters && { adapters }),
        }),
      );
    const resolved = [
      { name: 'other', image: 'registry.example/other@sha256:0b', imagePullSecrets: [] },
      { name: 'tuned', image, imagePullSecrets: ['push'] },
    ];
    expect(render({ workspace: 'tune-phi-3' }, resolved)).toEqual(render({ image, imagePullSecrets: ['push'] }));
    expect(() => render({ workspace: 'tune-phi-3' })).toThrow(
      "adapter 'tuned': Workspace 'tune-phi-3' has pushed no image yet",
    );
  });

  it('tells its programs the mirror of the hub, and the registries on plain HTTP', () => {
    const adapters = [{ source: { name: 'plain', image: 'localhost:5001/plain:1' } }];
    const { initContainers, containers } = inferenceStatefulSet(
      inferenceInput({
        workspace: workspace({ resource, inference: { ...inference, adapters } }),
        configuration: {
          ...CONFIGURATION,
          hubEndpoint: 'https://hub.example',
          insecureRegistries: ['localhost:5001', '10.0.0.1:5000'],
        },
      }),
    ).spec.template.spec!;
    expect(containers[0]?.env).toContainEqual({ name: 'HF_ENDPOINT', value: 'https://hub.example' });
    expect(initContainers?.[0]?.env).toEqual([
      { name: 'KAITO_INSECURE_REGISTRIES', value: 'localhost:5001,10.0.0.1:5000' },
    ]);
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

  it('takes the weights that the nodes already hold, and the performance mode', () => {
    const annotations = { 'kaito.sh/use-local-weights': 'true', 'kaito.sh/performance-mode': 'throughput' };
    const input = inferenceInput({ workspace: workspace(QUICK_START, { annotations }) });
    const pod = inferenceStatefulSet(input).spec.template.spec!;
    expect(pod.volumes).toEqual([
      { name: 'dshm', emptyDir: { medium: 'Memory' } },
      { name: 'tmp-volume', emptyDir: {} },
      { name: 'home-volume', emptyDir: {} },
      { name: 'model-weights-hostpath', hostPath: { path: '/opt/kaito/models', type: 'Directory' } },
    ]);
    expect(pod.containers[0]?.args).toEqual(
      expect.arrayContaining([
        '--model=/opt/kaito/models/microsoft-phi-3-mini-4k-instruct',
        '--performance-mode=throughput',
      ]),
    );
  });

  it('gives every object of a Workspace with a long name a valid name', () => {
    const name = `w${'x'.repeat(51)}`;
    const adapters = [
      { source: { name: 'a.dotted.name', image: 'registry.example/a:1', imagePullSecrets: ['s'] } },
      { source: { name: 'b'.repeat(63), image: 'registry.example/b:1', imagePullSecrets: ['s'] } },
      { source: { name: `${'b'.repeat(62)}c`, image: 'registry.example/c:1' } },
      { source: { name: 'v'.repeat(63), volumeSource: { emptyDir: {} } } },
    ];
    const long = workspace({ resource, inference: { ...inference, adapters } }, { name });
    const { spec } = inferenceStatefulSet(inferenceInput({ workspace: long, candidate: TWO_NODES }));
    const { initContainers = [], containers, volumes = [] } = spec.template.spec!;
    const names = [spec.serviceName!, ...[...initContainers, ...containers, ...volumes].map((part) => part.name)];
    expect(names.filter((part) => !/^[a-z0-9][a-z0-9-]{0,62}$/.test(part))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
    expect(initContainers.map(({ command }) => command?.find((arg) => arg.startsWith('--to=')))).toEqual([
      '--to=/mnt/adapter/a.dotted.name',
      `--to=/mnt/adapter/${'b'.repeat(63)}`,
      `--to=/mnt/adapter/${'b'.repeat(62)}c`,
    ]);
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
    expect(spec.template.spec?.containers[0]?.args).toContain('--served-model-name=set');
    expect(spec.selector.matchLabels).toEqual({ 'kaito.sh/workspace': 'workspace-phi-3-mini' });
  });

  it('keeps the text of values that look like variables, and the port that the Service expects', () => {
    const config = { 'chat-template': '{{ $(HOME) }}', port: '9000', 'max-num-seqs': '8' };
    const [container] = inferenceStatefulSet(inferenceInput({ config })).spec.template.spec!.containers;
    expect(container?.args).toEqual([
      '--chat-template={{ $$(HOME) }}',
      '--download-dir=/workspace/weights',
      '--dtype=bfloat16',
      '--gpu-memory-utilization=0.84',
      '--max-model-len=auto',
      '--max-num-seqs=8',
      '--model=microsoft/Phi-3-mini-4k-instruct',
      '--port=5000',
      '--served-model-name=phi-3-mini-4k-instruct',
      '--tensor-parallel-size=1',
      '--trust-remote-code',
    ]);
  });

  it('is rolled out whenever it is rendered differently, and only then', () => {
    const hash = (over: Parameters<typeof inferenceInput>[0]) =>
      inferenceStatefulSet(inferenceInput(over)).metadata.annotations['kaito.sh/rendered-hash'];
    const before = hash({});
    expect(hash({ revision: 2 })).toBe(before);
    const changed = [
      hash({ config: { 'max-num-seqs': '8' } }),
      hash({ configHash: 'other' }),
      hash({ configuration: { ...CONFIGURATION, runtimeImage: 'registry.example/kaito-runtime:1.0.1' } }),
      hash({ candidate: { ...ONE_V100, nodeCount: 2 } }),
    ];
    expect(new Set([before, ...changed]).size).toBe(5);
  });
});
