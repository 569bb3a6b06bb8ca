import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { RESOURCES } from '../../kubernetes/resources';
import { anyText, isReady, ROOT, textWith, useStage } from './support';

/** KAITO's quick start, with the very files that its users paste, and the other shapes that a Workspace can have. */
const stage = useStage('examples', { KAITO_TUNING_STORAGE_CLASS: 'standard' });

const example = (file: string) => readFile(path.join(ROOT, 'examples', file), 'utf8');

/** With what a user writes for the capitals. */
async function filledIn(file: string): Promise<string> {
  return (await example(file))
    .replaceAll('ACR_REPO_HERE', 'myregistry')
    .replaceAll('ADAPTER_HERE', 'phi-3-adapter')
    .replaceAll('IMAGE_NAME_HERE', 'phi-3-adapter')
    .replaceAll('ACR_REGISTRY_SECRET_HERE', 'my-registry');
}

/** Cells of kubectl's table, a row each. */
function table(text: string): readonly (readonly string[])[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd().split(/ {2,}/));
}

it('serves phi-3-inference.yaml as it is, with the quick start’s tables', async () => {
  const namespace = await stage().namespace();

  await stage().kubectl(namespace, ['apply', '-f', '-'], await example('phi-3-inference.yaml'));
  const workspace = await stage().ready({ namespace, name: 'workspace-phi-3-mini' });

  expect(workspace.status.conditions?.map(({ type, status }) => [type, status])).toEqual([
    ['Planned', 'True'],
    ['NodeClaimReady', 'True'],
    ['NodesReady', 'True'],
    ['ResourceReady', 'True'],
    ['InferenceReady', 'True'],
    ['WorkspaceSucceeded', 'True'],
  ]);
  const workspaces = await stage().kubectl(namespace, ['get', 'workspace']);
  expect(table(workspaces)).toEqual([
    ['NAME', 'INSTANCE', 'RESOURCEREADY', 'INFERENCEREADY', 'JOBSTARTED', 'WORKSPACEREADY', 'STATE', 'AGE'],
    // JOBSTARTED is blank: there is no Job.
    ['workspace-phi-3-mini', 'Standard_NC6s_v3', 'True', 'True', 'True', 'Ready', textWith(/^\d+s$/)],
  ]);
  const services = await stage().kubectl(namespace, ['get', 'svc']);
  expect(table(services)).toEqual([
    ['NAME', 'TYPE', 'CLUSTER-IP', 'EXTERNAL-IP', 'PORT(S)', 'AGE'],
    ['workspace-phi-3-mini', 'ClusterIP', textWith(/^10\./), '<none>', '80/TCP,29500/TCP', anyText],
    ['workspace-phi-3-mini-headless', 'ClusterIP', 'None', '<none>', '29500/TCP', anyText],
  ]);
  const { metadata, spec } = stage().onlyClaim(namespace);
  expect(metadata.labels).toMatchObject({ 'kaito.sh/workspace': 'workspace-phi-3-mini', apps: 'phi-3' });
  expect(spec).toMatchObject({ expireAfter: 'Never', resources: { requests: { 'nvidia.com/gpu': '1' } } });
});

it.each([
  ['phi-3-inference-with-adapters.yaml', /inference\.adapters\[0\]\.source\.image: Invalid value: "ACR_REPO_HERE/],
  ['phi-3-tuning.yaml', /tuning\.output\.imagePushSecret: Invalid value: "ACR_REGISTRY_SECRET_HERE"/],
  ['phi-3-tuning-128k.yaml', /tuning\.output\.image: Invalid value: "ACR_REPO_HERE/],
])('refuses %s as pasted, naming what to fill in', async (file, message) => {
  const namespace = await stage().namespace();

  expect(await stage().refusal(namespace, await example(file))).toMatch(message);
});

it('serves phi-3-inference-with-adapters.yaml once it is filled in', async () => {
  const namespace = await stage().namespace();
  const name = 'workspace-phi-3-mini-adapter';

  await stage().kubectl(namespace, ['apply', '-f', '-'], await filledIn('phi-3-inference-with-adapters.yaml'));
  await stage().ready({ namespace, name });

  const pod = stage().view.pod(namespace, `${name}-0`);
  expect(pod?.spec.initContainers?.map(({ image }) => image)).toEqual(['kaito-temporal/runtime:0.1.0']);
  expect(JSON.stringify(pod?.spec.initContainers)).toContain('myregistry.azurecr.io/phi-3-adapter:0.0.1');
  const args = pod?.spec.containers[0]?.args ?? [];
  expect(args.slice(args.indexOf('--lora-modules'))).toEqual([
    '--lora-modules',
    'phi-3-adapter=/mnt/adapter/phi-3-adapter',
  ]);
});

it.each([
  ['phi-3-tuning.yaml', 'workspace-phi-3-mini'],
  ['phi-3-tuning-128k.yaml', 'workspace-phi-3-mini-adapter'],
])('buys nothing for %s before its data can be had, and says so', async (file, name) => {
  const namespace = await stage().namespace();
  // A host that no test reaches, whatever the network.
  const manifest = (await filledIn(file)).replace('https://huggingface.co', 'https://hub.invalid');
  await stage().create(RESOURCES.secrets, {
    metadata: { namespace, name: 'my-registry' },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': '{"auths":{}}' },
  });

  await stage().kubectl(namespace, ['apply', '-f', '-'], manifest);
  const { status } = await stage().workspaceWhen(
    { namespace, name },
    'looks for its data',
    (one) => one.status.step?.cause === 'DatasetUnavailable',
  );

  expect(status.step).toMatchObject({ name: 'Data', remedy: anyText, nextTryTime: anyText });
  expect(status.message).toContain('hub.invalid');
  expect(status.conditions).toContainEqual(expect.objectContaining({ type: 'Planned', status: 'True' }));
  expect(stage().view.remains(namespace)).toEqual([]);
});

it.each(['v1alpha1', 'v1beta1'])('serves and shows a Workspace in %s', async (version) => {
  const namespace = await stage().namespace();
  const manifest = (await example('phi-3-inference.yaml')).replace('kaito.sh/v1alpha1', `kaito.sh/${version}`);

  await stage().kubectl(namespace, ['apply', '-f', '-'], manifest);
  await stage().ready({ namespace, name: 'workspace-phi-3-mini' });

  const shown = await stage().kubectl(namespace, ['get', `workspaces.${version}.kaito.sh`, '-o', 'json']);
  expect(JSON.parse(shown)).toMatchObject({
    items: [
      {
        apiVersion: `kaito.sh/${version}`,
        inference: { preset: { name: 'phi-3-mini-4k-instruct' } },
        status: { state: 'Ready' },
      },
    ],
  });
});

it('serves pods of the user’s own from inference.template', async () => {
  const namespace = await stage().namespace();
  const manifest = {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { name: 'custom' },
    resource: { instanceType: 'Standard_NC24ads_A100_v4', labelSelector: { matchLabels: { apps: 'custom' } } },
    inference: {
      template: { spec: { containers: [{ name: 'server', image: 'example.com/server:1', command: ['run'] }] } },
    },
  };

  await stage().kubectl(namespace, ['apply', '-f', '-'], JSON.stringify(manifest));
  const workspace = await stage().ready({ namespace, name: 'custom' });

  expect(isReady(workspace)).toBe(true);
  expect(stage().view.pod(namespace, 'custom-0')?.spec).toMatchObject({
    nodeName: workspace.status.workerNodes?.[0],
    containers: [{ name: 'server', image: 'example.com/server:1', command: ['run'] }],
  });
});
