import { z } from 'zod';
import { CauseError } from '../api/causes';
import { readDataFile, shippedDataFile } from './data-file';
import { modelOf, rules, shortNameOf, type ModelFacts } from './model-facts';
import type { Model } from './types';

const GIB = 2 ** 30;
/** What KAITO takes when a configuration names no limit. */
const DEFAULT_MAX_MODEL_LEN = 2048;
/** Anybody may publish a configuration with more, or longer ones; what is told of them stays short. */
const MOST_NAMES = 5;
const MOST_NAME_CHARS = 100;

/** One file of a hub repository. */
export interface HubFile {
  readonly path: string;
  /** Bytes; of the content, not of a Git LFS pointer. */
  readonly size: number;
}

let architectures: ReadonlySet<string> | undefined;

function servedArchitectures(): ReadonlySet<string> {
  return (architectures ??= new Set(readDataFile(shippedDataFile('architectures.json'), z.array(z.string()))));
}

/**
 * Describes a model that the catalogue doesn't have, from its repository's configuration and file sizes.
 *
 * @param config `config.json`, or `params.json` of a repository in Mistral's own format.
 * @throws CauseError (NotSupported) when vLLM doesn't know the architecture, or there are no weights.
 */
export function describeConfig(
  id: string,
  config: Readonly<Record<string, unknown>>,
  files: readonly HubFile[],
  revision: string,
  gated = false,
): Model {
  const names = strings(config['architectures']);
  if (names.length > 0 && !names.some((name) => servedArchitectures().has(name))) {
    const shown = names.slice(0, MOST_NAMES).map((name) => name.slice(0, MOST_NAME_CHARS));
    throw notSupported(`unsupported model architecture for ${id}: ${shown.join(', ')}; vLLM doesn't serve it`);
  }
  const weights = weightFiles(id, files);
  const text = flattened(config);
  const number = (fact: string) => integer(text, rules.configKeys[fact] ?? []);
  const heads = number('heads');
  const layers = number('layers');
  const quantization = quantizationOf(text);
  const sliding = slidingOf(text, layers);
  const facts: ModelFacts = {
    id,
    // Others say nothing, and there may be any number of them.
    architectures: names.filter((name) => servedArchitectures().has(name)),
    weightsGiB: weights.bytes / GIB,
    maxModelLen: number('maxModelLen') ?? DEFAULT_MAX_MODEL_LEN,
    hiddenSize: number('hiddenSize'),
    layers,
    heads,
    kvHeads: number('kvHeads') ?? (text['multi_query'] === true ? 1 : heads),
    headDim: number('headDim'),
    kvLoraRank: number('kvLoraRank'),
    qkRopeHeadDim: number('qkRopeHeadDim'),
    revision,
    gated,
    ...(weights.mistral ? { format: 'mistral' } : {}),
    ...(quantization === undefined ? {} : { quantization }),
    ...(sliding === undefined ? {} : { sliding }),
  };
  return modelOf(facts, weights.bytes);
}

/** Whether a repository holds weights in Mistral's own format, whose configuration is `params.json`. */
export function isMistralFormat(files: readonly HubFile[]): boolean {
  return files.some((file) => MISTRAL_WEIGHTS.test(file.path) && isLoaded(file));
}

const MISTRAL_WEIGHTS = /consolidated.*\.safetensors$/;

/** The first kind that there is, as vLLM chooses. */
function weightFiles(id: string, files: readonly HubFile[]): { readonly bytes: number; readonly mistral: boolean } {
  for (const pattern of [MISTRAL_WEIGHTS, /\.safetensors$/, /\.bin$/]) {
    const found = files.filter((file) => pattern.test(file.path) && isLoaded(file));
    const bytes = found.reduce((sum, file) => sum + file.size, 0);
    if (bytes > 0) return { bytes, mistral: pattern === MISTRAL_WEIGHTS };
  }
  throw notSupported(`${id}: no .safetensors or .bin files found in the repository`);
}

/** vLLM doesn't download `original/**` (LoadConfig.ignore_patterns): some repositories keep the same weights there again. */
function isLoaded(file: HubFile): boolean {
  return !file.path.startsWith('original/');
}

/** Models of several parts describe the language part in a section of its own. */
function flattened(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const section = [config['text_config'], config['llm_config']].find(isObject);
  return section === undefined ? config : { ...section, ...withoutNulls(config) };
}

function withoutNulls(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null && value !== undefined));
}

/** The first key that holds a positive integer, as a number or as its text. */
function integer(config: Readonly<Record<string, unknown>>, keys: readonly string[]): number | undefined {
  for (const key of keys) {
    const value = config[key];
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (typeof number === 'number' && Number.isSafeInteger(number) && number > 0) return number;
  }
  return undefined;
}

function quantizationOf(config: Readonly<Record<string, unknown>>): ModelFacts['quantization'] {
  const section = config['quantization_config'];
  if (!isObject(section) || typeof section['quant_method'] !== 'string') return undefined;
  if (section['quant_method'].length > MOST_NAME_CHARS) return undefined;
  const bits = integer(section, ['bits']);
  return { method: section['quant_method'], ...(bits === undefined ? {} : { bits }) };
}

/**
 * Counted only where the configuration lists every layer as one of two kinds with caches of one size; what is more mixed (linear attention,
 * global layers with heads of their own, layers that share a cache) counts as full attention, as in KAITO.
 */
function slidingOf(
  config: Readonly<Record<string, unknown>>,
  layers: number | undefined,
): { readonly layers: number; readonly window: number } | undefined {
  const window = integer(config, ['sliding_window']);
  const types = strings(config['layer_types']);
  if (window === undefined || types.length === 0 || types.length !== layers) return undefined;
  const isMixed = types.some((type) => type !== 'sliding_attention' && type !== 'full_attention');
  const cachesDiffer = integer(config, ['global_head_dim', 'num_global_key_value_heads', 'num_kv_shared_layers']);
  const count = types.filter((type) => type === 'sliding_attention').length;
  return isMixed || cachesDiffer !== undefined || count === 0 ? undefined : { layers: count, window };
}

/** `config.json` as an object; Python writes Infinity and NaN, which JSON doesn't know. */
export function parseConfig(id: string, text: string): Readonly<Record<string, unknown>> {
  for (const candidate of [text, text.replace(/(?<=[[,:]\s*)-?(?:Infinity|NaN)\b/g, 'null')]) {
    try {
      const config: unknown = JSON.parse(candidate);
      if (isObject(config)) return config;
    } catch {
      // Told below, once, for both readings.
    }
  }
  throw notSupported(`${shortNameOf(id)}: the model's configuration is not a JSON object`);
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : [];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notSupported(message: string): CauseError {
  return new CauseError({ cause: 'NotSupported', message });
}
