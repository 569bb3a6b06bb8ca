import { z } from 'zod';
import { readDataFile, shippedDataFile } from './data-file';
import type { Model } from './types';

const GIB = 2 ** 30;
const count = z.int().positive();

/** What is known of a model's repository: the figures that everything else is derived from. */
export const modelFactsSchema = z.strictObject({
  /** Hugging Face id as published. */
  id: z.string().regex(/^[^/\s]+\/[^/\s]+$/, 'must be a Hugging Face id: organisation/model'),
  architectures: z.array(z.string().min(1)).readonly(),
  /** Weight files of the repository, GiB. */
  weightsGiB: z.number().positive(),
  maxModelLen: count,
  hiddenSize: count.optional(),
  layers: count.optional(),
  heads: count.optional(),
  kvHeads: count.optional(),
  headDim: count.optional(),
  kvLoraRank: count.optional(),
  qkRopeHeadDim: count.optional(),
  /** Layers with a sliding window: how many, and how many tokens they look back. */
  sliding: z.strictObject({ layers: count, window: count }).optional(),
  quantization: z.strictObject({ method: z.string().min(1), bits: count.optional() }).optional(),
  /** `mistral`: weights, configuration and tokenizer are in Mistral's own format. */
  format: z.literal('mistral').optional(),
  /** Commit to download; without it, the head of the default branch. */
  revision: z.string().min(1).optional(),
  /** Image with the weights, for models that are not to be had from the hub. */
  image: z.string().min(1).optional(),
  gated: z.boolean().optional(),
  tuning: z.boolean().optional(),
});

export type ModelFacts = z.output<typeof modelFactsSchema>;

const names = z.record(z.string(), z.string());
const rulesSchema = z.strictObject({
  configKeys: z.record(z.string(), z.array(z.string()).min(1)),
  reasoningParser: z.strictObject({ byNamePrefix: names, byArchitecture: names, none: z.array(z.string()) }),
  toolCallParser: z.strictObject({ byNamePrefix: names, byArchitecture: names }),
  chatTemplate: names,
  flagsByNamePrefix: z.record(z.string(), names),
  deepGemmArchitectures: z.array(z.string()),
});

/** Tables that turn a model's name and architecture into vLLM flags. */
export const rules = readDataFile(shippedDataFile('rules.json'), rulesSchema);

/** Where the runtime image keeps the chat templates that `rules.json` names. */
const CHAT_TEMPLATES = '/workspace/chat_templates';
/** Space beside the weights, GiB (KAITO v0.12). */
const SYSTEM_DISK_GIB = 80;

/** The last segment of an id, lower case. */
export function shortNameOf(id: string): string {
  return (id.split('/').at(-1) ?? id).toLowerCase();
}

/** Derives a Model; `weightsBytes` overrides the rounded figure of the facts where the exact one is known. */
export function modelOf(facts: ModelFacts, weightsBytes = Math.ceil(facts.weightsGiB * GIB)): Model {
  const shortName = shortNameOf(facts.id);
  const deepGemm = facts.architectures.some((name) => rules.deepGemmArchitectures.includes(name));
  const kvHeads = facts.kvHeads ?? facts.heads;
  return {
    id: facts.id,
    shortName,
    ...(facts.revision === undefined ? {} : { revision: facts.revision }),
    ...(facts.image === undefined ? {} : { image: facts.image }),
    architectures: facts.architectures,
    weightsBytes,
    maxModelLen: facts.maxModelLen,
    kvBytesPerToken: kvBytesPerToken(facts),
    attention: attentionOf(facts),
    ...(facts.layers === undefined ? {} : { numHiddenLayers: facts.layers }),
    ...(facts.heads === undefined ? {} : { numAttentionHeads: facts.heads }),
    ...(kvHeads === undefined ? {} : { numKeyValueHeads: kvHeads }),
    ...(facts.sliding === undefined ? {} : { sliding: facts.sliding }),
    diskGiB: Math.trunc(weightsBytes / GIB + SYSTEM_DISK_GIB),
    ...(facts.quantization === undefined ? {} : { quantization: quantizationOf(facts.quantization) }),
    vllmFlags: flagsOf(facts, shortName),
    env: { VLLM_USE_DEEP_GEMM: deepGemm ? '1' : '0', VLLM_USE_FLASHINFER_SAMPLER: '0' },
    startupSeconds: startupSeconds(weightsBytes / GIB),
    gated: facts.gated ?? false,
    supportsTuning: facts.tuning ?? false,
  };
}

