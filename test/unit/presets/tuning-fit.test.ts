import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { findPreset, presetNames } from '../../../presets/catalogue';
import { findSize, gpuSizes, migProfile } from '../../../presets/sizes';
import { tunable } from '../../../presets/tunable';
import { QUANTIZED_BITS, tuningFit, type TuningOptions } from '../../../presets/tuning-fit';
import type { Model, NodeGpus } from '../../../presets/types';

const GIB = 2 ** 30;

function preset(name: string): Model {
  const model = findPreset(name);
  if (model === undefined) throw new Error(`no preset ${name}`);
  return model;
}

function gpus(name: string): NodeGpus {
  const size = findSize(name);
  if (size === undefined) throw new Error(`no size ${name}`);
  return size.gpus;
}

/** One GPU of any size. */
function gpu(memoryGiB: number): NodeGpus {
  return { count: 1, memoryBytes: memoryGiB * GIB, resourceName: 'nvidia.com/gpu' };
}

function neededGiB(name: string, options: TuningOptions): number {
  const result = tuningFit(preset(name), gpu(10_000), options);
  if (!result.fits) throw new Error(result.reason);
  return result.perGpuBytes / GIB;
}

const A10 = 'Standard_NV36ads_A10_v5';
const A100 = 'Standard_NC24ads_A100_v4';
const T4 = 'Standard_NC4as_T4_v3';
const V100 = 'Standard_NC6s_v3';

describe('what is known to work fits, what is known not to does not', () => {
  test.each([
    // KAITO's own examples: Phi-3 by QLoRA on a V100 of 16 GiB.
    ['phi-3-mini-4k-instruct', 'qlora', V100, true],
    ['phi-3-mini-128k-instruct', 'qlora', V100, true],
    // 16-bit weights of 3.8 billion parameters and their adapter leave an A10 half empty.
    ['phi-3-mini-4k-instruct', 'lora', A10, true],
    ['phi-3-mini-4k-instruct', 'lora', T4, true],
    // QLoRA's paper: 13 billion parameters on 24 GiB.
    ['phi-4', 'qlora', A10, true],
    ['phi-4', 'lora', A10, false],
    ['phi-4', 'lora', A100, true],
    ['qwen2.5-coder-7b-instruct', 'lora', A10, true],
    ['qwen2.5-coder-7b-instruct', 'lora', T4, false],
    ['qwen2.5-coder-7b-instruct', 'qlora', T4, true],
    ['qwen2.5-coder-32b-instruct', 'lora', A100, true],
    ['qwen2.5-coder-32b-instruct', 'lora', 'Standard_ND96asr_v4', false],
    ['qwen2.5-coder-32b-instruct', 'qlora', 'Standard_ND96asr_v4', true],
    ['qwen2.5-coder-32b-instruct', 'qlora', A10, false],
    ['llama-3.3-70b-instruct', 'lora', A100, false],
    // QLoRA's paper: 65 billion on 48 GiB, of which this leaves 43 usable.
    ['llama-3.3-70b-instruct', 'qlora', A100, true],
  ] as const)('%s by %s on %s: %s', (name, method, size, fits) => {
    expect(tuningFit(preset(name), gpus(size), { method }).fits).toBe(fits);
  });

  test('a 65-billion model by QLoRA takes the 48 GiB of the paper, not 40 and not 60', () => {
    expect(neededGiB('llama-3.3-70b-instruct', { method: 'qlora' })).toBeGreaterThan(40);
    expect(neededGiB('llama-3.3-70b-instruct', { method: 'qlora' })).toBeLessThan(48);
  });

  test('KAITO’s table asks for more than enough, and for too little for 7 billion by LoRA', () => {
    // presets with the GPU memory that KAITO lists for either method, GiB
    const table = {
      'phi-4': 70,
      'phi-4-mini-instruct': 72,
      'phi-3-medium-4k-instruct': 80,
      'qwen2.5-coder-32b-instruct': 140,
    };
    for (const [name, listed] of Object.entries(table)) {
      expect(neededGiB(name, { method: 'lora' })).toBeLessThan(listed);
    }
    // Its 16 GiB hold 13.5 GiB of weights, and not what training needs beside them.
    expect(neededGiB('mistralai/Mistral-7B-v0.3', { method: 'lora' })).toBeGreaterThan(16);
    expect(neededGiB('mistralai/Mistral-7B-v0.3', { method: 'qlora' })).toBeLessThan(16);
  });
});

