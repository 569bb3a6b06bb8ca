import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { CauseError } from '../../../api/causes';
import { findPreset } from '../../../presets/catalogue';
import { readManifest } from '../../../presets/manifest';
import { planOf } from '../../../presets/plan';
import { FakeHub } from '../../fakes/hub/hub';

const WORKSPACE = `
apiVersion: kaito.sh/v1beta1
kind: Workspace
metadata: {name: w}
resource:
  instanceType: Standard_NV36ads_A10_v5
  labelSelector: {matchLabels: {apps: w}}
inference:
  preset: {name: phi-4}
`;

function planned(text: string) {
  const manifest = readManifest(text);
  const model = findPreset(manifest.preset);
  if (model === undefined) throw new Error(manifest.preset);
  return { ...planOf(model, manifest), notes: manifest.notes };
}

describe('the plan', () => {
  test('of one size has exactly the promised keys', () => {
    expect(planned(WORKSPACE)).toEqual({
      model: {
        id: 'microsoft/phi-4',
        weightsBytes: 29_323_889_214,
        weightsGiB: 27.31,
        diskGiB: 107,
        kvBytesPerToken: 204_800,
        maxModelLen: 16_384,
      },
      candidates: [
        {
          instanceType: 'Standard_NV36ads_A10_v5',
          fits: true,
          nodeCount: 2,
          gpusPerNode: 1,
          tensorParallel: 1,
          dataParallel: 1,
          pipelineParallel: 2,
          maxModelLen: 16_384,
          reason: '',
        },
      ],
      notes: [],
    });
  });

  test('tries instanceType, then instanceTypes in order', () => {
    const text = WORKSPACE.replace('labelSelector', 'instanceTypes: [p5.48xlarge, Standard_NC6]\n  labelSelector');
    expect(planned(text).candidates.map(({ instanceType, fits }) => [instanceType, fits])).toEqual([
      ['Standard_NV36ads_A10_v5', true],
      ['p5.48xlarge', true],
      ['Standard_NC6', false],
    ]);
  });

  test('without a size lists all, best first: one node before two, little memory before much, retired ones last', () => {
    const text = WORKSPACE.replace('  instanceType: Standard_NV36ads_A10_v5\n', '');
    const { candidates } = planned(text);
    expect(candidates.length).toBeGreaterThan(100);
    expect(candidates[0]).toMatchObject({ fits: true, nodeCount: 1 });
    expect(candidates.at(-1)).toMatchObject({ fits: false, nodeCount: null });
    const fitting = candidates.filter((candidate) => candidate.fits);
    const retired = fitting.map((candidate) => candidate.reason.includes('retired'));
    expect(retired).toEqual([...retired].sort());
    const counts = fitting.filter((candidate) => candidate.reason === '').map((candidate) => candidate.nodeCount ?? 0);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
  });

  test('a v1alpha1 manifest without a size gets KAITO’s default', () => {
    const text = WORKSPACE.replace('v1beta1', 'v1alpha1').replace('  instanceType: Standard_NV36ads_A10_v5\n', '');
    expect(planned(text).candidates.map(({ instanceType }) => instanceType)).toEqual(['Standard_NC24ads_A100_v4']);
  });

  test('a MIG slice of own nodes is the one candidate', () => {
    const text = WORKSPACE.replace('instanceType: Standard_NV36ads_A10_v5', 'partition: {mode: mig, profile: 1g.10gb}');
    expect(planned(text).candidates).toMatchObject([{ instanceType: 'mig-1g.10gb', fits: false }]);
  });

  test('some GPUs of a node are what the model gets', () => {
    const text = WORKSPACE.replace('instanceType: Standard_NV36ads_A10_v5', 'partition: {mode: accelerator, count: 2}');
    const { candidates } = planned(text);
    expect(new Set(candidates.map(({ gpusPerNode }) => gpusPerNode))).toEqual(new Set([2]));
    expect(candidates.map(({ instanceType }) => instanceType)).not.toContain('Standard_NV36ads_A10_v5');
  });

  test('takes the ConfigMap of the same file', () => {
    const named = WORKSPACE.replace('preset: {name: phi-4}', 'preset: {name: llama-3.1-8b-instruct}\n  config: c');
    const config = (length: string) =>
      `${named}\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata:\n  inference_config.yaml: |\n    vllm:\n      max-model-len: ${length}\n`;
    expect(planned(config('16384')).candidates[0]).toMatchObject({ nodeCount: 2, maxModelLen: 16_384 });
    expect(planned(config('999999')).candidates[0]).toMatchObject({
      fits: false,
      reason: expect.stringContaining("exceeds model's maximum supported context window 131072") as string,
    });
    expect(planned(named).notes).toEqual([
      "inference.config: ConfigMap c isn't in the file; planned with the defaults",
    ]);
  });
});

