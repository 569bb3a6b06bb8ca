import fc from 'fast-check';
import { findPreset, presetNames } from '../../../presets/catalogue';
import { fit } from '../../../presets/estimator';
import { cacheBytes, tokensIn, withCacheOptions } from '../../../presets/kv-cache';
import { describeConfig } from '../../../presets/resolve';
import type { Model, NodeGpus } from '../../../presets/types';

const GIB = 2 ** 30;
const A100: NodeGpus = { count: 1, memoryBytes: 80 * GIB, product: 'NVIDIA A100', resourceName: 'nvidia.com/gpu' };
const H100: NodeGpus = { ...A100, product: 'NVIDIA H100' };
const WHOLE = { tensorParallel: 1, pipelineParallel: 1 };

function preset(name: string): Model {
  const model = findPreset(name);
  if (model === undefined) throw new Error(`no preset ${name}`);
  return model;
}

describe('a sliding window bounds the cache of its layers', () => {
  // 62 layers: 10 keep every token, 52 look back 1024; vLLM allocates ten at a time, so 60.
  const gemma = preset('gemma-3-27b-instruct');
  const perLayer = 507_904 / 62;

  test('while all tokens are in the window, every layer keeps them', () => {
    expect(cacheBytes(gemma, A100, WHOLE, 2048)).toBe(perLayer * 70 * 2048);
  });

  test('then only the others grow', () => {
    expect(cacheBytes(gemma, A100, WHOLE, 131_072)).toBe(perLayer * (10 * 131_072 + 60 * (1023 + 2048)));
    expect(cacheBytes(gemma, H100, WHOLE, 131_072)).toBe(perLayer * (10 * 131_072 + 60 * (1023 + 8192)));
  });

  test('so that its whole context needs two A100 nodes, where KAITO buys 19', () => {
    expect(fit(gemma, A100, { contextTokens: 131_072 })).toMatchObject({ fits: true, layout: { nodeCount: 2 } });
    const plain = withCacheOptions(gemma, { 'disable-hybrid-kv-cache-manager': '' });
    expect(fit(plain, A100, { contextTokens: 131_072 })).toMatchObject({ fits: true, layout: { nodeCount: 19 } });
  });

  test('kinds of nearly the same number are padded to the larger', () => {
    const gptOss = preset('gpt-oss-20b'); // 12 and 12
    expect(cacheBytes(gptOss, A100, WHOLE, 10_000)).toBe((49_152 / 24) * (12 * 10_000 + 12 * (127 + 2048)));
  });

  test('not when the user switches that off', () => {
    const plain = withCacheOptions(gemma, { 'disable-hybrid-kv-cache-manager': '' });
    expect(cacheBytes(plain, A100, WHOLE, 131_072)).toBe(507_904 * 131_072);
  });
});

test.each([
  [
    'full and sliding layers',
    { sliding_window: 128 },
    ['full_attention', 'sliding_attention'],
    { layers: 1, window: 128 },
  ],
  ['no window', {}, ['full_attention', 'sliding_attention'], undefined],
  ['linear attention, too', { sliding_window: 128 }, ['linear_attention', 'sliding_attention'], undefined],
  [
    'global heads of another size',
    { sliding_window: 8, global_head_dim: 512 },
    ['full_attention', 'sliding_attention'],
    undefined,
  ],
  ['fewer types than layers', { sliding_window: 128 }, ['sliding_attention'], undefined],
])('a configuration with %s', (_, extra, types, expected) => {
  const config = {
    architectures: ['LlamaForCausalLM'],
    num_hidden_layers: 2,
    num_attention_heads: 8,
    hidden_size: 512,
    layer_types: types,
    ...extra,
  };
  expect(describeConfig('a/b', config, [{ path: 'model.safetensors', size: GIB }], 'main').sliding).toEqual(expected);
});

test('the longest context that fits is the last that fits', () => {
  const models = fc.constantFrom(...presetNames().map(preset));
  const split = fc.record({
    tensorParallel: fc.constantFrom(1, 2, 4, 8),
    pipelineParallel: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(
      models,
      fc.constantFrom(A100, H100),
      split,
      fc.integer({ min: 1, max: 64 }),
      (model, node, parts, gib) => {
        const tokens = tokensIn(model, node, parts, gib * GIB);
        expect(cacheBytes(model, node, parts, tokens)).toBeLessThanOrEqual(gib * GIB * (1 + 1e-12));
        expect(cacheBytes(model, node, parts, tokens + 2)).toBeGreaterThan(gib * GIB);
      },
    ),
  );
});
