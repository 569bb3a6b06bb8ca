import { findPreset } from '../../../presets/catalogue';
import { fit } from '../../../presets/estimator';
import { cacheBytes } from '../../../presets/kv-cache';
import { dividesOver, splitOver } from '../../../presets/layout';
import { describeConfig } from '../../../presets/resolve';
import { findSize } from '../../../presets/sizes';
import type { Model } from '../../../presets/types';

function preset(name: string): Model {
  const model = findPreset(name);
  if (model === undefined) throw new Error(`no preset ${name}`);
  return model;
}

/** tiiuae/falcon-7b: 71 attention heads, which no number of GPUs divides. */
const FALCON = describeConfig(
  'tiiuae/falcon-7b',
  {
    architectures: ['FalconForCausalLM'],
    hidden_size: 4544,
    num_hidden_layers: 32,
    num_attention_heads: 71,
    multi_query: true,
  },
  [{ path: 'model.safetensors', size: 14_434_000_000 }],
  'main',
);

test.each([
  ['phi-4', 2, true], // 40 heads, 10 key-value heads
  ['phi-4', 4, false],
  ['phi-4', 8, false],
  ['phi-4-mini-instruct', 8, true], // 24 heads, 8 key-value heads
  ['phi-4-mini-instruct', 16, false],
  ['Qwen/Qwen3.5-2B', 4, true], // 8 heads; 2 key-value heads, each on two GPUs
  ['deepseek-r1-0528', 8, true], // MLA: 128 heads, one latent
])('vLLM cuts %s over %d GPUs: %s', (name, gpus, expected) => {
  expect(dividesOver(preset(name), gpus)).toBe(expected);
});

test('what can’t be shared by tensor parallel becomes pipeline stages, also inside a node', () => {
  expect(splitOver(preset('phi-4'), 4, 1)).toEqual({ tensorParallel: 2, pipelineParallel: 2 });
  expect(splitOver(preset('phi-4'), 8, 3)).toEqual({ tensorParallel: 2, pipelineParallel: 12 });
  expect(splitOver(FALCON, 4, 1)).toEqual({ tensorParallel: 1, pipelineParallel: 4 });
});

test('phi-4 on four small GPUs is laid out so that vLLM starts', () => {
  const size = findSize('g6.12xlarge');
  expect(size && fit(preset('phi-4'), size.gpus)).toMatchObject({
    layout: { nodeCount: 1, gpusPerNode: 4, tensorParallel: 2, dataParallel: 1, pipelineParallel: 2 },
  });
});

test('a GPU keeps its share of the key-value heads, at least one, and MLA’s latent whole', () => {
  const node = { count: 8, memoryBytes: 80 * 2 ** 30, resourceName: 'nvidia.com/gpu' };
  const share = (name: string, tensorParallel: number) =>
    preset(name).kvBytesPerToken / cacheBytes(preset(name), node, { tensorParallel, pipelineParallel: 1 }, 1);
  expect(share('llama-3.3-70b-instruct', 8)).toBe(8);
  expect(share('Qwen/Qwen3.5-2B', 4)).toBe(2);
  expect(share('deepseek-r1-0528', 8)).toBe(1);
});
