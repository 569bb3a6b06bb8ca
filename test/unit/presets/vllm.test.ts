import { findPreset } from '../../../presets/catalogue';
import { findSize } from '../../../presets/sizes';
import { vllmFlags, type VllmOptions } from '../../../presets/vllm';

function options(preset: string, extra: Partial<VllmOptions> = {}): VllmOptions {
  const model = findPreset(preset);
  if (model === undefined) throw new Error(`no preset ${preset}`);
  return {
    model,
    layout: { nodeCount: 1, gpusPerNode: 1, tensorParallel: 1, dataParallel: 1, pipelineParallel: 1 },
    gpuMemoryUtilization: 0.84,
    servedModelName: model.shortName,
    adapters: false,
    config: {},
    ...extra,
  };
}

test('Phi-4-mini on one A100, sorted by name', () => {
  expect(Object.entries(vllmFlags(options('phi-4-mini-instruct')))).toEqual([
    ['chat-template', '/workspace/chat_templates/tool-chat-phi4-mini.jinja'],
    ['config-format', 'auto'],
    ['download-dir', '/workspace/weights'],
    ['dtype', 'bfloat16'],
    ['gpu-memory-utilization', '0.84'],
    ['load-format', 'auto'],
    ['max-model-len', 'auto'],
    ['model', 'microsoft/Phi-4-mini-instruct'],
    ['served-model-name', 'phi-4-mini-instruct'],
    ['tensor-parallel-size', '1'],
    ['tokenizer-mode', 'auto'],
    ['trust-remote-code', ''],
  ]);
});

test('many GPUs on many nodes', () => {
  const layout = { nodeCount: 2, gpusPerNode: 8, tensorParallel: 8, dataParallel: 1, pipelineParallel: 2 };
  expect(vllmFlags(options('deepseek-r1-0528', { layout }))).toMatchObject({
    'tensor-parallel-size': '8',
    'pipeline-parallel-size': '2',
    'compilation-config.pass_config.fuse_allreduce_rms': 'False',
  });
  const replicas = { nodeCount: 1, gpusPerNode: 8, tensorParallel: 1, dataParallel: 8, pipelineParallel: 1 };
  const flags = vllmFlags(options('phi-4', { layout: replicas }));
  expect(flags).toMatchObject({ 'tensor-parallel-size': '1', 'data-parallel-size': '8' });
  expect(flags).not.toHaveProperty('pipeline-parallel-size');
});

test('the user’s options win, whichever way round a flag is spelt', () => {
  const config = { 'max-model-len': '8192', 'no-trust-remote-code': '', 'enable-prefix-caching': '' };
  const flags = vllmFlags(options('phi-4', { config }));
  expect(flags).toMatchObject(config);
  expect(flags).not.toHaveProperty('trust-remote-code');
});

test('a GPU without bfloat16 gets float16, unless the user says otherwise', () => {
  const gpus = findSize('Standard_NC6s_v3')?.gpus;
  if (gpus === undefined) throw new Error('no size');
  expect(vllmFlags(options('phi-3-mini-4k-instruct', { gpus }))).toMatchObject({ dtype: 'float16' });
  expect(vllmFlags(options('openai/gpt-oss-20b', { gpus }))).toMatchObject({ dtype: 'auto' });
  expect(vllmFlags(options('phi-4', { gpus, config: { dtype: 'float32' } }))).toMatchObject({ dtype: 'float32' });
});

test('adapters, mode, pinned commit and weights of the node', () => {
  const model = { ...options('phi-4').model, revision: 'abc' };
  expect(vllmFlags(options('phi-4', { model, adapters: true, performanceMode: 'throughput' }))).toMatchObject({
    'enable-lora': '',
    'performance-mode': 'throughput',
    revision: 'abc',
    'code-revision': 'abc',
  });
  expect(vllmFlags(options('phi-4', { performanceMode: 'balanced' }))).not.toHaveProperty('performance-mode');
  const local = vllmFlags(options('phi-4', { model, localWeights: true }));
  expect(local).toMatchObject({ model: '/opt/kaito/models/microsoft-phi-4', 'load-format': 'runai_streamer' });
  expect(local).not.toHaveProperty('revision');
});
