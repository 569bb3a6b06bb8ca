import { RESOURCES } from '../../kubernetes/resources';
import { anyText, condition, inference, useStage } from './support';

/** What a Workspace refers to: missing at first, wrong at first, there at last. */
const stage = useStage('references');

const CONFIG_KEY = 'inference_config.yaml';

it('waits for a missing ConfigMap, says so, and goes on by itself', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'phi' };

  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi', { inference: { config: 'options' } }));
  const waiting = await stage().failing(ref, 'MissingReference');

  const planned = condition(waiting, 'Planned');
  expect(planned).toMatchObject({ status: 'False', reason: 'MissingReference' });
  expect(planned?.message).toContain(`ConfigMap 'options' specified in 'config' not found in namespace '${namespace}'`);
  expect(planned?.message).toContain('Create the object that the message names; the Workspace goes on by itself.');
  expect(waiting.status.step).toMatchObject({ name: 'Plan', nextTryTime: anyText });
  await stage().until('an Event tells it', () =>
    stage()
      .view.events(namespace)
      .some(
        ({ type, reason, message }) =>
          type === 'Warning' && reason === 'MissingReference' && message?.includes("ConfigMap 'options'"),
      ),
  );
  expect(stage().view.remains(namespace)).toEqual([]);

  await stage().create(RESOURCES.configMaps, {
    metadata: { namespace, name: 'options' },
    data: { [CONFIG_KEY]: 'vllm:\n  max-model-len: 4096\n' },
  });
  const { status } = await stage().ready(ref);

  expect(status.step?.cause).toBeUndefined();
  expect(stage().view.statefulSet(namespace, 'phi')?.spec.template.spec.containers[0]?.args).toContain(
    '--max-model-len=4096',
  );
});

it('waits for a missing Secret, then for its key, and goes on by itself', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'phi' };
  const preset = { name: 'phi-4-mini-instruct', presetOptions: { modelAccessSecret: 'hub' } };

  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi', { inference: { preset } }));
  await stage().workspaceWhen(
    ref,
    'misses the Secret',
    ({ status }) => status.step?.message?.includes(`Secret 'hub' not found in namespace '${namespace}'`) === true,
  );
  await stage().create(RESOURCES.secrets, { metadata: { namespace, name: 'hub' }, stringData: { token: 'x' } });
  const waiting = await stage().workspaceWhen(
    ref,
    'misses the key',
    ({ status }) => status.step?.message?.includes('has no key HF_TOKEN') === true,
  );

  expect(waiting.status.step).toMatchObject({
    cause: 'MissingReference',
    remedy: 'Put the Hugging Face token under the key HF_TOKEN.',
  });
  const token = 'hf_neverShownAnywhere';
  await stage().client.patch(RESOURCES.secrets, { namespace, name: 'hub' }, { stringData: { HF_TOKEN: token } });
  await stage().ready(ref);

  const history = await stage().history(ref);
  expect(history).toContain('has no key HF_TOKEN');
  expect(history).not.toContain(token);
  expect(JSON.stringify(stage().view.statefulSet(namespace, 'phi'))).not.toContain(token);
});

it('rejects a ConfigMap that can’t be read, naming the key, and goes on once it is right', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'phi' };
  await stage().create(RESOURCES.configMaps, {
    metadata: { namespace, name: 'options' },
    data: { [CONFIG_KEY]: 'vllm:\n  "--max-model-len": 4096\n' },
  });

  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi', { inference: { config: 'options' } }));
  const failed = await stage().workspaceWhen(ref, 'is Failed', ({ status }) => status.state === 'Failed');

  expect(failed.status.step).toMatchObject({ name: 'Failed', cause: 'InvalidInput' });
  expect(failed.status.step?.message).toContain('vllm.--max-model-len is no option name');
  expect(condition(failed, 'WorkspaceSucceeded')).toMatchObject({ status: 'False', reason: 'workspaceFailed' });
  expect(stage().view.remains(namespace)).toEqual([]);

  await stage().client.patch(
    RESOURCES.configMaps,
    { namespace, name: 'options' },
    { data: { [CONFIG_KEY]: 'vllm:\n  max-model-len: 4096\n' } },
  );
  await stage().ready(ref);
});

it('says which model the hub would have to describe, tries again, and can be deleted meanwhile', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'custom' };
  const preset = { name: 'some-organisation/some-model' };

  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'custom', { inference: { preset } }));
  const waiting = await stage().failing(ref, 'HubUnavailable');

  expect(waiting.status.step?.message).toContain('some-organisation/some-model is not in the catalogue');
  expect(waiting.status.step?.remedy).toBe(
    'Give the cluster access to the Hugging Face hub, or use a preset of the catalogue.',
  );
  await stage().workspaceWhen(ref, 'was tried again', ({ status }) => (status.step?.attempt ?? 0) >= 2);
  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until('it is gone', () => stage().view.workspace(namespace, 'custom') === undefined);
});
