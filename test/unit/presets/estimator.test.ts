import fc from 'fast-check';
import { findPreset, presetNames } from '../../../presets/catalogue';
import { estimateNodes, fit, longestContext } from '../../../presets/estimator';
import { findSize, gpuSizes, migProfile } from '../../../presets/sizes';
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

describe('the worked example of KAITO’s estimator, context 2048', () => {
  const SIZES = [
    'Standard_NC8_A16',
    'Standard_NV36ads_A10_v5',
    'Standard_NC24ads_A100_v4',
    'Standard_NC80adis_H100_v5',
    'Standard_ND96isr_H100_v5',
  ];
  /** Nodes, GPUs needed, room for weights on each GPU in GiB, layout. */
  const ROWS: Readonly<Record<string, readonly string[]>> = {
    'phi-4-mini-instruct': ['1 1 10.37 TP1', '1 1 16.77 TP1', '1 1 61.57 TP1', '1 1 72.89 DP2', '1 1 61.78 DP8'],
    'phi-4': ['3 3 10.24 TP1 PP3', '2 2 16.64 TP1 PP2', '1 1 61.44 TP1', '1 1 72.82 DP2', '1 1 61.76 DP8'],
    'llama-3.1-8b-instruct': ['2 2 10.37 TP1 PP2', '1 1 16.77 TP1', '1 1 61.57 TP1', '1 1 72.89 DP2', '1 1 61.78 DP8'],
    'llama-3.3-70b-instruct': [
      '14 14 10.01 TP1 PP14',
      '9 9 16.41 TP1 PP9',
      '3 3 61.21 TP1 PP3',
      '1 2 72.71 TP2',
      '1 3 61.74 TP8',
    ],
    // Where there are several GPUs, KAITO has 72.95 and 61.79: it spreads the latent cache of MLA, which each GPU keeps whole.
    'deepseek-r1-0528': [
      '63 63 10.48 TP1 PP63',
      '39 39 16.88 TP1 PP39',
      '11 11 61.68 TP1 PP11',
      '5 9 72.88 TP2 PP5',
      '2 11 61.68 TP8 PP2',
    ],
  };
  const cells = Object.entries(ROWS).flatMap(([name, row]) =>
    row.map((expected, index) => [name, SIZES[index] ?? '', expected] as const),
  );

  test.each(cells)('%s on %s: %s', (name, size, expected) => {
    const need = estimateNodes(preset(name), gpus(size), 2048);
    const result = fit(preset(name), gpus(size));
    if ('reason' in need || !result.fits) throw new Error('does not fit');
    const { tensorParallel, dataParallel, pipelineParallel } = result.layout;
    const layout =
      dataParallel > 1
        ? `DP${dataParallel}`
        : `TP${tensorParallel}${pipelineParallel > 1 ? ` PP${pipelineParallel}` : ''}`;
    expect(`${need.nodes} ${need.gpus} ${(need.roomBytes / GIB).toFixed(2)} ${layout}`).toBe(expected);
    expect(result.layout.nodeCount).toBe(need.nodes);
  });
});

