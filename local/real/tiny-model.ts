/**
 * A model for the real node: a Llama of a few megabytes with random weights. It comes up and answers as any other, and says nothing sensible.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { ROOT } from '../defaults';
import type { Environment } from '../environment';
import { pushFolder, type Images } from '../images';
import type { Log } from '../programs/source';
import { paths } from '../state';

const exec = promisify(execFile);

/** Its name in the catalogue, and what clients ask for. */
export const TINY = { preset: 'kaito-local/tiny-llama', servedName: 'tiny-llama' } as const;

/** The model's shape, as presets/runtime/tests/tiny.py makes it. */
const FACTS = {
  id: TINY.preset,
  architectures: ['LlamaForCausalLM'],
  weightsGiB: 0.01,
  maxModelLen: 512,
  hiddenSize: 256,
  layers: 2,
  heads: 4,
  kvHeads: 4,
  headDim: 64,
  tuning: true,
} as const;

const POD = 'tiny-model';
const MADE_WITHIN = '180s';

type WithNode = Environment & Required<Pick<Environment, 'realNode'>>;

export interface TinyModel {
  /** Folder for KAITO_PRESETS_DIR. */
  readonly presets: string;
  /** Image with its weights, by digest. */
  readonly image: string;
}

/** Makes the model in a pod of the runtime image, pushes its weights to the environment's registry, and writes the catalogue entry that names them. */
export async function provideTinyModel(environment: WithNode, images: Images, log: Log): Promise<TinyModel> {
  const work = await mkdtemp(path.join(tmpdir(), 'kaito-tiny-'));
  try {
    const weights = path.join(work, 'weights');
    await makeWeights(environment, images, weights, log);
    const registry = environment.realNode.registry;
    const image = await pushFolder(
      { folder: weights, pathInImage: '/workspace/tfs/weights', name: 'weights/tiny-llama:1', registry },
      log,
    );
    const { presets } = paths(environment.dir);
    await mkdir(presets, { recursive: true });
    await writeFile(path.join(presets, 'tiny.json'), JSON.stringify([{ ...FACTS, image }], undefined, 2));
    return { presets, image };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The programs that make it are in the runtime image, and only there. */
async function makeWeights(environment: WithNode, images: Images, folder: string, log: Log): Promise<void> {
  log('making a tiny model');
  const script = await readFile(path.join(ROOT, 'presets', 'runtime', 'tests', 'tiny.py'), 'utf8');
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: POD },
    spec: {
      nodeSelector: environment.realNode.labels,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'make',
          image: images.runtime.name,
          command: [
            'python3',
            '-c',
            'import os,sys; exec(compile(os.environ["SCRIPT"], "tiny.py", "exec"))',
            '/tmp/model',
          ],
          env: [
            { name: 'SCRIPT', value: `${script}\nimport time\nopen("/tmp/made", "w").close()\ntime.sleep(3600)\n` },
          ],
          readinessProbe: { exec: { command: ['test', '-e', '/tmp/made'] }, periodSeconds: 1 },
        },
      ],
    },
  };
  const kubectl = kubectlOf(environment);
  try {
    await kubectl(['apply', '-f', '-'], JSON.stringify(pod));
    await kubectl(['wait', '--for=condition=Ready', `pod/${POD}`, `--timeout=${MADE_WITHIN}`]);
    await kubectl(['cp', `${POD}:/tmp/model`, folder]);
  } finally {
    await kubectl(['delete', 'pod', POD, '--ignore-not-found', '--now']);
  }
}

function kubectlOf(environment: Environment) {
  return async (args: readonly string[], stdin?: string): Promise<string> => {
    const running = exec(path.join(environment.bin, 'kubectl'), args, {
      env: { ...process.env, ...environment.variables },
    });
    running.child.stdin?.end(stdin);
    return (await running).stdout;
  };
}
