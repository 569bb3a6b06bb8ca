import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import type { Workspace } from '../../api/workspace';
import { startComponent, stopComponent } from '../../local/environment';
import { pushFolder, pushImage } from '../../local/images';
import { getPrograms } from '../../local/programs';
import { provideTinyModel, TINY } from '../../local/real/tiny-model';
import { RESOURCES } from '../../kubernetes/resources';
import { useRealStage } from './stage';

/**
 * Models that really run: served, tuned, pushed, and served with what was tuned. One story in its order, as a user would live it, because each
 * start of a model takes a minute on the processor.
 */

const exec = promisify(execFile);
// The catalogue is read when the first Workspace is planned.
process.env.KAITO_PRESETS_DIR = path.join(tmpdir(), `kaito-test-presets-${process.pid}`);
const real = useRealStage('models', ({ registry }) => ({
  KAITO_INSECURE_REGISTRIES: registry.host,
  KAITO_RETRY_MOST: '5s',
}));

const PULL = 'pull';
const CLIENT = 'client-of-models';
const PROMPT = 'the user asks what a workspace is';
let namespace: string;
/** Repository of the local registry, as references name it. */
let host: string;
let weightsImage: string;

beforeAll(async () => {
  const { stage, environment, images } = real();
  const { registry } = environment.realNode;
  host = registry.host;
  namespace = await stage.namespace();
  const model = await provideTinyModel(environment, images, say);
  weightsImage = model.image;
  await mkdir(process.env.KAITO_PRESETS_DIR ?? '', { recursive: true });
  await exec('cp', ['-r', `${model.presets}/.`, process.env.KAITO_PRESETS_DIR ?? '']);
  stage.defer(() => rm(process.env.KAITO_PRESETS_DIR ?? '', { recursive: true, force: true }));
  await secret(PULL, registry.credentials.password);
  await stage.create(RESOURCES.configMaps, {
    metadata: { namespace, name: 'on-the-processor' },
    data: {
      'inference_config.yaml':
        'vllm:\n  dtype: float32\n  enforce-eager: true\n  max-model-len: 256\n  kv-cache-memory-bytes: 67108864\n',
    },
  });
  await stage.create(RESOURCES.configMaps, { metadata: { namespace, name: 'short' }, data: trainingConfig(6) });
  await stage.create(RESOURCES.configMaps, { metadata: { namespace, name: 'long' }, data: trainingConfig(400) });
  const rows = Array.from({ length: 64 }, (_, i) => ({
    messages: [
      { role: 'user', content: `what is number ${i}?` },
      { role: 'assistant', content: `number ${i} comes up, stays up and costs nothing when gone` },
    ],
  }));
  await dataset('chat', rows);
  await dataset('useless', [{ colour: 'red', weight: 3 }]);
}, 600_000);

const say = (line: string) => process.stderr.write(`${line}\n`);

function trainingConfig(steps: number) {
  const config = [
    'training_config:',
    '  ModelConfig:',
    '    torch_dtype: float32',
    '  LoraConfig:',
    '    r: 8',
    '    lora_alpha: 16',
    '    target_modules: [q_proj, k_proj, v_proj, o_proj]',
    '  TrainingArguments:',
    `    max_steps: ${steps}`,
    '    save_strategy: steps',
    '    save_steps: 2',
    '    logging_steps: 1',
    '    learning_rate: 0.02',
    '    max_length: 64',
    '    per_device_train_batch_size: 2',
  ];
  return { 'training_config.yaml': `${config.join('\n')}\n` };
}

async function secret(name: string, password: string): Promise<void> {
  const { username } = real().environment.realNode.registry.credentials;
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const config = JSON.stringify({ auths: { [host]: { auth } } });
  await real().stage.kubectl(
    namespace,
    ['apply', '-f', '-'],
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': Buffer.from(config).toString('base64') },
    }),
  );
}