describe('an explicit context', () => {
  test.each([
    ['llama-3.1-8b-instruct', 'Standard_NV36ads_A10_v5', 8_192, 1],
    ['llama-3.1-8b-instruct', 'Standard_NV36ads_A10_v5', 16_384, 2],
    ['llama-3.3-70b-instruct', 'Standard_NC80adis_H100_v5', 131_072, 2],
    ['llama-3.3-70b-instruct', 'Standard_NC96ads_A100_v4', 131_072, 1],
  ])('%s on %s with %d tokens needs %d nodes and gets just that context', (name, size, contextTokens, nodeCount) => {
    expect(fit(preset(name), gpus(size), { contextTokens })).toMatchObject({
      fits: true,
      layout: { nodeCount },
      maxModelLen: contextTokens,
    });
  });

  test.each([
    ['phi-3-mini-128k-instruct', 'Standard_NV36ads_A10_v5', 131_072],
    ['google/gemma-4-31B-it', 'Standard_NC24ads_A100_v4', 262_144],
  ])('%s on %s with %d tokens is too much for a GPU', (name, size, contextTokens) => {
    expect(fit(preset(name), gpus(size), { contextTokens })).toMatchObject({ fits: false, code: 'gpu-too-small' });
  });

  test('longer than the model’s is refused in KAITO’s words', () => {
    expect(fit(preset('phi-3-mini-4k-instruct'), gpus('Standard_NC24ads_A100_v4'), { contextTokens: 5000 })).toEqual({
      fits: false,
      code: 'context-too-long',
      reason: "max-model-len 5000 exceeds model's maximum supported context window 4096 (ModelTokenLimit)",
    });
  });

  test('an fp8 cache takes half the room', () => {
    const model = preset('llama-3.1-8b-instruct');
    const node = gpus('Standard_NV36ads_A10_v5');
    expect(fit(model, node, { contextTokens: 16_384, config: { 'kv-cache-dtype': 'fp8' } })).toMatchObject({
      layout: { nodeCount: 1 },
    });
    expect(fit(model, node, { contextTokens: 16_384, config: { 'kv-cache-dtype': 'auto' } })).toMatchObject({
      layout: { nodeCount: 2 },
    });
  });
});

describe('the predicted context', () => {
  test.each([
    ['deepseek-r1-distill-llama-8b', 'Standard_NV36ads_A10_v5', 1, 14_848],
    ['deepseek-r1-distill-qwen-14b', 'Standard_NV36ads_A10_v5', 2, 34_048],
    ['mistralai/Mistral-Small-4-119B-2603', 'Standard_NC80adis_H100_v5', 1, 761_600],
    ['MiniMaxAI/MiniMax-M2.7', 'Standard_NC80adis_H100_v5', 2, 204_800],
  ])('%s on %s × %d is KAITO’s %d', (name, size, nodeCount, expected) => {
    const result = fit(preset(name), gpus(size));
    expect(result).toMatchObject({ fits: true, layout: { nodeCount }, maxModelLen: expected });
  });

  test('a replica on each GPU has the room of one GPU, not of all', () => {
    const node = { count: 8, memoryBytes: 24 * GIB, resourceName: 'nvidia.com/gpu' };
    const model = preset('phi-4-mini-instruct');
    const result = fit(model, node);
    if (!result.fits) throw new Error(result.reason);
    expect(result.layout).toMatchObject({ dataParallel: 8, tensorParallel: 1 });
    expect(result.maxModelLen).toBe(
      longestContext(model, { ...node, count: 1 }, { tensorParallel: 1, pipelineParallel: 1 }),
    );
  });
});