describe('the plan of a tuning', () => {
  const TUNING = `
apiVersion: kaito.sh/v1beta1
kind: Workspace
metadata: {name: w}
resource:
  instanceType: Standard_ND96asr_v4
  instanceTypes: [Standard_NV36ads_A10_v5]
  labelSelector: {matchLabels: {apps: w}}
tuning:
  preset: {name: phi-4}
  method: LoRA
  input: {urls: ['https://example.com/a.parquet']}
  output: {volumeSource: {emptyDir: {}}}
`;

  test('is one node, each of whose GPUs holds the model', () => {
    const { candidates } = planned(TUNING);
    expect(candidates[0]).toEqual({
      instanceType: 'Standard_ND96asr_v4',
      fits: true,
      nodeCount: 1,
      gpusPerNode: 8,
      tensorParallel: 1,
      dataParallel: 8,
      pipelineParallel: 1,
      maxModelLen: null,
      neededGpuMemoryGiB: 30.5,
      reason: '',
    });
    expect(candidates[1]).toMatchObject({
      fits: false,
      neededGpuMemoryGiB: null,
      reason: expect.stringContaining('or method qlora (about 13.7 GiB)') as string,
    });
  });

  test('takes the ConfigMap of the same file', () => {
    const configured = TUNING.replace('method: LoRA', 'method: qlora\n  config: c');
    const withMap = (content: string) =>
      `${configured}\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata:\n  training_config.yaml: '${content}'\n`;
    const needed = (text: string) => planned(text).candidates[0]?.neededGpuMemoryGiB;
    expect(needed(withMap('training_config: {LoraConfig: {r: 64}}'))).toBeGreaterThan(needed(configured) ?? Infinity);
    expect(() => planned(withMap('training_config: {LoraConfig: {s: 64}}'))).toThrow(
      'tuning.config: training_config.yaml: LoraConfig.s: unknown key',
    );
    expect(planned(configured).notes).toEqual([
      "tuning.config: ConfigMap c isn't in the file; planned with the defaults",
    ]);
  });

  test('without a size lists all, the least memory first', () => {
    const { candidates } = planned(TUNING.replace(/ {2}instanceTypes?:.*\n/g, ''));
    expect(candidates.length).toBeGreaterThan(100);
    const [best] = candidates;
    expect(best).toMatchObject({ fits: true, gpusPerNode: 1 });
    expect(candidates.at(-1)).toMatchObject({ fits: false });
  });

  test('needs a preset', () => {
    expect(() => planned(TUNING.replace('  preset: {name: phi-4}\n', ''))).toThrow(/tuning\.preset/);
  });
});

test.each([
  ['kind: Pod', 'kind: the file must hold one Workspace, it holds 0'],
  [`${WORKSPACE}---${WORKSPACE}`, 'it holds 2'],
  [WORKSPACE.replace('v1beta1', 'v2'), 'apiVersion: "kaito.sh/v2" is none of'],
  [WORKSPACE.replace('{matchLabels: {apps: w}}', '7'), 'resource.labelSelector: '],
  [WORKSPACE.replace('preset: {name: phi-4}', '{}'), 'inference.preset: the Workspace has none'],
  [
    WORKSPACE.replace('Standard_NV36ads_A10_v5', 'Standard_X'),
    'resource.instanceType: Unsupported instance type Standard_X',
  ],
  ['a: [', 'not YAML: '],
])('refuses bad input, naming the field (%#)', (text, message) => {
  expect(() => planned(text)).toThrow(CauseError);
  expect(() => planned(text)).toThrow(message);
});

