import { CauseError } from '../../../api/causes';
import { describeConfig, parseConfig } from '../../../presets/resolve';

const GIB = 2 ** 30;
const WEIGHTS = [{ path: 'model.safetensors', size: 8 * GIB }];
const LLAMA = {
  architectures: ['LlamaForCausalLM'],
  max_position_embeddings: 8192,
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
};

test('tiiuae/falcon-7b comes out as KAITO describes it', () => {
  const model = describeConfig(
    'tiiuae/falcon-7b',
    {
      architectures: ['FalconForCausalLM'],
      hidden_size: 4544,
      num_hidden_layers: 32,
      num_attention_heads: 71,
      multi_query: true,
    },
    [{ path: 'model.safetensors', size: Math.round(13.44 * GIB) }],
    'abc',
  );
  expect(model).toMatchObject({
    kvBytesPerToken: 8192,
    maxModelLen: 2048,
    attention: 'MQA',
    diskGiB: 93,
    revision: 'abc',
  });
});

test.each([
  [
    'keys of older configurations',
    { n_ctx: 2048, n_embd: 4096, n_layer: 32, n_head: 32, num_attention_heads: undefined },
    524_288,
  ],
  ['a language part of its own', { num_hidden_layers: undefined, text_config: { num_hidden_layers: 16 } }, 65_536],
  ['outer values before the language part’s', { text_config: { num_hidden_layers: 16 } }, 131_072],
  ['numbers as text', { num_hidden_layers: '16' }, 65_536],
  ['an explicit head size', { head_dim: 64 }, 65_536],
  ['MLA', { kv_lora_rank: 512, qk_rope_head_dim: 64 }, 36_864],
  ['no layers', { num_hidden_layers: undefined }, 0],
])('key-value cache with %s', (_, change, expected) => {
  const config: Record<string, unknown> = { ...LLAMA, ...change };
  if ('n_head' in change)
    for (const key of ['hidden_size', 'num_hidden_layers', 'num_key_value_heads']) delete config[key];
  expect(describeConfig('a/b', config, WEIGHTS, 'main').kvBytesPerToken).toBe(expected);
});

test.each([
  ['safetensors before bin', ['a.safetensors', 'b.bin'], 1],
  ['all safetensors', ['a.safetensors', 'b.safetensors'], 2],
  ['bin where there is nothing else', ['a.bin', 'x.json'], 1],
  ['not the second copy', ['a.safetensors', 'original/consolidated.00.safetensors'], 1],
])('counts %s', (_, paths, gib) => {
  const files = paths.map((path) => ({ path, size: GIB }));
  expect(describeConfig('a/b', LLAMA, files, 'main').weightsBytes).toBe(gib * GIB);
});

test('takes quantization and leaves the data type to vLLM then', () => {
  const config = { ...LLAMA, quantization_config: { quant_method: 'awq', bits: 4 } };
  expect(describeConfig('a/b', config, WEIGHTS, 'main')).toMatchObject({
    quantization: { method: 'awq', bits: 4 },
    vllmFlags: { dtype: 'auto' },
  });
});

test('keeps of a configuration what is short: anybody may publish one', () => {
  const long = 'X'.repeat(100_000);
  const architectures = ['LlamaForCausalLM', ...Array.from({ length: 10_000 }, (_, i) => `Odd${i}`)];
  const config = { ...LLAMA, architectures, quantization_config: { quant_method: long } };
  const model = describeConfig('a/b', config, WEIGHTS, 'main');
  expect(model.architectures).toEqual(['LlamaForCausalLM']);
  expect(JSON.stringify(model).length).toBeLessThan(2_000);

  const odd = { ...LLAMA, architectures: Array.from({ length: 100 }, () => long) };
  expect(() => describeConfig('a/b', odd, WEIGHTS, 'main')).toThrow(/^.{1,700}$/);
});

test('chooses parsers by name before architecture', () => {
  expect(describeConfig('a/Qwen3-Coder-X', LLAMA, WEIGHTS, 'main').vllmFlags).toMatchObject({
    'tool-call-parser': 'qwen3_xml',
    'reasoning-parser': 'qwen3',
    'enable-auto-tool-choice': '',
  });
  expect(describeConfig('a/other', LLAMA, WEIGHTS, 'main').vllmFlags).toMatchObject({
    'tool-call-parser': 'llama3_json',
  });
});

test.each([
  [
    'an architecture that vLLM doesn’t have',
    { ...LLAMA, architectures: ['X'] },
    WEIGHTS,
    'unsupported model architecture for a/b: X',
  ],
  ['a repository without weights', LLAMA, [{ path: 'config.json', size: 1 }], 'no .safetensors or .bin files found'],
])('refuses %s', (_, config, files, message) => {
  expect(() => describeConfig('a/b', config, files, 'main')).toThrow(CauseError);
  expect(() => describeConfig('a/b', config, files, 'main')).toThrow(message);
});

test('reads Python’s JSON', () => {
  expect(parseConfig('a/b', '{"a": Infinity, "b": [-Infinity, NaN], "c": "is NaN"}')).toEqual({
    a: null,
    b: [null, null],
    c: 'is NaN',
  });
  expect(() => parseConfig('a/b', '[1]')).toThrow('not a JSON object');
});
