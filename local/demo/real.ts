/**
 * The demo with real containers: a model is served, tuned, pushed, and served with what was tuned. All of it through kubectl.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { styleText } from 'node:util';

import { stringify } from 'yaml';

import { PRODUCT_MANIFESTS } from '../defaults';
import { down, up, type Environment } from '../environment';
import { buildImages, pushFolder, type Images } from '../images';
import { provideImage } from '../node/images';
import { provideTinyModel, TINY } from '../real/tiny-model';
import type { Child } from './child';
import type { Cleanup } from './cleanup';
import { follow, isReady, isSucceeded } from './follow';
import { kubectlOf, type Kubectl } from './kubectl';
import { startProduct } from './product';
import { seconds } from './progress';
import { command, heading, indented, say, shown } from './words';

const SECRET = 'registry';
const PROMPT = 'what is a workspace?';
/** A start of the model takes about a minute on two cores, and a rollout two. */
const READY_WITHIN_MS = 600_000;

type WithNode = Environment & Required<Pick<Environment, 'realNode'>>;

export async function playReal(dir: string, cleanup: Cleanup, signal: AbortSignal): Promise<Child> {
  const startedAt = Date.now();
  say(
    styleText(
      'bold',
      'Real containers on this machine: a tiny model is served, tuned, pushed, and served with its adapter.',
    ),
  );
  say(
    'Nothing is simulated but the GPU: models run on the processor. The first time images are built, which takes minutes and some 15 GB of disk.',
  );

  say(heading('1. Images and environment'));
  const log = (line: string): void => say(`  ${line}`);
  const images = await buildImages(log);
  const environment = await up({
    dir,
    parts: { kubernetes: true, karpenter: true, temporal: 'memory', realNode: true },
    manifestFolders: PRODUCT_MANIFESTS,
    lifetime: 'owner',
    log,
    signal,
  });
  cleanup.push(() => down(dir, { keepLogs: true }));
  if (environment.realNode === undefined) throw new Error(`the environment in ${dir} has no real node`);
  const node: WithNode = { ...environment, realNode: environment.realNode };
  for (const image of [images.runtime, images.tools]) await provideImage(dir, image, image.name);
  const model = await provideTinyModel(node, images, log);
  await provideDataset(node, log);

  say(heading('2. Worker and bridge'));
  const product = await startProduct(environment, {
    signal,
    variables: { KAITO_PRESETS_DIR: model.presets, KAITO_INSECURE_REGISTRIES: node.realNode.registry.host },
  });
  cleanup.push(() => product.stop());
  say(`  at work; they log to ${shown(product.logFile)}`);

  await Promise.race([tell(node, images, signal), product.ended]);
  say(`\n  All of it took ${seconds(Date.now() - startedAt)}.`);
  say(`  In another terminal: source ${shown(environment.envFile)}; kubectl get workspace`);
  say(`  Temporal UI: ${environment.temporal?.uiUrl ?? ''}`);
  return product;
}

