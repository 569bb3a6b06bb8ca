import { RESOURCES } from '../../kubernetes/resources';
import { anyText, inference, textWith, useStage } from './support';
import {
  DIGEST,
  end,
  IMAGE,
  provision,
  push,
  pushSecret,
  runningPod,
  STORAGE_CLASS,
  train,
  tuning,
} from './tuning-support';

/** Tuning Workspaces from apply to the pushed adapter; the tests play what runs in the pods. */
const stage = useStage('tuning', { KAITO_TUNING_STORAGE_CLASS: STORAGE_CLASS });

async function begin(name: string, over: object = {}) {
  const namespace = await stage().namespace();
  await pushSecret(stage(), namespace);
  const workspace = await stage().create(RESOURCES.workspaces, tuning(namespace, name, over));
  return { namespace, name, workspace };
}

it('trains, pushes, says where the adapter is, and releases its machine', async () => {
  const { namespace, name } = await begin('tune');
  await train(stage(), namespace, name);
  const pushing = await stage().workspaceWhen(
    { namespace, name },
    'says how long its machine is kept for the push',
    ({ status: { step } }) => step?.name === 'Push' && step.deadlineTime !== undefined,
  );
  const { startedTime = '', deadlineTime = '' } = pushing.status.step ?? {};
  expect((Date.parse(deadlineTime) - Date.parse(startedTime)) / 60_000).toBeCloseTo(5, 0);
  await push(stage(), namespace, name);

  const { status } = await stage().workspaceWhen(
    { namespace, name },
    'is Succeeded',
    (one) => one.status.state === 'Succeeded',
  );
  expect(status.tuning).toMatchObject({
    image: IMAGE,
    digest: DIGEST,
    loss: '2.125',
    dataDigest: DIGEST,
    volume: 'tune-results',
    trainedTime: anyText,
    pushedTime: anyText,
  });
  expect(status.message).toBe(`the adapter is pushed to ${IMAGE}, digest ${DIGEST}; its machine is released`);
  expect(status.conditions?.map(({ type, status: holds, reason }) => [type, holds, reason])).toEqual([
    ['Planned', 'True', 'Planned'],
    ['NodeClaimReady', 'False', 'MachinesReleased'],
    ['NodesReady', 'False', 'MachinesReleased'],
    ['ResourceReady', 'False', 'MachinesReleased'],
    ['JobStarted', 'True', 'WorkspaceTuningJobStatusStarted'],
    ['WorkspaceSucceeded', 'True', 'workspaceSucceeded'],
  ]);
  expect(stage().view.nodeClaims(namespace)).toEqual([]);
  const told = ['Planned', 'JobApplied', 'Trained', 'Pushed', 'Succeeded'];
  await stage().until('Events tell its steps', () => {
    const reasons = stage()
      .view.events(namespace)
      .map(({ reason }) => reason);
    return told.every((reason) => reasons.includes(reason));
  });
});

it('keeps its machine when the annotation asks for it, and releases it when that is taken back', async () => {
  const limits = { activeDeadlineSeconds: 3_600 };
  const { namespace, name } = await begin('kept', { output: { volumeSource: { emptyDir: {} } }, ...limits });
  const pod = await runningPod(stage(), namespace, name);
  const workspace = await stage().workspaceWhen(
    { namespace, name },
    'trains, and says until when',
    ({ status: { state, step } }) => state === 'Running' && step?.deadlineTime !== undefined,
  );
  const begun = Date.parse(stage().view.job(namespace, name)?.status?.startTime ?? '');
  expect(Date.parse(workspace.status.step?.deadlineTime ?? '')).toBe(begun + 3_600_000);
  await stage().annotate(workspace, { 'kaito.sh/keep-machines': 'true' });
  await end(stage(), pod, 0, { steps: 10 });

  const done = await stage().workspaceWhen(
    { namespace, name },
    'is Succeeded',
    (one) => one.status.state === 'Succeeded',
  );
  expect(done.status.message).toBe(
    'the adapter is on the volume of tuning.output; its machines are kept, as the annotation kaito.sh/keep-machines asks',
  );
  expect(stage().view.nodeClaims(namespace)).toHaveLength(1);

  await stage().annotate(done, { 'kaito.sh/keep-machines': 'false' });
  await stage().until('its machine is released', () => stage().view.nodeClaims(namespace).length === 0);
  await stage().workspaceWhen({ namespace, name }, 'says so', ({ status }) => /released/.test(status.message ?? ''));
});

it('tries a refused push again, without training again', async () => {
  const { namespace, name } = await begin('refused');
  await train(stage(), namespace, name);
  const first = await runningPod(stage(), namespace, `${name}-push`);
  await end(stage(), first, 1, { cause: 'RegistryDenied', message: `${IMAGE}: 401 Unauthorized` });

  const { status } = await stage().failing({ namespace, name }, 'RegistryDenied');
  expect(status).toMatchObject({
    state: 'Running',
    message: `${IMAGE}: 401 Unauthorized`,
    step: { name: 'Push', remedy: textWith('imagePushSecret') },
  });
  const trained = stage().view.job(namespace, name)?.metadata.uid;
  await push(stage(), namespace, name);
  const done = await stage().workspaceWhen(
    { namespace, name },
    'is Succeeded',
    (one) => one.status.state === 'Succeeded',
  );

  expect(done.status.tuning?.digest).toBe(DIGEST);
  expect(stage().view.job(namespace, name)?.metadata.uid).toBe(trained);
});

