import type { Server } from 'node:net';
import { RESOURCES } from '../../kubernetes/resources';
import { FakeKubelet, listening } from '../fakes/kubelet/fake-kubelet';
import { FakeModelServer } from '../fakes/model-server';
import { json, kaito } from './cli-support';
import { inference, useStage } from './support';
import { end, provision, pushSecret, runningPod, STORAGE_CLASS, tuning } from './tuning-support';

/** Logs and chat: through the real API server to a kubelet and a model server that the tests play. */
const stage = useStage('cli-pods', { KAITO_TUNING_STORAGE_CLASS: STORAGE_CLASS });

const kubelet = new FakeKubelet();
const model = new FakeModelServer();
let modelServer: Server;
let namespace: string;

beforeAll(async () => {
  await kubelet.start();
  const { server, port } = await listening(model.handle);
  modelServer = server;
  kubelet.listen(5000, port);
  namespace = await stage().namespace();
  await createNode(namespace);
  await stage().client.create(
    RESOURCES.workspaces,
    inference(namespace, 'phi', {
      resource: { instanceType: undefined, labelSelector: { matchLabels: { owner: namespace } } },
    }),
  );
  await stage().ready({ namespace, name: 'phi' });
});

afterAll(async () => {
  modelServer.close();
  await kubelet.stop();
});

/** A node with a GPU, whose kubelet is ours. */
async function createNode(name: string): Promise<void> {
  const amounts = { cpu: '32', memory: '256Gi', pods: '110', 'nvidia.com/gpu': '1' };
  stage().defer(() => stage().client.delete(RESOURCES.nodes, { name }));
  await stage().create(RESOURCES.nodes, {
    metadata: {
      name,
      annotations: { 'kwok.x-k8s.io/node': 'fake' },
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'nvidia.com/gpu.product': 'NVIDIA-A100-80GB-PCIe',
        'nvidia.com/gpu.count': '1',
        'nvidia.com/gpu.memory': '81920',
        owner: name,
      },
    },
    status: {
      capacity: amounts,
      allocatable: amounts,
      addresses: [
        { type: 'Hostname', address: '127.0.0.1' },
        { type: 'InternalIP', address: '127.0.0.1' },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: kubelet.port } },
    },
  });
}

describe('chat', () => {
  it('asks the model, or an adapter, and prints the answer as it comes', async () => {
    const pieces: string[] = [];
    const ran = await kaito(
      namespace,
      ['chat', 'phi', 'What is Temporal?', '--system', 'Be short.', '--max-tokens', '20', '--temperature', '0'],
      { onOut: (text) => pieces.push(text) },
    );
    expect(ran).toEqual({ code: 0, out: 'Durable work ends.\n', err: '' });
    expect(pieces).toEqual(['Durable ', 'work ', 'ends.', '\n']);
    expect(model.requests.at(-1)).toMatchObject({
      path: '/v1/chat/completions',
      body: {
        model: 'phi-4-mini-instruct',
        stream: true,
        max_tokens: 20,
        temperature: 0,
        messages: [
          { role: 'system', content: 'Be short.' },
          { role: 'user', content: 'What is Temporal?' },
        ],
      },
    });

    const adapter = await kaito(namespace, ['chat', 'phi', '-', '--model', 'support', '-o', 'json'], {
      files: { '-': 'From a file?' },
    });
    expect(json(adapter)).toEqual({
      model: 'support',
      pod: 'phi-0',
      answer: 'Durable work ends.',
      finishReason: 'stop',
      usage: { promptTokens: 7, completionTokens: 3 },
    });
  });

  it('says what the server refuses, what it does not serve, and an answer that breaks off', async () => {
    expect(await kaito(namespace, ['chat', 'phi', 'Hello?', '--max-tokens', '5000'])).toEqual({
      code: 1,
      out: '',
      err: 'error: the model server refuses: max_tokens is too large: 5000\n',
    });
    expect(await kaito(namespace, ['chat', 'phi', 'Hello?', '--model', 'none'])).toEqual({
      code: 3,
      out: '',
      err: 'error: --model none: the server serves phi-4-mini-instruct, support\n',
    });
    const nobody = await kaito(namespace, ['chat', 'phi', 'Hello?', '--port', '5001']);
    expect(nobody).toMatchObject({ code: 4, out: '' });
    expect(nobody.err).toContain("port 5001 of pod 'phi-0': nobody listens on port 5001");

    model.breaksOff = true;
    const broken = await kaito(namespace, ['chat', 'phi', 'Hello?']);
    model.breaksOff = false;
    expect(broken).toMatchObject({ code: 1, out: 'Durable work ends.' });
    expect(broken.err).toContain('the answer broke off before its end');
  });
});