/** What a user does, and sees. */
async function tell(node: WithNode, images: Images, signal: AbortSignal): Promise<void> {
  const kubectl = kubectlOf(node);
  const folder = await mkdtemp(path.join(tmpdir(), 'kaito-demo-'));
  const apply = async (name: string, ...objects: readonly object[]): Promise<void> => {
    signal.throwIfAborted();
    const file = path.join(folder, name);
    await writeFile(file, objects.map((one) => stringify(one)).join('---\n'));
    say(`  ${command('kubectl', 'apply', '-f', name)}`);
    say(indented(await kubectl('apply', '-f', file)));
  };
  const until = (name: string, isDone: typeof isReady) =>
    follow(kubectl, node, { name, isDone, withinMs: READY_WITHIN_MS, signal });
  try {
    say(heading('3. A Workspace'));
    await apply('client.yaml', ...surroundings(node, images));
    await apply('tiny.yaml', inference([]));
    await until('tiny', isReady);
    await kubectl('wait', '--for=condition=Ready', 'pod/client', '--timeout=60s');
    await ask(kubectl, '/chat', { prompt: PROMPT, generate_kwargs: { max_new_tokens: 12, do_sample: false } });
    await ask(kubectl, '/v1/chat/completions', {
      model: TINY.servedName,
      messages: [{ role: 'user', content: PROMPT }],
      max_tokens: 12,
      temperature: 0,
    });

    say(heading('4. Tuned, pushed, and served: two documents, one kubectl apply'));
    await apply('tuned.yaml', tuning(node), inference(['1.0', '0.5']));
    const tuned = await until('tune', isSucceeded);
    say(`  ${command('kubectl', 'get', 'workspace', 'tune', '-o', "jsonpath='{.status.tuning}'")}`);
    say(indented(JSON.stringify(tuned.status?.tuning, undefined, 2)));
    await until('tiny', isReady);

    say(heading('5. The adapter at work'));
    for (const served of [TINY.servedName, 'half', 'full']) {
      await ask(kubectl, '/v1/completions', {
        model: served,
        prompt: PROMPT,
        max_tokens: 12,
        temperature: 0,
        logprobs: 1,
      });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Asks the model from another pod, and shows it. */
async function ask(kubectl: Kubectl, route: string, body: object): Promise<void> {
  const address = await kubectl('get', 'service', 'tiny', '-o', 'jsonpath={.spec.clusterIP}');
  const json = JSON.stringify(body);
  say(
    `  ${command('curl', '-X', 'POST', `http://$CLUSTERIP${route}`, '-d', `'${json}'`)}   (from pod client, CLUSTERIP=${address})`,
  );
  const curl = ['curl', '--silent', '--show-error', '--fail-with-body', '--max-time', '60', '-X', 'POST'];
  const options = ['-H', 'Content-Type: application/json', '-d', json];
  say(indented(await kubectl('exec', 'client', '--', ...curl, `http://${address}${route}`, ...options)));
}

function surroundings({ realNode }: WithNode, images: Images): readonly object[] {
  const { host, credentials } = realNode.registry;
  const auth = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
  return [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: SECRET },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [host]: { auth } } }) },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'on-the-processor' },
      data: {
        'inference_config.yaml': stringify({
          vllm: { dtype: 'float32', 'enforce-eager': true, 'max-model-len': 256, 'kv-cache-memory-bytes': 67_108_864 },
        }),
      },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'training' },
      data: {
        'training_config.yaml': stringify({
          training_config: {
            ModelConfig: { torch_dtype: 'float32' },
            LoraConfig: { r: 8, lora_alpha: 16 },
            TrainingArguments: { max_steps: 20, learning_rate: 0.01, max_length: 64, logging_steps: 1 },
          },
        }),
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'client' },
      spec: {
        nodeSelector: realNode.labels,
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'client', image: images.tools.name, command: ['sleep', 'infinity'] }],
      },
    },
  ];
}

const KIND = { apiVersion: 'kaito.sh/v1beta1', kind: 'Workspace' };
const RESOURCE = { labelSelector: { matchLabels: { 'kaito.sh/real': 'true' } } };
const PRESET = { name: TINY.preset, presetOptions: { imagePullSecrets: [SECRET] } };

function inference(strengths: readonly string[]): object {
  const adapters = strengths.map((strength) => ({
    source: { name: strength === '1.0' ? 'full' : 'half', workspace: 'tune' },
    strength,
  }));
  return {
    ...KIND,
    metadata: { name: 'tiny' },
    resource: RESOURCE,
    inference: { preset: PRESET, config: 'on-the-processor', ...(adapters.length > 0 && { adapters }) },
  };
}

function tuning({ realNode }: WithNode): object {
  const { host } = realNode.registry;
  return {
    ...KIND,
    metadata: { name: 'tune' },
    resource: RESOURCE,
    tuning: {
      preset: PRESET,
      method: 'qlora',
      config: 'training',
      input: { image: `${host}/data/demo:1`, imagePullSecrets: [SECRET] },
      output: { image: `${host}/adapters/demo:1`, imagePushSecret: SECRET },
    },
  };
}

async function provideDataset({ realNode }: WithNode, log: (line: string) => void): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kaito-demo-data-'));
  try {
    const rows = Array.from({ length: 64 }, () => ({
      prompt: PROMPT,
      completion: ' machines that come up, stay up and cost nothing when gone',
    }));
    await writeFile(path.join(folder, 'train.jsonl'), `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`);
    await pushFolder({ folder, pathInImage: '/data', name: 'data/demo:1', registry: realNode.registry }, log);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