test('docs/presets.md tells the figures as they are', () => {
  const page = readFileSync(join(__dirname, '../../../docs/presets.md'), 'utf8');
  const rows = [...page.matchAll(/^\| ([\w.-]+)[^|]*\| ([\d.]+) +\| ([\d.]+) +\| \d+ +\|$/gm)];
  expect(rows).toHaveLength(7);
  const presets: Readonly<Record<string, string>> = {
    'phi-3-mini': 'phi-3-mini-4k-instruct',
    'phi-3-medium': 'phi-3-medium-4k-instruct',
    'mistral-7b': 'mistralai/Mistral-7B-v0.3',
    'qwen2.5-coder-7b': 'qwen2.5-coder-7b-instruct',
    'qwen2.5-coder-32b': 'qwen2.5-coder-32b-instruct',
  };
  const actual = rows.map(([, name = '']) =>
    (['lora', 'qlora'] as const).map((method) => neededGiB(presets[name] ?? name, { method }).toFixed(1)),
  );
  expect(actual).toEqual(rows.map(([, , lora, qlora]) => [lora, qlora]));
});

describe('the estimate', () => {
  test('says what the memory is for', () => {
    const result = tuningFit(preset('phi-4'), gpus(A100), { method: 'lora' });
    if (!result.fits) throw new Error(result.reason);
    const { weights, adapter, activations, overhead } = result.parts;
    expect(weights).toBe(preset('phi-4').weightsBytes);
    expect(Math.ceil(weights + adapter + activations + overhead)).toBe(result.perGpuBytes);
  });

  test('of 4-bit weights lies between 4 bits for all and what the paper’s 4.127 bits and 16-bit embeddings give', () => {
    // Llama-3.1-8B: 8.03 billion parameters, 1.05 of them in two embeddings of 128,256 × 4,096.
    const embeddings = 2 * 128_256 * 4096;
    const parameters = preset('llama-3.1-8b-instruct').weightsBytes / 2;
    const exact = ((parameters - embeddings) * 4.127 + embeddings * 16) / 8;
    const result = tuningFit(preset('llama-3.1-8b-instruct'), gpus(A100), { method: 'qlora' });
    expect(result.fits && result.parts.weights).toBeCloseTo(exact, -6);
  });

  test('does not take embeddings for more than a model has', () => {
    // Phi-3-mini: a vocabulary of 32,064, not the 200,064 of its architecture's largest.
    const model = preset('phi-3-mini-4k-instruct');
    const embeddings = 2 * 32_064 * 3072;
    const exact = ((model.weightsBytes / 2 - embeddings) * 4.127 + embeddings * 16) / 8;
    const result = tuningFit(model, gpus(A100), { method: 'qlora' });
    expect(result.fits && result.parts.weights / exact).toBeCloseTo(1, 1);
  });

  test.each([
    ['a longer row', { maxLength: 4096 }],
    ['a larger batch', { batchSize: 8 }],
    ['a higher rank', { rank: 64 }],
    ['float32', { torchDtype: 'float32' as const }],
    ['activations kept', { gradientCheckpointing: false }],
  ])('grows with %s', (_what, more) => {
    for (const method of ['lora', 'qlora'] as const) {
      expect(neededGiB('phi-4', { method, ...more })).toBeGreaterThan(neededGiB('phi-4', { method }) + 0.3);
    }
  });

  test('grows with the bits of quantized weights', () => {
    const needed = [undefined, QUANTIZED_BITS.nf4, QUANTIZED_BITS.int8].map((quantizedBits) =>
      neededGiB('phi-4', { method: 'qlora', ...(quantizedBits !== undefined && { quantizedBits }) }),
    );
    expect(needed).toEqual([...needed].sort((a, b) => a - b));
    expect(new Set(needed).size).toBe(3);
  });

  test('does not depend on how many GPUs the node has: each holds the whole model', () => {
    const one = tuningFit(preset('phi-4'), { ...gpus(A100), count: 1 }, { method: 'lora' });
    expect(tuningFit(preset('phi-4'), { ...gpus(A100), count: 8 }, { method: 'lora' })).toEqual(one);
  });

  test('counts experts as unquantized', () => {
    const model: Model = { ...preset('llama-3.1-8b-instruct'), architectures: ['Qwen3MoeForCausalLM'] };
    const [lora, qlora] = (['lora', 'qlora'] as const).map((method) => tuningFit(model, gpus(A100), { method }));
    expect(qlora).toEqual(lora);
  });
});

