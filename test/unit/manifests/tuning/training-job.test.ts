import type { V1Container } from '@kubernetes/client-node';
import { inferenceStatefulSet } from '../../../../manifests/stateful-set';
import { trainingJob, type TrainingInput } from '../../../../manifests/tuning/training-job';
import { DATA_CONTAINER, DATASET_CONTAINER } from '../../../../manifests/tuning/training-data';
import { WEIGHTS_CONTAINER } from '../../../../manifests/weights';
import { asYaml, CONFIGURATION, inferenceInput, ONE_V100, PHI_3, QUICK_START, workspace } from '../fixtures';
import { trainingInput, TUNING, TUNING_PLAN, tuningWorkspace } from './fixtures';

const PRIVATE = {
  name: 'phi-3-mini-4k-instruct',
  accessMode: 'private',
  presetOptions: { image: 'registry.example/weights:1', imagePullSecrets: ['weights'] },
};

function podOf(over: Partial<TrainingInput> = {}) {
  const {
    initContainers = [],
    containers,
    volumes = [],
    ...pod
  } = trainingJob(trainingInput(over)).spec.template.spec!;
  return { ...pod, initContainers, trainer: containers[0]!, containers, volumes };
}

function envOf({ env = [] }: V1Container): Record<string, string | undefined> {
  return Object.fromEntries(env.map(({ name, value }) => [name, value]));
}

const hashOf = (over: Partial<TrainingInput>) =>
  trainingJob(trainingInput(over)).metadata.annotations['kaito.sh/rendered-hash'];