it('fails with what the training says, releases the machine, and trains again when asked', async () => {
  const { namespace, name } = await begin('memory');
  await provision(stage(), namespace, `${name}-results`);
  const first = await runningPod(stage(), namespace, name);
  await end(stage(), first, 42, { cause: 'OutOfMemory', message: 'CUDA out of memory', remedy: 'Lower max_length.' });

  const failed = await stage().workspaceWhen({ namespace, name }, 'is Failed', ({ status }) =>
    /released/.test(status.message ?? ''),
  );
  expect(failed.status).toMatchObject({
    state: 'Failed',
    message: 'CUDA out of memory; its machine is released',
    step: { name: 'Failed', cause: 'OutOfMemory', remedy: 'Lower max_length.' },
  });
  expect(stage().view.nodeClaims(namespace)).toEqual([]);

  await stage().annotate(failed, { 'kaito.sh/retry': '1' });
  const second = await runningPod(stage(), namespace, name);
  expect(second.metadata.uid).not.toBe(first.metadata.uid);
  await end(stage(), second, 0, { steps: 10 });
  await push(stage(), namespace, name);
  await stage().workspaceWhen({ namespace, name }, 'is Succeeded', (one) => one.status.state === 'Succeeded');
});

it('serves the adapter of another Workspace, applied together, once that has pushed it', async () => {
  const { namespace, name } = await begin('first');
  const user = { namespace, name: 'second' };
  await stage().create(RESOURCES.workspaces, {
    ...inference(namespace, user.name, { inference: { adapters: [{ source: { name: 'mine', workspace: name } }] } }),
  });
  const waiting = await stage().failing(user, 'MissingReference');
  expect(waiting.status.message).toContain(`Workspace '${name}' has not pushed its adapter yet`);
  expect(
    stage()
      .view.nodeClaims(namespace)
      .filter(({ metadata }) => metadata.labels?.['kaito.sh/workspace'] === user.name),
  ).toEqual([]);

  await train(stage(), namespace, name);
  await push(stage(), namespace, name);
  const { status } = await stage().ready(user);

  const image = `registry.example.com/adapters/phi@${DIGEST}`;
  expect(status.adapters).toEqual([{ name: 'mine', image, imagePullSecrets: ['push'] }]);
  expect(JSON.stringify(stage().view.pod(namespace, 'second-0')?.spec.initContainers)).toContain(image);
});

it('is cancelled while it trains: the machine goes, the results stay, and a retry goes on with them', async () => {
  const { namespace, name } = await begin('cancelled');
  await provision(stage(), namespace, `${name}-results`);
  await runningPod(stage(), namespace, name);
  const claim = stage().view.claim(namespace, `${name}-results`)?.metadata.uid;
  await stage().workflow({ namespace, name }).cancel();
  const cancelled = await stage().workspaceWhen(
    { namespace, name },
    'is Cancelled',
    ({ status }) => status.step?.name === 'Cancelled',
  );

  expect(cancelled.status.state).toBe('Cancelled');
  expect(stage().view.nodeClaims(namespace)).toEqual([]);
  expect(stage().view.job(namespace, name)).toBeUndefined();

  await stage().annotate(cancelled, { 'kaito.sh/retry': '1' });
  const pod = await runningPod(stage(), namespace, name);
  expect(stage().view.claim(namespace, `${name}-results`)?.metadata.uid).toBe(claim);
  await end(stage(), pod, 0, { steps: 10 });
  await push(stage(), namespace, name);
  await stage().workspaceWhen({ namespace, name }, 'is Succeeded', (one) => one.status.state === 'Succeeded');
});

it('leaves nothing when it is deleted while it trains', async () => {
  const { namespace, name } = await begin('deleted');
  await provision(stage(), namespace, `${name}-results`);
  await runningPod(stage(), namespace, name);
  await stage().client.delete(RESOURCES.workspaces, { namespace, name });

  await stage().until(
    'nothing is left',
    () => stage().view.workspace(namespace, name) === undefined && stage().view.remains(namespace).length === 0,
  );
});

it('says that the push Secret is missing before anything is bought, and goes on with it', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'secretless' };
  await stage().create(RESOURCES.workspaces, tuning(namespace, ref.name));
  const { status } = await stage().failing(ref, 'MissingReference');

  expect(status.message).toBe(`tuning.output.imagePushSecret: Secret 'push' not found in namespace '${namespace}'`);
  expect(stage().view.nodeClaims(namespace)).toEqual([]);
  await pushSecret(stage(), namespace);
  await train(stage(), namespace, ref.name);
  await push(stage(), namespace, ref.name);
  await stage().workspaceWhen(ref, 'is Succeeded', (one) => one.status.state === 'Succeeded');
});

it('names the key of training_config.yaml that is wrong, and goes on when it is right', async () => {
  const namespace = await stage().namespace();
  await pushSecret(stage(), namespace);
  const ref = { namespace, name: 'configured' };
  const config = (text: string) => ({
    metadata: { namespace, name: 'parameters' },
    data: { 'training_config.yaml': text },
  });
  await stage().create(RESOURCES.configMaps, config('training_config:\n  TrainingArguments:\n    learning_rte: 0.1\n'));
  await stage().create(RESOURCES.workspaces, tuning(namespace, ref.name, { config: 'parameters' }));
  const { status } = await stage().failing(ref, 'InvalidInput');
  expect(status.message).toMatch(/TrainingArguments\.learning_rte.*learning_rate/);

  const right = config('training_config:\n  TrainingArguments:\n    learning_rate: 0.1\n');
  await stage().client.patch(RESOURCES.configMaps, right.metadata, { data: right.data });
  await train(stage(), namespace, ref.name);
  await push(stage(), namespace, ref.name);
  await stage().workspaceWhen(ref, 'is Succeeded', (one) => one.status.state === 'Succeeded');
});