describe('a refusal', () => {
  test('has the numbers, and what would fit', () => {
    expect(tuningFit(preset('phi-4'), gpus(A10), { method: 'lora' })).toEqual({
      fits: false,
      code: 'gpu-too-small',
      reason:
        'phi-4 by lora needs about 30.5 GiB on each GPU (weights 27.3 GiB, adapter 0.8 GiB, activations 0.9 GiB, overhead 1.5 GiB), ' +
        'NVIDIA A10 has 24.0 GiB, 21.6 GiB of it usable: choose a size with larger GPUs, or method qlora (about 13.7 GiB)',
    });
  });

  test('names shorter rows where these would fit, and nothing that would not', () => {
    const long = { method: 'qlora', maxLength: 65_536, batchSize: 4 } as const;
    expect(tuningFit(preset('phi-4'), gpus(A10), long)).toMatchObject({
      reason: expect.stringMatching(
        /larger GPUs, or max_length 1024 with per_device_train_batch_size 1 \(about 13\.7 GiB\)$/,
      ) as string,
    });
    expect(tuningFit(preset('llama-3.3-70b-instruct'), gpus(A10), { method: 'lora' })).toMatchObject({
      reason: expect.stringMatching(/: choose a size with larger GPUs$/) as string,
    });
  });

  test('of a slice of a GPU goes by the slice’s memory', () => {
    const [small, large] = [migProfile('1g.5gb'), migProfile('2g.20gb')];
    if (!small || !large) throw new Error('profiles');
    expect(tuningFit(preset('phi-4-mini-instruct'), small, { method: 'qlora' })).toMatchObject({
      code: 'gpu-too-small',
    });
    expect(tuningFit(preset('phi-4-mini-instruct'), large, { method: 'qlora' }).fits).toBe(true);
  });

  test.each([
    ['Standard_NC6', {}, 'NVIDIA K80 has CUDA compute capability 3.7, tuning needs 7.0'],
    ['Standard_NG32ads_V620_v1', {}, 'models are tuned on NVIDIA GPUs only'],
    [T4, { bf16: true }, 'TrainingArguments.bf16 needs 8.0: choose a newer GPU, or leave bf16 out to train in float16'],
    [V100, { quantizedBits: QUANTIZED_BITS.int8 }, 'load_in_8bit needs 7.5: choose a newer GPU or load_in_4bit'],
  ])('of %s with %j says what the GPU lacks', (size, options, reason) => {
    const result = tuningFit(preset('phi-3-mini-4k-instruct'), gpus(size), { method: 'qlora', ...options });
    expect(result).toMatchObject({ fits: false, code: 'unsupported-gpu' });
    expect(result).toHaveProperty('reason', expect.stringContaining(reason));
  });

  test('is not made up where an own node does not tell its compute capability', () => {
    expect(tuningFit(preset('phi-3-mini-4k-instruct'), gpu(24), { method: 'qlora', bf16: true }).fits).toBe(true);
  });
});

describe('models', () => {
  test('that KAITO tunes can be tuned, whatever their format', () => {
    const tuned = presetNames()
      .map(preset)
      .filter((model) => model.supportsTuning);
    expect(tuned.length).toBeGreaterThan(8);
    expect(tuned.map(tunable)).toEqual(tuned.map(() => undefined));
  });

  test('of text alone can be tuned, too', () => {
    expect(tunable(preset('llama-3.1-8b-instruct'))).toBeUndefined();
    expect(tunable({ ...preset('llama-3.1-8b-instruct'), architectures: ['GPT2LMHeadModel'] })).toBeUndefined();
  });

  test.each([
    ['Qwen/Qwen3-8B-AWQ', 'is stored quantized (awq)'],
    ['openai/gpt-oss-20b', 'is stored quantized (mxfp4)'],
    [
      'google/gemma-3-4b-it',
      'is Gemma3ForConditionalGeneration; only models of text alone (…ForCausalLM) can be tuned',
    ],
  ])('%s can not: %s', (name, reason) => {
    expect(tunable(preset(name))).toContain(reason);
    expect(tuningFit(preset(name), gpus(A100), { method: 'lora' })).toMatchObject({ fits: false, code: 'not-tunable' });
  });

  test('without a configuration of transformers can not', () => {
    expect(tunable({ ...preset('llama-3.1-8b-instruct'), architectures: [] })).toContain(
      'no configuration of transformers',
    );
  });
});

test('more memory never makes a training unfit, and QLoRA never needs more than LoRA', () => {
  const models = fc.constantFrom(
    ...presetNames()
      .map(preset)
      .filter((model) => tunable(model) === undefined),
  );
  const sizes = fc.constantFrom(...gpuSizes());
  fc.assert(
    fc.property(models, sizes, fc.integer({ min: 0, max: 200 }), (model, size, more) => {
      const larger = { ...size.gpus, memoryBytes: size.gpus.memoryBytes + more * GIB };
      for (const method of ['lora', 'qlora'] as const) {
        if (tuningFit(model, size.gpus, { method }).fits) expect(tuningFit(model, larger, { method }).fits).toBe(true);
      }
      const [lora, qlora] = (['lora', 'qlora'] as const).map((method) => tuningFit(model, gpu(10_000), { method }));
      if (lora?.fits !== true || qlora?.fits !== true) throw new Error(`${model.id} has no estimate`);
      expect(qlora.perGpuBytes).toBeLessThanOrEqual(lora.perGpuBytes);
    }),
  );
});