async function dataset(name: string, rows: readonly object[]): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kaito-test-data-'));
  await writeFile(path.join(folder, 'train.jsonl'), `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`);
  const registry = real().environment.realNode.registry;
  await pushFolder({ folder, pathInImage: '/data', name: `data/${name}:1`, registry }, say);
  await rm(folder, { recursive: true });
}

const resource = { labelSelector: { matchLabels: { 'kaito.sh/real': 'true' } } };
const preset = { name: TINY.preset, presetOptions: { imagePullSecrets: [PULL] } };

async function apply(...workspaces: readonly object[]): Promise<void> {
  const documents = workspaces.map((one) =>
    JSON.stringify({ apiVersion: 'kaito.sh/v1beta1', kind: 'Workspace', ...one }),
  );
  await real().stage.kubectl(namespace, ['apply', '-f', '-'], documents.join('\n---\n'));
}

function tuning(name: string, over: object = {}) {
  return {
    metadata: { name },
    resource,
    tuning: {
      preset,
      method: 'lora',
      config: 'short',
      input: { image: `${host}/data/chat:1`, imagePullSecrets: [PULL] },
      output: { image: `${host}/adapters/${name}:1`, imagePushSecret: PULL },
      ...over,
    },
  };
}

type Told = Workspace & { readonly status: NonNullable<Workspace['status']> };
const MINUTES = 60_000;

async function when(
  name: string,
  what: string,
  holds: (workspace: Told) => boolean,
  patienceMs = 4 * MINUTES,
): Promise<Told> {
  const { stage } = real();
  return stage.until(
    `${name} ${what}`,
    () => {
      const workspace = stage.view.workspace(namespace, name);
      if (workspace?.status === undefined) return undefined;
      const told = { ...workspace, status: workspace.status };
      return holds(told) ? told : undefined;
    },
    patienceMs,
  );
}

const isReady = ({ status, metadata }: Told) =>
  status.step?.name === 'Ready' && status.observedGeneration === metadata.generation;
const isSucceeded = ({ status }: Told) => status.state === 'Succeeded';
const fails = (cause: string) => (one: Told) => one.status.step?.cause === cause;

async function gone(...names: readonly string[]): Promise<void> {
  await real().stage.kubectl(namespace, ['delete', 'workspace', ...names, '--timeout=120s']);
}

/** Asks from another pod, as an application would. */
async function ask(route: string, body: object): Promise<unknown> {
  const { stage } = real();
  const address = stage.view.service(namespace, 'tiny')?.spec.clusterIP;
  const json = ['-H', 'Content-Type: application/json', '-d', JSON.stringify(body)];
  const curl = [
    'curl',
    '--silent',
    '--show-error',
    '--retry',
    '10',
    '--retry-connrefused',
    '--max-time',
    '60',
    '-X',
    'POST',
    `http://${address}${route}`,
    ...json,
  ];
  return JSON.parse(await stage.kubectl('default', ['exec', CLIENT, '--', ...curl])) as unknown;
}

interface Logprobs {
  readonly choices: readonly [
    { readonly logprobs: { readonly top_logprobs: readonly [Readonly<Record<string, number>>] } },
  ];
}

/** Log-probabilities of the likeliest next tokens, by their numbers. */
async function logprobs(model: string): Promise<Readonly<Record<string, number>>> {
  const answer = await ask('/v1/completions', {
    model,
    prompt: PROMPT,
    max_tokens: 1,
    temperature: 0,
    logprobs: 5,
    return_tokens_as_token_ids: true,
  });
  return (answer as Logprobs).choices[0].logprobs.top_logprobs[0];
}

