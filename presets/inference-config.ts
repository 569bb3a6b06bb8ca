import { parseDocument } from 'yaml';
import { CauseError } from '../api/causes';
import { toError } from '../api/to-error';
import { refuseLong } from './config-text';

/** Key of the ConfigMap that `inference.config` names. */
export const INFERENCE_CONFIG_KEY = 'inference_config.yaml';

/** The user's options for the model server. */
export interface InferenceConfig {
  /** vLLM options: name without leading dashes → value; '' is a bare flag. */
  readonly vllm: Readonly<Record<string, string>>;
  /** `max-model-len` as a number; absent when it isn't set, or is `auto`. */
  readonly maxModelLen?: number;
  /** Keys that KAITO knows, or that nobody knows, and that do nothing here. */
  readonly ignored: readonly string[];
}

export const NO_INFERENCE_CONFIG: InferenceConfig = { vllm: {}, ignored: [] };

/**
 * Reads the content of `inference_config.yaml`.
 *
 * @throws CauseError (InvalidInput) that names the key and what to write instead.
 */
export function parseInferenceConfig(text: string): InferenceConfig {
  refuseLong(INFERENCE_CONFIG_KEY, text);
  const document = parseDocument(text);
  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) throw invalid(`Failed to parse ${INFERENCE_CONFIG_KEY}: ${syntaxError.message}`);
  const content = contentOf(document);
  if (!isMap(content)) {
    throw invalid(
      `Failed to parse ${INFERENCE_CONFIG_KEY}: it must be a map; put the server's options under the key vllm`,
    );
  }
  const section = content['vllm'] ?? {};
  if (!isMap(section)) {
    throw invalid(
      `Failed to parse ${INFERENCE_CONFIG_KEY}: vllm must be a map of options, such as max-model-len: 8192`,
    );
  }
  const vllm = Object.fromEntries(Object.entries(section).map(([key, value]) => option(key, value)));
  // An alias makes much of little text.
  refuseLong(`${INFERENCE_CONFIG_KEY}: vllm`, JSON.stringify(vllm));
  const maxModelLen = lengthOf(vllm['max-model-len']);
  return {
    vllm,
    ...(maxModelLen === undefined ? {} : { maxModelLen }),
    ignored: Object.keys(content).filter((key) => key !== 'vllm'),
  };
}

function contentOf(document: { toJS(): unknown }): unknown {
  try {
    return document.toJS() ?? {};
  } catch (error) {
    // Aliases of aliases that would make more than fits into memory.
    throw invalid(`Failed to parse ${INFERENCE_CONFIG_KEY}: ${toError(error).message}`);
  }
}

/** One option as vLLM's command line spells it: `true` is a bare flag, `false` its negation `no-…`. */
function option(key: string, value: unknown): [string, string] {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(key)) {
    throw invalid(
      `${INFERENCE_CONFIG_KEY}: vllm.${key} is no option name; write it as vLLM does, without the leading dashes`,
    );
  }
  const name = dashed(key);
  switch (typeof value) {
    case 'string':
      return [name, value];
    case 'number':
    case 'bigint':
      return [name, String(value)];
    case 'boolean':
      // A field of a structured option has no negation of its own.
      if (name.includes('.')) return [name, String(value)];
      return [value ? name : negated(name), ''];
    default:
      if (value === null) return [name, ''];
      throw invalid(
        `${INFERENCE_CONFIG_KEY}: vllm.${key} must be a single value, not a list or a map; write it as JSON in quotes`,
      );
  }
}

/** vLLM takes underscores for dashes up to the first dot; behind it stand field names. */
function dashed(key: string): string {
  const [option = '', ...fields] = key.split('.');
  return [option.replaceAll('_', '-'), ...fields].join('.');
}

/** The option that switches a flag off, and the flag that such an option switches. */
export function negated(name: string): string {
  return name.startsWith('no-') ? name.slice('no-'.length) : `no-${name}`;
}

function lengthOf(value: string | undefined): number | undefined {
  if (value === undefined || value === 'auto') return undefined;
  if (!/^\d+$/.test(value) || Number(value) < 1 || !Number.isSafeInteger(Number(value))) {
    throw invalid(
      `${INFERENCE_CONFIG_KEY}: vllm.max-model-len must be an integer: "${value}"; write a number of tokens such as 8192, or leave it out`,
    );
  }
  return Number(value);
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string): CauseError {
  return new CauseError({ cause: 'InvalidInput', message });
}