describe('logs', () => {
  it('prints what the model server wrote, with what was asked for', async () => {
    kubelet.log('phi-0', 'phi', 'loading\n\nready\n');

    expect(await kaito(namespace, ['logs', 'phi'])).toEqual({ code: 0, out: 'loading\n\nready\n', err: '' });

    await kaito(namespace, ['logs', 'phi', '--previous', '--tail', '5', '--since', '10m', '--timestamps']);
    const { query } = kubelet.logRequests.at(-1) ?? {};
    expect(Object.fromEntries(query ?? [])).toMatchObject({
      previous: 'true',
      tailLines: '5',
      sinceSeconds: '600',
      timestamps: 'true',
    });
  });

  it('follows until it is interrupted', async () => {
    const interrupted = new AbortController();
    kubelet.log('phi-0', 'phi', (response, query) => {
      expect(query.get('follow')).toBe('true');
      response.write('first\n');
    });

    const ran = await kaito(namespace, ['logs', 'phi', '-f'], {
      signal: interrupted.signal,
      onOut: () => interrupted.abort(new Error('SIGINT')),
    });

    expect(ran).toEqual({ code: 130, out: 'first\n', err: '' });
  });

  it('follows the pod that comes after another', async () => {
    const interrupted = new AbortController();
    const lines = ['before', 'after'];
    kubelet.log('phi-0', 'phi', (response) => response.write(`${lines.shift() ?? 'once more'}\n`));
    let out = '';
    let deleted: Promise<unknown> | undefined;

    const ran = await kaito(namespace, ['logs', 'phi', '-f'], {
      signal: interrupted.signal,
      onOut(text) {
        out += text;
        if (out === 'before\n') deleted = stage().client.delete(RESOURCES.pods, { namespace, name: 'phi-0' });
        else interrupted.abort(new Error('SIGINT'));
      },
    });

    await deleted;
    expect(ran).toMatchObject({ code: 130, out: 'before\nafter\n' });
    expect(ran.err).toContain('note: pod phi-0 has appeared\n');
    await stage().ready({ namespace, name: 'phi' });
  });

  it('finds the training’s pod, and the push’s when that is at work', async () => {
    await pushSecret(stage(), namespace);
    await stage().create(RESOURCES.workspaces, {
      ...tuning(namespace, 'tune'),
      resource: { labelSelector: { matchLabels: { owner: namespace } } },
    });
    // The GPU is the model server's: the training's pod waits, and its log with it.
    await stage().client.delete(RESOURCES.workspaces, { namespace, name: 'phi' });
    await provision(stage(), namespace, 'tune-results');
    const training = await runningPod(stage(), namespace, 'tune');
    kubelet.log(training.metadata.name, 'tune', 'step 1 of 10\n');
    expect(await kaito(namespace, ['logs', 'tune'])).toMatchObject({ code: 0, out: 'step 1 of 10\n' });

    await end(stage(), training, 0, { steps: 10, loss: 2.125, dataDigest: `sha256:${'0'.repeat(64)}` });
    const push = await runningPod(stage(), namespace, 'tune-push');
    await stage().workspaceWhen({ namespace, name: 'tune' }, 'pushes', ({ status }) => status.step?.name === 'Push');
    kubelet.log(push.metadata.name, 'push', 'pushing\n');
    expect(await kaito(namespace, ['logs', 'tune'])).toMatchObject({ code: 0, out: 'pushing\n' });
    expect(await kaito(namespace, ['logs', 'tune', '--part', 'training'])).toMatchObject({ out: 'step 1 of 10\n' });
    expect(await kaito(namespace, ['chat', 'tune', 'Hello?'])).toMatchObject({ code: 2 });
  });
});
