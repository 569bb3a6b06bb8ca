import type { WorkloadConfiguration } from '../../../manifests/configuration';
import { inferenceStatefulSet } from '../../../manifests/stateful-set';
import { modelSource } from '../../../manifests/model-source';
import { CONFIGURATION, inferenceInput, PHI_3, QUICK_START, workspace } from './fixtures';

const OWN = 'registry.example/weights:1';
const PRESETS = 'registry.example/preset-weights:1';

function preset(more: object, annotations: Record<string, string> = {}) {
  return workspace(
    { ...QUICK_START, inference: { preset: { name: 'phi-3-mini-4k-instruct', ...more } } },
    { annotations },
  );
}

const privately = { accessMode: 'private', presetOptions: { image: OWN, imagePullSecrets: ['pull'] } };
const withImage = { ...PHI_3, image: PRESETS };

it.each([
  ['the hub', preset({}), PHI_3, { kind: 'hub', id: PHI_3.id }],
  ['the user’s image', preset(privately), withImage, { kind: 'image', image: OWN, imagePullSecrets: ['pull'] }],
  ['the preset’s image', preset({}), withImage, { kind: 'image', image: PRESETS, imagePullSecrets: [] }],
  ['the node', preset(privately, { 'kaito.sh/use-local-weights': 'true' }), withImage, { kind: 'node' }],
])('weights come from %s', (_, one, model, source) => {
  expect(modelSource(one, model)).toMatchObject(source);
});

function podOf(configuration: WorkloadConfiguration) {
  const spec = inferenceStatefulSet(inferenceInput({ workspace: preset(privately), configuration })).spec.template.spec;
  return {
    init: spec?.initContainers?.map(({ name }) => name),
    volume: spec?.volumes?.find(({ name }) => name === 'model-weights-volume'),
    mount: spec?.containers[0]?.volumeMounts?.find(({ name }) => name === 'model-weights-volume'),
    model: spec?.containers[0]?.args?.find((arg) => arg.startsWith('--model=')),
    secrets: spec?.imagePullSecrets,
  };
}

it('an image of weights is mounted as a volume where the cluster can, and copied elsewhere', () => {
  const at = '/workspace/weights/phi-3-mini-4k-instruct';
  expect(podOf({ ...CONFIGURATION, imageVolumes: true })).toEqual({
    init: undefined,
    volume: { name: 'model-weights-volume', image: { reference: OWN, pullPolicy: 'IfNotPresent' } },
    mount: { name: 'model-weights-volume', mountPath: at, subPath: 'workspace/tfs/weights', readOnly: true },
    model: `--model=${at}`,
    secrets: [{ name: 'pull' }],
  });
  expect(podOf(CONFIGURATION)).toMatchObject({
    init: ['puller-weights'],
    mount: { mountPath: '/workspace/weights' },
    model: `--model=${at}`,
  });
});