function quantizationOf(facts: NonNullable<ModelFacts['quantization']>): NonNullable<Model['quantization']> {
  return facts.bits === undefined ? { method: facts.method } : { method: facts.method, bits: facts.bits };
}

/** Two bytes per element; MLA caches one latent vector per layer instead of keys and values (presets.md §8). */
function kvBytesPerToken(facts: ModelFacts): number {
  const { layers, heads } = facts;
  if (layers === undefined) return 0;
  if (facts.kvLoraRank !== undefined) return (facts.kvLoraRank + (facts.qkRopeHeadDim ?? 0)) * layers * 2;
  const kvHeads = facts.kvHeads ?? heads;
  const headDim = facts.headDim ?? (facts.hiddenSize && heads ? Math.trunc(facts.hiddenSize / heads) : undefined);
  return kvHeads === undefined || headDim === undefined ? 0 : 2 * kvHeads * headDim * layers * 2;
}

function attentionOf(facts: ModelFacts): Model['attention'] {
  if (facts.kvLoraRank !== undefined) return 'MLA';
  const kvHeads = facts.kvHeads ?? facts.heads;
  if (kvHeads === facts.heads) return 'MHA';
  return kvHeads === 1 ? 'MQA' : 'GQA';
}

/** KAITO's patience: 15 minutes and 18 seconds a GiB, within half an hour and three hours; whole probe periods of 10 s. */
function startupSeconds(weightsGiB: number): number {
  const seconds = Math.min(Math.max(15 * 60 + 18 * weightsGiB, 30 * 60), 180 * 60);
  return Math.ceil(seconds / 10) * 10;
}

function flagsOf(facts: ModelFacts, shortName: string): Record<string, string> {
  const format = facts.format ?? 'auto';
  const flags: Record<string, string> = {
    'config-format': format,
    dtype: facts.quantization === undefined ? 'bfloat16' : 'auto',
    'load-format': format,
    'tokenizer-mode': format,
    'trust-remote-code': '',
  };
  const template = byPrefix(rules.chatTemplate, shortName);
  if (template !== undefined) flags['chat-template'] = `${CHAT_TEMPLATES}/${template}`;
  const toolParser =
    byPrefix(rules.toolCallParser.byNamePrefix, shortName) ??
    byArchitecture(rules.toolCallParser.byArchitecture, facts.architectures);
  if (toolParser !== undefined) {
    flags['tool-call-parser'] = toolParser;
    flags['enable-auto-tool-choice'] = '';
  }
  const reasoningParser = rules.reasoningParser.none.includes(shortName)
    ? undefined
    : (byPrefix(rules.reasoningParser.byNamePrefix, shortName) ??
      byArchitecture(rules.reasoningParser.byArchitecture, facts.architectures));
  if (reasoningParser !== undefined) flags['reasoning-parser'] = reasoningParser;
  for (const [prefix, extra] of Object.entries(rules.flagsByNamePrefix)) {
    if (shortName.startsWith(prefix)) Object.assign(flags, extra);
  }
  return Object.fromEntries(Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The longest prefix wins. */
function byPrefix(table: Readonly<Record<string, string>>, shortName: string): string | undefined {
  const prefixes = Object.keys(table).filter((prefix) => shortName.startsWith(prefix));
  const longest = prefixes.sort((a, b) => b.length - a.length)[0];
  return longest === undefined ? undefined : table[longest];
}

function byArchitecture(table: Readonly<Record<string, string>>, architectures: readonly string[]): string | undefined {
  return architectures.map((name) => table[name]).find((parser) => parser !== undefined);
}
