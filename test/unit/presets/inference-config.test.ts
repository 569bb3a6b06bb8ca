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

describe('a text that is too long', () => {
  const keys = (count: number): string =>
    `vllm:\n${Array.from({ length: count }, (_, index) => `  k${index}: 1`).join('\n')}`;

  test('is refused before it is read: that would take minutes', () => {
    const begun = performance.now();
    expect(() => parseInferenceConfig(keys(60_000))).toThrow(
      /^inference_config.yaml: has \d+ bytes, and may have 32768$/,
    );
    expect(performance.now() - begun).toBeLessThan(1_000);
    expect(Object.keys(parseInferenceConfig(keys(2_000)).vllm)).toHaveLength(2_000);
  });

  test('is refused where aliases make it long', () => {
    const text = `vllm:\n  a: &a "${'x'.repeat(20_000)}"\n  b: *a\n`;
    expect(() => parseInferenceConfig(text)).toThrow(/^inference_config.yaml: vllm: has \d+ bytes/);
  });

  test('is refused where aliases of aliases make it endless', () => {
    const nine = (item: string): string => `[${Array.from({ length: 9 }, () => item).join()}]`;
    const text = [
      `a: &a ${nine('1')}`,
      ...['ba', 'cb', 'dc', 'ed'].map(([to, from]) => `${to}: &${to} ${nine(`*${from}`)}`),
    ].join('\n');
    expect(() => parseInferenceConfig(text)).toThrow(CauseError);
    expect(() => parseInferenceConfig(text)).toThrow('Excessive alias count');
  });
});