it('serves: a Workspace becomes Ready and answers other pods', async () => {
  const { stage, images } = real();
  const serving = { preset, config: 'on-the-processor' };
  await apply({ metadata: { name: 'tiny' }, resource, inference: serving });
  const client = { name: 'it', image: images.tools.name, command: ['sleep', 'infinity'] };
  await stage.kubectl(
    'default',
    ['apply', '-f', '-'],
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: CLIENT },
      spec: {
        nodeSelector: resource.labelSelector.matchLabels,
        terminationGracePeriodSeconds: 0,
        containers: [client],
      },
    }),
  );
  await when('tiny', 'is Ready', isReady);
  await stage.kubectl('default', ['wait', '--for=condition=Ready', `pod/${CLIENT}`, '--timeout=60s']);
  stage.defer(() => stage.kubectl('default', ['delete', 'pod', CLIENT, '--now']));

  expect(await ask('/chat', { prompt: PROMPT })).toEqual({ Result: expect.stringContaining(PROMPT) as unknown });
  expect(await ask('/chat', {})).toEqual({ detail: 'Text generation parameter prompt required' });
  expect(
    await ask('/v1/chat/completions', {
      model: TINY.servedName,
      messages: [{ role: 'user', content: PROMPT }],
      max_tokens: 8,
    }),
  ).toMatchObject({ choices: [{ message: { role: 'assistant' } }] });
});

it('tunes by qlora, tells a wrong push Secret, and pushes with the right one without training again', async () => {
  const { stage } = real();
  await secret('push', 'wrong');
  await apply(
    tuning('quantized', {
      method: 'qlora',
      output: { image: `${host}/adapters/quantized:1`, imagePushSecret: 'push' },
    }),
  );
  const refused = await when('quantized', 'is refused', fails('RegistryDenied'));
  expect(refused.status).toMatchObject({ state: 'Running', step: { name: 'Push' } });
  expect(refused.status.message).toContain(`${host} lets none of these push to adapters/quantized`);
  const job = stage.view.job(namespace, 'quantized')?.metadata.uid;

  await secret('push', real().environment.realNode.registry.credentials.password);
  const { status } = await when('quantized', 'is Succeeded', isSucceeded);

  expect(stage.view.job(namespace, 'quantized')?.metadata.uid).toBe(job);
  expect(status.tuning?.progress).toMatchObject({ step: 6, steps: 6 });
  expect(await crane('digest', `${host}/adapters/quantized:1`)).toBe(status.tuning?.digest);
  const files = await exec(
    'sh',
    ['-c', `"$0" export --insecure "$1" - | tar -t`, ...(await craneWith(`${host}/adapters/quantized:1`))],
    craneOptions(),
  );
  expect(files.stdout).toContain('data/adapter_config.json\n');
  expect(files.stdout).toContain('data/adapter_model.safetensors\n');
});

it('tunes by lora while the registry is down at its end, and pushes when it is up again', async () => {
  const { stage, environment } = real();
  await apply(
    tuning('plain'),
    // Together with what serves it: applied at once, it waits.
    {
      metadata: { name: 'tiny' },
      resource,
      inference: {
        preset,
        config: 'on-the-processor',
        adapters: [
          { source: { name: 'full', workspace: 'plain' }, strength: '1.0' },
          { source: { name: 'half', workspace: 'plain' }, strength: '0.5' },
        ],
      },
    },
  );
  await when('plain', 'trains', ({ status }) => status.step?.name === 'Training');
  await stopComponent(environment.dir, 'registry', 'SIGKILL');
  const waiting = await when('plain', 'waits for the registry', fails('RegistryUnavailable'));
  expect(waiting.status.step?.name).toBe('Push');
  const job = stage.view.job(namespace, 'plain')?.metadata.uid;
  await startComponent(environment.dir, 'registry');

  const { status } = await when('plain', 'is Succeeded', isSucceeded);
  expect(stage.view.job(namespace, 'plain')?.metadata.uid).toBe(job);
  expect(status.tuning).toMatchObject({
    image: `${host}/adapters/plain:1`,
    digest: expect.stringMatching(/^sha256:/) as unknown,
  });
});

