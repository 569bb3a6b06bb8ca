import { defineResource, RESOURCES } from '../../kubernetes/resources';
import { condition, inference, useStage } from './support';

/** What users of one namespace can do to those of another: nothing. */
const stage = useStage('tenants', { KAITO_NETWORK_POLICIES: 'true' });

const NETWORK_POLICIES = defineResource(RESOURCES.networkPolicies);
const CONFIG = { 'inference_config.yaml': 'vllm:\n  max-model-len: 4096\n' };

/** Two namespaces: of a team with something to take, and of one that tries. */
async function neighbours(): Promise<{ readonly theirs: string; readonly mine: string }> {
  return { theirs: await stage().namespace(), mine: await stage().namespace() };
}

it.each([
  ['a ConfigMap', { config: 'options' }, "ConfigMap 'options' specified in 'config' not found in namespace"],
  [
    'a Secret',
    { preset: { name: 'phi-4-mini-instruct', presetOptions: { modelAccessSecret: 'hub' } } },
    "Secret 'hub' not found in namespace",
  ],
  [
    'the adapter of a tuning Workspace',
    { adapters: [{ source: { name: 'theirs', workspace: 'tuned' } }] },
    "Workspace 'tuned' not found in namespace",
  ],
])('%s of another namespace is not found', async (_, refers, told) => {
  const { theirs, mine } = await neighbours();
  await stage().create(RESOURCES.configMaps, { metadata: { namespace: theirs, name: 'options' }, data: CONFIG });
  await stage().create(RESOURCES.secrets, {
    metadata: { namespace: theirs, name: 'hub' },
    stringData: { HF_TOKEN: 'hf_ofAnotherTeam' },
  });
  const tuned = {
    ...inference(theirs, 'tuned'),
    inference: undefined,
    tuning: {
      preset: { name: 'phi-4-mini-instruct' },
      method: 'lora',
      input: { image: 'registry.example/data:1' },
      output: { image: 'registry.example/adapter:1', imagePushSecret: 'push' },
    },
  };
  await stage().client.create(RESOURCES.workspaces, tuned);

  await stage().client.create(RESOURCES.workspaces, inference(mine, 'taker', { inference: refers }));
  const waiting = await stage().failing({ namespace: mine, name: 'taker' }, 'MissingReference');

  expect(waiting.status.message).toContain(`${told} '${mine}'`);
  expect(condition(waiting, 'Planned')?.status).toBe('False');
  expect(stage().view.remains(mine)).toEqual([]);
});

it.each([
  ['a Secret', { preset: { name: 'phi-4-mini-instruct', presetOptions: { modelAccessSecret: 'theirs/hub' } } }],
  ['a ConfigMap', { config: 'theirs/options' }],
  ['a Workspace', { adapters: [{ source: { name: 'a', workspace: 'theirs/tuned' } }] }],
])('%s can’t be named with its namespace', async (_, refers) => {
  const mine = await stage().namespace();
  const manifest = JSON.stringify(inference(mine, 'taker', { inference: refers }));
  expect(await stage().refusal(mine, manifest)).toContain('set the name of a');
});

it('takes no machine that another namespace bought, whatever its labels, and gives none away', async () => {
  const { theirs, mine } = await neighbours();
  const shared = { labelSelector: { matchLabels: { apps: `shared-${theirs}` } } };
  await stage().client.create(RESOURCES.workspaces, inference(theirs, 'buyer', { resource: shared }));
  const { status } = await stage().ready({ namespace: theirs, name: 'buyer' });
  const [node = ''] = status.workerNodes ?? [];
  expect(stage().view.node(node)?.metadata.labels).toMatchObject(shared.labelSelector.matchLabels);

  // As own nodes: by its labels, by its buyer's name, and by its own name.
  const selector = {
    matchLabels: {
      ...shared.labelSelector.matchLabels,
      'kaito.sh/workspace': 'buyer',
      'kaito.sh/workspacenamespace': theirs,
    },
  };
  const taking = { instanceType: undefined, labelSelector: selector, preferredNodes: [node] };
  await stage().client.create(RESOURCES.workspaces, inference(mine, 'taker', { resource: taking }));
  await stage().failing({ namespace: mine, name: 'taker' }, 'NoMatchingNodes');

  // By the labels that mark a bought machine: they are ours to set, and the buyer's are its own.
  await stage().client.create(
    RESOURCES.workspaces,
    inference(mine, 'marker', { resource: { labelSelector: selector } }),
  );
  await stage().ready({ namespace: mine, name: 'marker' });
  expect(stage().onlyClaim(mine).metadata.labels).toMatchObject({
    'kaito.sh/workspace': 'marker',
    'kaito.sh/workspacenamespace': mine,
  });
  expect(stage().onlyClaim(theirs).metadata.deletionTimestamp).toBeUndefined();

  await stage().client.delete(RESOURCES.workspaces, { namespace: mine, name: 'marker' });
  await stage().until('its own machine is gone', () => stage().view.nodeClaims(mine).length === 0);
  expect(stage().onlyClaim(theirs).metadata.deletionTimestamp).toBeUndefined();
});

it('has a NetworkPolicy for each Workspace, set right when edited, gone with it', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'phi' };
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  const workspace = await stage().ready(ref);
  const policy = () => stage().client.get(NETWORK_POLICIES, ref);

  const spec = { podSelector: { matchLabels: { 'kaito.sh/workspace': 'phi' } }, policyTypes: ['Ingress', 'Egress'] };
  expect(await policy()).toMatchObject({ spec });
  await stage().client.patch(NETWORK_POLICIES, ref, { spec: { policyTypes: ['Ingress'], egress: [] } });
  await stage().annotate(workspace, { 'kaito.sh/retry': 'now' });
  await stage().poll('it is as it was', async () => JSON.stringify(await policy()).includes('169.254.169.254/32'));

  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().poll('it is gone', async () => (await policy()) === undefined);
});