describe('the command', () => {
  function run(input: string, ...args: readonly string[]) {
    const root = join(__dirname, '../../..');
    return spawnSync(process.execPath, ['--import', 'tsx', 'presets/plan-command.ts', '-', ...args], {
      cwd: root,
      input,
      encoding: 'utf8',
    });
  }

  /** For tests whose server lives in this process. */
  function runAsync(input: string, env: Readonly<Record<string, string>>) {
    const child = spawn(process.execPath, ['--import', 'tsx', 'presets/plan-command.ts', '-'], {
      cwd: join(__dirname, '../../..'),
      env: { PATH: process.env['PATH'], ...env },
    });
    child.stdin.end(input);
    return Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).then(
      ([stdout, stderr, [status]]) => ({ stdout, stderr, status: status as number | null }),
    );
  }

  test('0: something fits; JSON on standard output', () => {
    const { status, stdout } = run(WORKSPACE, '-o', 'json', '--size', 'standard_nc24ads_a100_v4');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      candidates: [{ instanceType: 'Standard_NC24ads_A100_v4', nodeCount: 1 }],
    });
  });

  test('a tuning has a table of its own', () => {
    const tuning = WORKSPACE.replace(
      'inference:',
      'tuning:\n  method: qlora\n  input: {urls: ["https://example.com/a.csv"]}\n  output: {volumeSource: {emptyDir: {}}}',
    );
    const { status, stdout } = run(tuning);
    expect(status).toBe(0);
    expect(stdout).toBe(
      [
        'microsoft/phi-4: weights 27.31 GiB, disk 107 GiB, tuned by qlora',
        '',
        'SIZE                     FITS  GPUS  GIB/GPU  NOTE',
        'Standard_NV36ads_A10_v5  yes   1     13.7',
        '',
      ].join('\n'),
    );
    expect(run(tuning.replace('phi-4', 'phi-9')).stderr).toContain(
      'tuning.preset.name: Unsupported tuning preset name phi-9',
    );
  });

  test('1: nothing fits; the table says why', () => {
    const { status, stdout } = run(WORKSPACE, '--size', 'Standard_NC6');
    expect(status).toBe(1);
    expect(stdout).toContain(
      'NVIDIA K80 has CUDA compute capability 3.7, vLLM needs 7.0; Azure retired Standard_NC6 on',
    );
  });

  test('describes a model of the hub, by HF_ENDPOINT and HF_TOKEN', async () => {
    const hub = await FakeHub.start([
      {
        id: 'acme/gated',
        sha: 'a'.repeat(40),
        gated: 'auto',
        files: {
          'config.json':
            '{"architectures":["LlamaForCausalLM"],"num_hidden_layers":2,"num_attention_heads":4,"hidden_size":256}',
          'model.safetensors': 2 ** 30,
        },
      },
    ]);
    try {
      const text = WORKSPACE.replace('phi-4', 'acme/gated');
      const granted = await runAsync(text, { HF_ENDPOINT: hub.url, HF_TOKEN: 'hf_good' });
      expect(granted).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('acme/gated: weights 1 GiB') as string,
      });
      const denied = await runAsync(text, { HF_ENDPOINT: hub.url });
      expect(denied.status).toBe(2);
      expect(denied.stderr).toContain('inference.preset.name: acme/gated needs a Hugging Face token (status 401)');
    } finally {
      await hub.stop();
    }
  });

  test('2: bad input; a retired preset is said plainly', () => {
    const { status, stderr } = run(WORKSPACE.replace('phi-4', 'falcon-7b'));
    expect(status).toBe(2);
    expect(stderr).toContain('inference.preset.name: preset falcon-7b is retired: use tiiuae/falcon-7b instead');
  });
});