it('serves the adapter at two strengths, which change its answers as they should', async () => {
  const { status } = await when(
    'tiny',
    'serves the adapters',
    (one) => isReady(one) && one.status.adapters?.length === 2,
  );
  expect(status.adapters?.map(({ name }) => name)).toEqual(['full', 'half']);

  const expected = await expectedLogprobs();
  for (const [model, strength] of [
    [TINY.servedName, '0'],
    ['half', '0.5'],
    ['full', '1'],
  ] as const) {
    const seen = await logprobs(model);
    for (const [token, logprob] of Object.entries(seen)) {
      const off = Math.abs((expected[strength]?.[token] ?? NaN) - logprob);
      expect({ model, token, isNear: off < 0.01 }).toEqual({ model, token, isNear: true });
    }
  }
  // The adapter does something, and half of it does something else.
  const best = Object.keys(expected['0'] ?? {})[0] ?? '';
  const values = ['0', '0.5', '1'].map((strength) => expected[strength]?.[best]?.toFixed(2));
  expect(new Set(values).size).toBe(3);
}, 600_000);

it('goes on from its checkpoint when the trainer is lost', async () => {
  const { stage } = real();
  await apply(tuning('lost', { config: 'long' }));
  const trained = await when(
    'lost',
    'has a checkpoint',
    ({ status }) => (status.tuning?.progress?.checkpoint ?? 0) >= 10,
  );
  const { step = 0, steps } = trained.status.tuning?.progress ?? {};
  expect(steps).toBe(400);
  const pod = stage.view.jobPod(namespace, 'lost');
  await stage.kubectl(namespace, ['delete', 'pod', pod?.metadata.name ?? '', '--force', '--grace-period=0']);
  const next = await stage.until(
    'another pod trains',
    () => {
      const other = stage.view.jobPod(namespace, 'lost');
      return other !== undefined && other.metadata.uid !== pod?.metadata.uid && other;
    },
    2 * MINUTES,
  );
  await when('lost', 'is Succeeded', isSucceeded);

  const ended = stage.view.pod(namespace, next.metadata.name)?.status?.containerStatuses?.[0]?.state?.terminated;
  const result = JSON.parse(ended?.message ?? '{}') as { readonly resumedFrom?: number; readonly steps?: number };
  expect(result.steps).toBe(400);
  expect(result.resumedFrom).toBeGreaterThanOrEqual(Math.min(10, step));
});

it('names what is wrong with data and parameters', async () => {
  const { stage } = real();
  const wrong = { 'training_config.yaml': 'training_config:\n  LoraConfig:\n    rank: 8\n' };
  await stage.create(RESOURCES.configMaps, { metadata: { namespace, name: 'wrong' }, data: wrong });
  await apply(
    tuning('no-address', { input: { urls: ['https://data.invalid/train.jsonl'] } }),
    tuning('no-columns', { input: { image: `${host}/data/useless:1`, imagePullSecrets: [PULL] } }),
    tuning('no-key', { config: 'wrong' }),
  );

  const address = await when('no-address', 'fails', fails('DatasetUnavailable'));
  expect(address.status.message).toContain('data.invalid');
  const key = await when('no-key', 'fails', fails('InvalidInput'));
  expect(key.status.message).toContain('LoraConfig.rank');
  const columns = await when('no-columns', 'fails', fails('InvalidInput'));
  expect(columns.status.message).toContain('colour');
  expect(columns.status.message).toContain('weight');
  await gone('no-address', 'no-columns', 'no-key');
});

