import { findPreset } from '../../../presets/catalogue';
import { findSize } from '../../../presets/sizes';
import { CauseError } from '../../../api/causes';
import { NO_TRAINING_CONFIG, parseTrainingConfig } from '../../../presets/training-config';
import { QUANTIZED_BITS, tuningFit, type TuningMethod } from '../../../presets/tuning-fit';

/** The sections below the root, as a file. */
function file(sections: string): string {
  return `training_config: {${sections}}`;
}

/** All that is wrong, without the name of the file. */
function problemsOf(text: string, method: TuningMethod = 'lora'): readonly string[] {
  try {
    parseTrainingConfig(text, method);
  } catch (error) {
    if (!(error instanceof CauseError)) throw error;
    expect(error.failure.cause).toBe('InvalidInput');
    expect(error.failure.remedy).toContain('training_config.yaml');
    expect(error.message).toMatch(/^tuning\.config: training_config\.yaml: /);
    return error.message.replace('tuning.config: training_config.yaml: ', '').split('; ');
  }
  throw new Error('nothing is wrong');
}

describe('what holds', () => {
  test.each([
    '',
    '# nothing',
    'training_config:',
    'training_config: {}',
    file('LoraConfig:'),
    file('LoraConfig: {r: null}'),
  ])('by default: %j', (text) => {
    for (const method of ['lora', 'qlora'] as const) {
      expect(parseTrainingConfig(text, method)).toEqual(NO_TRAINING_CONFIG);
    }
    expect(NO_TRAINING_CONFIG).toEqual({ outputDirectory: '/mnt/results' });
  });

  test('by a template as KAITO’s users have it', () => {
    const text = `
training_config:
  ModelConfig: # the base model
    torch_dtype: "bfloat16"
    local_files_only: true
    device_map: "auto"
  QuantizationConfig:
    load_in_4bit: true
    bnb_4bit_quant_type: "nf4"
    bnb_4bit_compute_dtype: "bfloat16"
    bnb_4bit_use_double_quant: true
  LoraConfig:
    r: 16
    lora_alpha: 16
    lora_dropout: 0.0
    target_modules: ['q_proj', 'k_proj']
  TrainingArguments:
    output_dir: "/mnt/output"
    ddp_find_unused_parameters: false
    save_strategy: "epoch"
    per_device_train_batch_size: 2
    learning_rate: 2e-5
    max_seq_length: 512
  DataCollator:
    mlm: true
  DatasetConfig:
    shuffle_dataset: true
    train_test_split: 1
    dataset_extension: json
`;
    expect(parseTrainingConfig(text, 'qlora')).toEqual({
      outputDirectory: '/mnt/output',
      maxLength: 512,
      batchSize: 2,
      rank: 16,
      torchDtype: 'bfloat16',
      datasetExtension: 'json',
    });
  });

  test('goes into the estimate as it is', () => {
    const [model, size] = [findPreset('phi-4'), findSize('Standard_NV36ads_A10_v5')];
    if (!model || !size) throw new Error('catalogue');
    const config = parseTrainingConfig(file('TrainingArguments: {max_length: 100000}'), 'qlora');
    expect(tuningFit(model, size.gpus, { ...config, method: 'qlora' }).fits).toBe(false);
    expect(tuningFit(model, size.gpus, { ...NO_TRAINING_CONFIG, method: 'qlora' }).fits).toBe(true);
  });

  test.each([
    ['QuantizationConfig: {load_in_8bit: true}', { quantizedBits: QUANTIZED_BITS.int8 }],
    ['QuantizationConfig: {load_in_4bit: false, load_in_8bit: true}', { quantizedBits: QUANTIZED_BITS.int8 }],
    ['QuantizationConfig: {bnb_4bit_use_double_quant: false}', { quantizedBits: QUANTIZED_BITS.nf4 }],
    ['ModelConfig: {dtype: float32}', { torchDtype: 'float32' }],
    ['ModelConfig: {torch_dtype: auto}', {}],
    ['TrainingArguments: {bf16: true, gradient_checkpointing: false}', { bf16: true, gradientCheckpointing: false }],
    ['TrainingArguments: {max_length: "256"}', { maxLength: 256 }],
    // YAML 1.1, which the training program reads, takes these words for true and false.
    ['TrainingArguments: {save_strategy: no, bf16: yes}', { bf16: true }],
    [
      'TrainingArguments: {per_gpu_train_batch_size: 4, evaluation_strategy: no, no_cuda: false, per_gpu_eval_batch_size: 2, warmup_ratio: 0.1}',
      { batchSize: 4 },
    ],
    ['LoraConfig: {init_lora_weights: gaussian, target_modules: all-linear, rank_pattern: {q_proj: 4}}', {}],
    ['LoraConfig: {layers_to_transform: [1, 2]}', {}],
  ])('%s', (sections, expected) => {
    expect(parseTrainingConfig(file(sections), 'qlora')).toEqual({ ...NO_TRAINING_CONFIG, ...expected });
  });
});