describe('the Job that trains', () => {
  it('trains on data from addresses', () => {
    expect(asYaml(trainingJob(trainingInput()))).toMatchSnapshot();
  });

  it('takes weights and data from private images, parameters from a ConfigMap, and ends by a deadline', () => {
    const tuned = tuningWorkspace({
      preset: PRIVATE,
      config: 'parameters',
      input: { image: 'registry.example/data:1', imagePullSecrets: ['data', 'more'] },
      activeDeadlineSeconds: 7200,
    });
    const input = trainingInput({
      workspace: tuned,
      plan: { diskGiB: 87, configHash: 'abc', tuning: TUNING_PLAN },
      revision: 3,
      configuration: {
        ...CONFIGURATION,
        imagePullSecrets: ['runtime'],
        insecureRegistries: ['localhost:5001', '10.0.0.1:5000'],
      },
    });
    expect(asYaml(trainingJob(input))).toMatchSnapshot();
  });

  it('runs on all GPUs of a node of the user’s, with data and results on the user’s volumes', () => {
    const own = {
      labelSelector: {
        matchLabels: { apps: 'tuning' },
        matchExpressions: [{ key: 'maintenance', operator: 'DoesNotExist' }],
      },
      preferredNodes: ['gpu-1'],
    };
    const tuning = {
      ...TUNING.tuning,
      input: { volumeSource: { persistentVolumeClaim: { claimName: 'data' } } },
      output: { volumeSource: { nfs: { server: 'files.example', path: '/adapters' } } },
    };
    const { claim: _claim, push: _push, ...plan } = TUNING_PLAN;
    const input = trainingInput({
      workspace: workspace({ resource: own, tuning }, { name: 'tune-phi-3' }),
      candidate: { ...ONE_V100, provider: 'own-nodes', instanceType: '', gpus: { ...ONE_V100.gpus, count: 4 } },
      plan: { diskGiB: 87, tuning: { ...plan, outputDirectory: '/mnt/adapter' } },
    });
    expect(asYaml(trainingJob(input))).toMatchSnapshot();
  });

  it('gets weights first, then data, then checks the data', () => {
    const tuned = tuningWorkspace({ preset: PRIVATE, input: { image: 'registry.example/data:1' } });
    const names = podOf({ workspace: tuned }).initContainers.map(({ name }) => name);
    expect(names).toEqual([WEIGHTS_CONTAINER, DATA_CONTAINER, DATASET_CONTAINER]);
    expect(names).toEqual(['puller-weights', 'puller-data', 'prepare-dataset']);
  });

  it('fails at once when trying again is in vain, and does not count what was evicted', () => {
    const { backoffLimit, podFailurePolicy, template } = trainingJob(trainingInput()).spec;
    expect(backoffLimit).toBe(3);
    expect(podFailurePolicy).toEqual({
      rules: [
        { action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } },
        { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      ],
    });
    // Kubernetes accepts such a policy only on pods that are never restarted in place.
    expect(template.spec?.restartPolicy).toBe('Never');
  });

  it('takes the model from where serving takes it', () => {
    const modelOf = (args: readonly string[] = []) => args.find((arg) => arg.startsWith('--model='));
    const cases = [
      { preset: { name: 'phi-3-mini-4k-instruct' }, metadata: {} },
      { preset: PRIVATE, metadata: {} },
      {
        preset: { name: 'phi-3-mini-4k-instruct' },
        metadata: { annotations: { 'kaito.sh/use-local-weights': 'true' } },
      },
    ].map(({ preset, metadata }) => {
      const serving = workspace({ ...QUICK_START, inference: { preset } }, metadata);
      const { containers } = inferenceStatefulSet(inferenceInput({ workspace: serving })).spec.template.spec!;
      const { trainer } = podOf({ workspace: tuningWorkspace({ preset }, metadata) });
      return { served: modelOf(containers[0]?.args), tuned: modelOf(trainer.args) };
    });
    expect(cases.map(({ tuned }) => tuned)).toEqual(cases.map(({ served }) => served));
    expect(cases.map(({ tuned }) => tuned)).toEqual([
      '--model=microsoft/Phi-3-mini-4k-instruct',
      '--model=/workspace/weights/phi-3-mini-4k-instruct',
      '--model=/opt/kaito/models/microsoft-phi-3-mini-4k-instruct',
    ]);
  });

  it('pins the revision of what comes from the hub, and of nothing else', () => {
    const model = { ...PHI_3, revision: '0a67737' };
    expect(podOf({ model }).trainer.args).toEqual(
      expect.arrayContaining(['--revision=0a67737', '--download-dir=/workspace/weights']),
    );
    const local = podOf({ model, workspace: tuningWorkspace({ preset: PRIVATE }) }).trainer.args ?? [];
    expect(local.filter((arg) => /^--(revision|download-dir)/.test(arg))).toEqual([]);
  });

  it('mounts the weights that the nodes already hold', () => {
    const annotations = { 'kaito.sh/use-local-weights': 'true' };
    const { trainer, volumes, initContainers } = podOf({
      workspace: tuningWorkspace({ preset: PRIVATE }, { annotations }),
    });
    expect(volumes).toContainEqual({
      name: 'model-weights-hostpath',
      hostPath: { path: '/opt/kaito/models', type: 'Directory' },
    });
    expect(trainer.volumeMounts).toContainEqual({
      name: 'model-weights-hostpath',
      mountPath: '/opt/kaito/models',
      readOnly: true,
    });
    expect(initContainers.map(({ name }) => name)).toEqual([DATASET_CONTAINER]);
  });

  it('puts weights on local NVMe where there is one', () => {
    const { volumes } = podOf({ candidate: { ...ONE_V100, nvme: true } });
    const weights = volumes.find(({ name }) => name === 'model-weights-volume');
    expect(weights?.ephemeral?.volumeClaimTemplate?.spec).toEqual({
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'kaito-local-nvme-disk',
      resources: { requests: { storage: '87Gi' } },
    });
  });

  it('names the layers that an adapter changes for the phi-3 family alone, and leaves out what is vLLM’s', () => {
    expect(envOf(podOf().trainer)).toEqual({
      PYTORCH_CUDA_ALLOC_CONF: 'expandable_segments:True',
      DEFAULT_TARGET_MODULES: 'k_proj,q_proj,v_proj,o_proj,gate_proj,down_proj,up_proj',
      HOME: '/workspace/home',
      HF_HOME: '/workspace/home/huggingface',
    });
    const other = { ...PHI_3, shortName: 'phi-4' };
    expect(Object.keys(envOf(podOf({ model: other }).trainer))).not.toContain('DEFAULT_TARGET_MODULES');
  });

  it('reaches the hub with the user’s token, and the mirror that the installation names', () => {
    const preset = { name: 'org/gated', presetOptions: { modelAccessSecret: 'hub' } };
    const configuration = { ...CONFIGURATION, hubEndpoint: 'https://hub.example' };
    const { trainer } = podOf({ workspace: tuningWorkspace({ preset }), configuration });
    expect(trainer.env).toEqual(
      expect.arrayContaining([
        { name: 'HF_TOKEN', valueFrom: { secretKeyRef: { name: 'hub', key: 'HF_TOKEN', optional: true } } },
        { name: 'HF_ENDPOINT', value: 'https://hub.example' },
      ]),
    );
  });

  it('downloads from addresses as they are written, also within networks that the installation allows', () => {
    const urls = ['https://data.example/a.csv?$filter=$(HOME)&x=$$1'];
    const configuration = { ...CONFIGURATION, datasetPrivateHosts: ['files.internal', '10.0.0.7'] };
    const [dataset] = podOf({ workspace: tuningWorkspace({ input: { urls } }), configuration }).initContainers;
    const { KAITO_DATASET_URLS: given = '', ...others } = envOf(dataset!);
    // The kubelet makes one dollar of two.
    expect(JSON.parse(given.replaceAll('$$', '$'))).toEqual(urls);
    expect(given).toBe('["https://data.example/a.csv?$$filter=$$(HOME)&x=$$$$1"]');
    expect(others['KAITO_DATASET_PRIVATE_HOSTS']).toBe('files.internal,10.0.0.7');
  });

  it('has volumes for all mounts, and no two parts of a name, also with the longest and the oddest names', () => {
    const preset = { ...PRIVATE, presetOptions: { ...PRIVATE.presetOptions, modelAccessSecret: 'hub' } };
    const input = { image: 'registry.example/data:1', imagePullSecrets: ['s'] };
    for (const name of ['x'.repeat(63), 'puller-weights', 'puller-data', 'prepare-dataset', 'data-volume']) {
      const tuned = tuningWorkspace({ preset, input, config: 'parameters' }, { name });
      const { initContainers, containers, volumes, trainer } = podOf({ workspace: tuned });
      expect(trainer.name).toBe(name);
      const all = [...initContainers, ...containers];
      expect(new Set(all.map((container) => container.name)).size).toBe(4);
      const mounted = all.flatMap(({ volumeMounts = [] }) => volumeMounts.map((mount) => mount.name));
      expect([...new Set(mounted)].sort()).toEqual(volumes.map((volume) => volume.name).sort());
      for (const { volumeMounts = [] } of all) {
        expect(new Set(volumeMounts.map(({ mountPath }) => mountPath)).size).toBe(volumeMounts.length);
      }
    }
  });

  it('is another Job whenever it is rendered differently, and only then', () => {
    const before = hashOf({});
    const trained = { ...TUNING_PLAN, isTrained: true };
    expect(hashOf({ revision: 2 })).toBe(before);
    expect(hashOf({ plan: { diskGiB: 88, tuning: trained } })).toBe(before);
    expect(hashOf({ workspace: tuningWorkspace({}, { generation: 2, resourceVersion: '9' }) })).toBe(before);
    const changed = [
      hashOf({ plan: { diskGiB: 87, configHash: 'other', tuning: TUNING_PLAN } }),
      hashOf({ plan: { diskGiB: 87, tuning: { ...TUNING_PLAN, hash: 'b2'.repeat(32) } } }),
      hashOf({ candidate: { ...ONE_V100, gpus: { ...ONE_V100.gpus, count: 2 } } }),
      hashOf({ configuration: { ...CONFIGURATION, runtimeImage: 'registry.example/kaito-runtime:1.0.1' } }),
    ];
    expect(new Set([before, ...changed]).size).toBe(5);
  });

  it('refuses a plan whose results would be gone with the pod, and a Workspace that tunes nothing', () => {
    const { claim: _claim, ...tuning } = TUNING_PLAN;
    expect(() => podOf({ plan: { diskGiB: 87, tuning } })).toThrow(
      "the plan of Workspace 'default/tune-phi-3' has no volume for the results",
    );
    expect(() => podOf({ workspace: workspace(QUICK_START) })).toThrow(
      "Workspace 'default/workspace-phi-3-mini' tunes nothing",
    );
  });
});