it('runs the user’s own image', async () => {
  const { stage, environment, images } = real();
  const image = await pushImage(images.tools, environment.realNode.registry, say);
  await apply({
    metadata: { name: 'own' },
    resource,
    inference: {
      template: {
        spec: {
          imagePullSecrets: [{ name: PULL }],
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'server',
              image,
              command: ['python3', '-m', 'http.server', '5000'],
              workingDir: '/tmp',
              readinessProbe: { httpGet: { path: '/', port: 5000 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  });
  await when('own', 'is Ready', isReady);

  const address = stage.view.service(namespace, 'own')?.spec.clusterIP;
  // A Service that is new refuses until kube-proxy has heard of its pods.
  const curl = ['curl', '--silent', '--fail', '--retry', '10', '--retry-connrefused', `http://${address}/`];
  const page = await stage.kubectl('default', ['exec', CLIENT, '--', ...curl]);
  expect(page).toContain('Directory listing');
  await gone('own');
});

/** What PEFT computes for the strengths, with the very images that the server has. */
async function expectedLogprobs(): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>> {
  const program = `
import json, sys, torch
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
weights, adapter, prompt = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(weights)
inputs = tokenizer(prompt, return_tensors="pt")
told = {}
for strength in ("0", "0.5", "1"):
    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32)
    if strength != "0":
        config = LoraConfig.from_pretrained(adapter)
        config.lora_alpha = config.lora_alpha * float(strength)
        model = PeftModel.from_pretrained(model, adapter, config=config)
    with torch.no_grad():
        logprobs = torch.log_softmax(model(**inputs).logits[0, -1], dim=-1)
    best = logprobs.argsort(descending=True)[:50]
    told[strength] = {f'token_id:{i}': round(logprobs[i].item(), 6) for i in best.tolist()}
print(json.dumps(told))
`;
  const { stage, images } = real();
  const [full] = stage.view.workspace(namespace, 'tiny')?.status?.adapters ?? [];
  const folders = { weights: '/workspace/weights', adapter: '/mnt/adapter' };
  const volume = (name: string, reference: string) => ({ name, image: { reference, pullPolicy: 'IfNotPresent' } });
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'expected' },
    spec: {
      nodeSelector: resource.labelSelector.matchLabels,
      restartPolicy: 'Never',
      imagePullSecrets: [{ name: PULL }],
      volumes: [volume('weights', weightsImage), volume('adapter', full?.image ?? '')],
      containers: [
        {
          name: 'it',
          image: images.runtime.name,
          command: ['python3', '-c', program, folders.weights, folders.adapter, PROMPT],
          volumeMounts: [
            { name: 'weights', mountPath: folders.weights, subPath: 'workspace/tfs/weights', readOnly: true },
            { name: 'adapter', mountPath: folders.adapter, subPath: 'data', readOnly: true },
          ],
        },
      ],
    },
  };
  await stage.kubectl(namespace, ['apply', '-f', '-'], JSON.stringify(pod));
  await stage.kubectl(namespace, [
    'wait',
    '--for=jsonpath={.status.phase}=Succeeded',
    'pod/expected',
    '--timeout=120s',
  ]);
  const output = await stage.kubectl(namespace, ['logs', 'expected']);
  await stage.kubectl(namespace, ['delete', 'pod', 'expected', '--now']);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Readonly<
    Record<string, Readonly<Record<string, number>>>
  >;
}

/** crane with the registry's credentials. */
async function crane(...args: readonly [string, string]): Promise<string> {
  const [program = '', reference = ''] = await craneWith(args[1]);
  return (await exec(program, [args[0], '--insecure', reference], craneOptions())).stdout.trim();
}

let dockerConfig: string | undefined;

async function craneWith(reference: string): Promise<readonly string[]> {
  const { crane: program } = await getPrograms(['crane'], () => undefined);
  if (dockerConfig === undefined) {
    dockerConfig = await mkdtemp(path.join(tmpdir(), 'kaito-test-docker-'));
    const { username, password } = real().environment.realNode.registry.credentials;
    const auth = Buffer.from(`${username}:${password}`).toString('base64');
    await writeFile(path.join(dockerConfig, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
    real().stage.defer(() => rm(dockerConfig ?? '', { recursive: true }));
  }
  return [program.file, reference];
}

function craneOptions() {
  return { env: { ...process.env, DOCKER_CONFIG: dockerConfig } };
}
