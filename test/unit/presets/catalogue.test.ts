import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PRESET_ALIASES } from '../../../api/preset-names';
import { RETIRED_PRESETS } from '../../../api/retired-presets';
import { findPreset, loadCatalogue, presetNames, retiredPreset } from '../../../presets/catalogue';
import figures from './catalogue-figures.json';

/** KAITO v0.12's own figures; the catalogue derives them from each model's configuration. */
const FIGURES = Object.entries(figures);
/** KAITO counts these repositories' second copy of the weights (`original/`), which vLLM doesn't download: half of its figure. */
const COUNTED_TWICE: Readonly<Record<string, number>> = { 'openai/gpt-oss-20b': 12.82, 'openai/gpt-oss-120b': 60.77 };

test('has the 60 models and 25 aliases, each alias a model', () => {
  expect(FIGURES).toHaveLength(60);
  expect(loadCatalogue().size).toBe(60);
  expect(Object.keys(PRESET_ALIASES)).toHaveLength(25);
  expect(Object.entries(PRESET_ALIASES).map(([alias]) => [alias, findPreset(alias)?.id])).toEqual(
    Object.entries(PRESET_ALIASES),
  );
  expect(presetNames()).toHaveLength(85);
});

test.each(FIGURES)('%s has KAITO’s figures and flags', (id, expected) => {
  const model = findPreset(id);
  const twice = COUNTED_TWICE[id];
  const gib = 2 ** 30;
  expect(model).toMatchObject({
    id,
    kvBytesPerToken: expected.kvBytesPerToken,
    weightsBytes: twice === undefined ? expected.weightsBytes : Math.ceil(twice * gib),
    diskGiB: twice === undefined ? expected.diskGiB : Math.trunc(twice + 80),
    maxModelLen: expected.maxModelLen,
    attention: expected.attention,
    startupSeconds: twice === undefined ? Math.ceil(expected.startupSeconds / 10) * 10 : (expect.any(Number) as number),
    vllmFlags: expected.vllmFlags,
    env: { VLLM_USE_DEEP_GEMM: expected.deepGemm ? '1' : '0', VLLM_USE_FLASHINFER_SAMPLER: '0' },
  });
  expect(model?.vllmFlags).toEqual(expected.vllmFlags);
});

test('finds ids and aliases in any case, and nothing else', () => {
  expect(findPreset('MICROSOFT/phi-4')?.shortName).toBe('phi-4');
  expect(findPreset('Gemma-3-4B-Instruct')?.shortName).toBe('gemma-3-4b-it');
  expect(findPreset('gemma-3-4b-it')).toBeUndefined();
  expect(findPreset('constructor')).toBeUndefined();
});

test('tells what to use instead of a retired preset, and that can be served', () => {
  expect(retiredPreset('Falcon-7B')?.message).toBe('preset Falcon-7B is retired: use tiiuae/falcon-7b instead');
  expect(retiredPreset('phi-4')).toBeUndefined();
  for (const instead of Object.values(RETIRED_PRESETS)) {
    expect(findPreset(instead) !== undefined || instead.includes('/')).toBe(true);
  }
});

describe('a directory of further presets', () => {
  const TINY = { id: 'test/tiny', architectures: ['LlamaForCausalLM'], weightsGiB: 0.01, maxModelLen: 512, layers: 2 };

  test('adds its models', () => {
    const directory = directoryWith([TINY]);
    expect(loadCatalogue(directory).get('test/tiny')).toMatchObject({ id: 'test/tiny', maxModelLen: 512, diskGiB: 80 });
  });

  test.each([
    ['an unknown field', [{ ...TINY, layer: 2 }], 'entry 1 (test/tiny): Unrecognized key: "layer"'],
    ['a wrong figure', [TINY, { ...TINY, id: 'test/b', heads: -1 }], 'entry 2 (test/b), field heads: '],
    [
      'a wrong id',
      [{ ...TINY, id: 'tiny' }],
      'entry 1 (tiny), field id: must be a Hugging Face id: organisation/model',
    ],
    [
      'a model twice',
      [{ ...TINY, id: 'Microsoft/Phi-4' }],
      'entry 1 (Microsoft/Phi-4): the catalogue already has this',
    ],
    ['no list', TINY, 'expected array'],
  ])('refuses %s, naming file and entry', (_, content, message) => {
    const directory = directoryWith(content);
    expect(() => loadCatalogue(directory)).toThrow(join(directory, 'extra.json'));
    expect(() => loadCatalogue(directory)).toThrow(message);
  });

  test('refuses a directory that isn’t there', () => {
    expect(() => loadCatalogue('/nowhere')).toThrow('KAITO_PRESETS_DIR=/nowhere');
  });
});

const folder = mkdtempSync(join(tmpdir(), 'presets-'));
afterAll(() => rmSync(folder, { recursive: true }));

function directoryWith(content: unknown): string {
  const directory = mkdtempSync(join(folder, 'presets-'));
  writeFileSync(join(directory, 'extra.json'), JSON.stringify(content));
  writeFileSync(join(directory, 'README.md'), 'not a catalogue file');
  return directory;
}
