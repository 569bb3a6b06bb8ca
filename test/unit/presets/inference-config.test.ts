import { CauseError } from '../../../api/causes';
import { parseInferenceConfig } from '../../../presets/inference-config';

test('KAITO’s template, with comments and quotes', () => {
  const text = `
# a comment
kv_cache_cpu_memory_utilization: 0.5
max_probe_steps: 6
vllm:
  cpu-offload-gb: 0
  max-model-len: "131072" # quoted
  gpu_memory_utilization: 0.95
  swap-space:
  enable-prefix-caching: true
  enable-chunked-prefill: false
  compilation-config.pass_config.fuse_allreduce_rms: False
`;
  expect(parseInferenceConfig(text)).toEqual({
    vllm: {
      'cpu-offload-gb': '0',
      'max-model-len': '131072',
      'gpu-memory-utilization': '0.95',
      'swap-space': '',
      'enable-prefix-caching': '',
      'no-enable-chunked-prefill': '',
      'compilation-config.pass_config.fuse_allreduce_rms': 'false',
    },
    maxModelLen: 131_072,
    ignored: ['kv_cache_cpu_memory_utilization', 'max_probe_steps'],
  });
});

test.each(['', '# nothing', 'vllm:', 'vllm: {}'])('nothing set: %j', (text) => {
  expect(parseInferenceConfig(text)).toEqual({ vllm: {}, ignored: [] });
});

test('auto leaves the length to vLLM', () => {
  expect(parseInferenceConfig('vllm: {max-model-len: auto}')).toEqual({
    vllm: { 'max-model-len': 'auto' },
    ignored: [],
  });
});

test.each([
  ['vllm: [1', 'Failed to parse inference_config.yaml: '],
  ['- vllm', 'it must be a map'],
  ['vllm: 3', 'vllm must be a map of options'],
  ['vllm: {a: [1]}', 'vllm.a must be a single value'],
  ['vllm: {rope: {b: 1}}', 'vllm.rope must be a single value'],
  ['vllm: {--port: 1}', 'vllm.--port is no option name; write it as vLLM does, without the leading dashes'],
  ['vllm: {max-model-len: 8k}', 'max-model-len must be an integer: "8k"'],
  ['vllm: {max-model-len: 0}', 'max-model-len must be an integer: "0"'],
  ['vllm: {max-model-len: -1}', 'max-model-len must be an integer: "-1"'],
])('refuses %s', (text, message) => {
  expect(() => parseInferenceConfig(text)).toThrow(CauseError);
  expect(() => parseInferenceConfig(text)).toThrow(message);
});