describe('what is refused', () => {
  test.each([
    ['training_config: [1', /^not YAML: .* at line 1, column \d+$/],
    ['training_config:\n  LoraConfig: {r: 1}\n  LoraConfig: {r: 2}', /^not YAML: .* at line 3, column 3$/],
    ['- 1', /^it must be a map with the key training_config$/],
    ['LoraConfig: {r: 8}', /^expected the one key training_config with the sections below it, found LoraConfig$/],
    ['training_config: {}\nother: 1', /found other$/],
    ['training_config: [LoraConfig]', /^Expected 'training_config' key to contain a map of sections/],
  ])('a file that is no configuration: %j', (text, problem) => {
    expect(problemsOf(text)[0]).toMatch(problem);
  });

  test('unknown sections and keys, each with what was probably meant', () => {
    const text = file(
      'LoRAConfig: {r: 8}, Zzz: {}, LoraConfig: {lora_alfa: 8, output_dir: /mnt/a}, TrainingArguments: {learning_rat: 1, zzzzzz: 1}',
    );
    const sections =
      '(there are DataCollator, DatasetConfig, LoraConfig, ModelConfig, QuantizationConfig, TrainingArguments)';
    expect(problemsOf(text)).toEqual([
      'Unrecognized section: LoRAConfig',
      `did you mean LoraConfig? ${sections}`,
      `Unrecognized section: Zzz ${sections}`,
      'LoraConfig.lora_alfa: unknown key',
      'did you mean lora_alpha?',
      'LoraConfig.output_dir: unknown key',
      'it belongs into TrainingArguments',
      'TrainingArguments.learning_rat: unknown key',
      'did you mean learning_rate?',
      'TrainingArguments.zzzzzz: unknown key',
    ]);
  });

  test.each([
    ['LoraConfig: 8', 'LoraConfig: must be a map of keys and values'],
    ['LoraConfig: {r: eight}', 'LoraConfig.r: "eight" is none of int'],
    ['LoraConfig: {r: 8.5}', 'LoraConfig.r: 8.5 is none of int'],
    ['LoraConfig: {r: true}', 'LoraConfig.r: true is none of int'],
    ['LoraConfig: {r: [8]}', 'LoraConfig.r: [8] is none of int'],
    ['LoraConfig: {r: 0}', 'LoraConfig.r: 0 is no whole number above 0'],
    ['LoraConfig: {use_dora: 1}', 'LoraConfig.use_dora: 1 is none of bool'],
    ['LoraConfig: {layers_to_transform: [a]}', 'LoraConfig.layers_to_transform: ["a"] is none of int, list[int], null'],
    ['LoraConfig: {rank_pattern: [1]}', 'LoraConfig.rank_pattern: [1] is none of dict, null'],
    ['TrainingArguments: {max_length: -5}', 'TrainingArguments.max_length: -5 is no whole number above 0'],
    ['TrainingArguments: {learning_rate: fast}', 'TrainingArguments.learning_rate: "fast" is none of float'],
    ['DatasetConfig: {train_test_split: 0}', 'DatasetConfig.train_test_split: 0 is not above 0 and at most 1'],
    ['DatasetConfig: {train_test_split: 1.5}', 'DatasetConfig.train_test_split: 1.5 is not above 0 and at most 1'],
    [
      'TrainingArguments: {max_seq_length: 6, max_length: 5}',
      'TrainingArguments.max_length: is set by its earlier name, too',
    ],
    [
      'TrainingArguments: {eval_strategy: steps, evaluation_strategy: steps}',
      'TrainingArguments.eval_strategy: is set by its earlier name, too',
    ],
  ])('%s', (sections, problem) => {
    expect(problemsOf(file(sections))[0]).toBe(problem);
  });

  test('a word that is none of a few, with the nearest', () => {
    expect(problemsOf(file('TrainingArguments: {save_strategy: epochs}'))).toEqual([
      `TrainingArguments.save_strategy: "epochs" is none of 'best', 'epoch', 'no', 'steps'`,
      'did you mean epoch?',
    ]);
    const [problem] = problemsOf(file('TrainingArguments: {optim: adamw_torsch}'));
    expect(problem).toMatch(/^TrainingArguments\.optim: "adamw_torsch" is none of ('\w+', ){8}\d+ other words/);
  });

  test.each([
    ['lora', 'load_in_4bit: true', `For method 'lora', QuantizationConfig.load_in_4bit must not be true`],
    ['lora', 'load_in_8bit: true', `For method 'lora', QuantizationConfig.load_in_8bit must not be true`],
    [
      'qlora',
      'load_in_4bit: false',
      `For method 'qlora', either 'load_in_4bit' or 'load_in_8bit' of QuantizationConfig must be true`,
    ],
    [
      'qlora',
      'load_in_4bit: true, load_in_8bit: true',
      `Cannot set both 'load_in_4bit' and 'load_in_8bit' to true in QuantizationConfig`,
    ],
    ['qlora', 'load_in_4bit: 4', 'QuantizationConfig.load_in_4bit: 4 is none of bool'],
  ] as const)('by %s: QuantizationConfig {%s}', (method, section, problem) => {
    expect(problemsOf(file(`QuantizationConfig: {${section}}`), method)[0]).toBe(problem);
  });

  test('quantization in the wrong section', () => {
    expect(problemsOf(file('ModelConfig: {load_in_4bit: true}'), 'qlora')).toEqual([
      'ModelConfig.load_in_4bit: set QuantizationConfig.load_in_4bit instead',
    ]);
  });

  test('more than eight problems are counted', () => {
    const keys = Array.from({ length: 11 }, (_, index) => `zzz${index}: 1`).join(', ');
    expect(problemsOf(file(`LoraConfig: {${keys}}`)).slice(7)).toEqual(['LoraConfig.zzz7: unknown key', 'and 3 more']);
  });
});