describe('what can’t be', () => {
  test('Phi-4-mini needs more than the slice 1g.12gb, and fits 2g.20gb', () => {
    const [small, large] = [migProfile('1g.12gb'), migProfile('2g.20gb')];
    if (!small || !large) throw new Error('profiles');
    const refused = fit(preset('phi-4-mini-instruct'), small);
    expect(refused).toMatchObject({ fits: false, code: 'slice-too-small' });
    expect(refused).toHaveProperty(
      'reason',
      expect.stringMatching(
        /^model needs 10\.21 GiB .* but MIG profile 1g\.12gb provides 12 GiB, 10\.08 GiB of it usable/,
      ),
    );
    expect(fit(preset('phi-4-mini-instruct'), large)).toMatchObject({ fits: true, layout: { nodeCount: 1 } });
  });

  test('more nodes than there are', () => {
    expect(fit(preset('phi-4'), gpus('Standard_NV36ads_A10_v5'), { nodeCount: 1 })).toEqual({
      fits: false,
      code: 'too-few-nodes',
      reason: 'needs 2 nodes of 1 × NVIDIA A10 24 GiB, there are 1',
    });
    expect(fit(preset('phi-4'), gpus('Standard_NV36ads_A10_v5'), { nodeCount: 5 })).toMatchObject({
      layout: { nodeCount: 2 },
    });
  });

  test('GPUs that vLLM or the image can’t use', () => {
    expect(fit(preset('phi-4'), gpus('Standard_NG32ads_V620_v1'))).toMatchObject({ code: 'unsupported-gpu' });
    expect(fit(preset('phi-3-mini-4k-instruct'), gpus('Standard_NC6'))).toMatchObject({
      reason: 'NVIDIA K80 has CUDA compute capability 3.7, vLLM needs 7.0',
    });
  });

  test('an A10 is told to use a little less', () => {
    expect(fit(preset('phi-4'), gpus('Standard_NV72ads_A10_v5'))).toMatchObject({ gpuMemoryUtilization: 0.82 });
    const labelled = { ...gpus('Standard_NV72ads_A10_v5'), product: 'NVIDIA-A10' };
    expect(fit(preset('phi-4'), labelled)).toMatchObject({ gpuMemoryUtilization: 0.82 });
    expect(fit(preset('phi-4'), gpus('g5.12xlarge'))).toMatchObject({ gpuMemoryUtilization: 0.84 });
  });
});

describe('for every model and every GPU', () => {
  const models = fc.constantFrom(...presetNames().map(preset));
  const counts = fc.constantFrom(1, 2, 4, 8);
  const node = (count: number, gib: number): NodeGpus => ({
    count,
    memoryBytes: gib * GIB,
    resourceName: 'nvidia.com/gpu',
  });

  test('more GPU memory never needs more nodes', () => {
    fc.assert(
      fc.property(
        models,
        counts,
        fc.integer({ min: 8, max: 200 }),
        fc.integer({ min: 1, max: 100 }),
        (model, count, gib, more) => {
          const small = fit(model, node(count, gib));
          const large = fit(model, node(count, gib + more));
          fc.pre(small.fits);
          expect(large.fits && large.layout.nodeCount).toBeLessThanOrEqual(small.layout.nodeCount);
        },
      ),
    );
  });

  test('a longer context never needs fewer nodes', () => {
    fc.assert(
      fc.property(
        models,
        counts,
        fc.integer({ min: 1, max: 4096 }),
        fc.integer({ min: 0, max: 60_000 }),
        (model, count, tokens, more) => {
          const contextTokens = Math.min(tokens + more, model.maxModelLen);
          const longer = fit(model, node(count, 80), { contextTokens });
          fc.pre(longer.fits);
          const shorter = fit(model, node(count, 80), { contextTokens: Math.min(tokens, contextTokens) });
          expect(shorter.fits && shorter.layout.nodeCount).toBeLessThanOrEqual(longer.layout.nodeCount);
        },
      ),
    );
  });

  test('every GPU has a part, and what is laid out holds the context that was asked for', () => {
    fc.assert(
      fc.property(
        models,
        fc.constantFrom(...gpuSizes()),
        fc.integer({ min: 256, max: 131_072 }),
        (model, size, tokens) => {
          const contextTokens = Math.min(tokens, model.maxModelLen);
          const result = fit(model, size.gpus, { contextTokens });
          fc.pre(result.fits);
          const { nodeCount, gpusPerNode, tensorParallel, dataParallel, pipelineParallel } = result.layout;
          expect(tensorParallel * dataParallel * pipelineParallel).toBe(nodeCount * gpusPerNode);
          expect((model.numAttentionHeads ?? 0) % tensorParallel).toBe(0);
          const room = longestContext(model, size.gpus, { tensorParallel, pipelineParallel });
          // Predictions are whole steps of 256.
          expect(room + 256).toBeGreaterThan(contextTokens);
        },
      ),
    );
  });
});