describe('output_dir', () => {
  test.each([
    ['/mnt/results', '/mnt/results'],
    ['/mnt/a/b/', '/mnt/a/b'],
    ['/mnt//a', '/mnt/a'],
    ['results', '/mnt/results'],
    ['mnt/results', '/mnt/mnt/results'],
    ['/mnt/database', '/mnt/database'],
  ])('%s is %s', (written, directory) => {
    expect(parseTrainingConfig(file(`TrainingArguments: {output_dir: ${written}}`), 'lora').outputDirectory).toBe(
      directory,
    );
  });

  test.each([
    ['/mnt', 'is no directory below /mnt'],
    ['/mnt/', 'is no directory below /mnt'],
    ['.', 'is no directory below /mnt'],
    ['/', 'is no directory below /mnt'],
    ['/results', 'is no directory below /mnt'],
    ['/mntx/a', 'is no directory below /mnt'],
    ['/mnt/../etc', 'is no directory below /mnt'],
    ['/mnt/a/../b', 'is no directory below /mnt'],
    ['/mnt/data', "is the training's own /mnt/data"],
    ['/mnt/config/a', "is the training's own /mnt/config"],
    ['/mnt/a:b', 'has a colon'],
  ])('%s %s', (written, problem) => {
    expect(problemsOf(file(`TrainingArguments: {output_dir: "${written}"}`))).toEqual([
      `TrainingArguments.output_dir: '${written}' ${problem}: write a directory below /mnt, such as /mnt/results`,
    ]);
  });

  test('is a text', () => {
    expect(problemsOf(file('TrainingArguments: {output_dir: [a]}'))[0]).toMatch(
      /^TrainingArguments\.output_dir: \["a"\] is none of/,
    );
  });
});

test('a text that is too long is refused before it is read: that would take minutes', () => {
  const text = `training_config: {${Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join()}}`;
  expect(() => parseTrainingConfig(text, 'lora')).toThrow(/^training_config.yaml: has \d+ bytes, and may have 32768$/);
});
