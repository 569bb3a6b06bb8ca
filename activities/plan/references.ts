/**
 * What a Workspace refers to and the plan needs: the model, the Secret with its token, the ConfigMap with the model server's options.
 */
import { CauseError } from '../../api/causes';
import type { Model } from '../../api/model';
import type { PresetSpec, Workspace, WorkspaceStatus } from '../../api/workspace';
import { RESOURCES } from '../../kubernetes/resources';
import { findPreset, presetNames, retiredPreset } from '../../presets/catalogue';
import {
  INFERENCE_CONFIG_KEY as CONFIG_KEY,
  NO_INFERENCE_CONFIG,
  parseInferenceConfig,
  type InferenceConfig,
} from '../../presets/inference-config';
import { sha256 } from '../../manifests/digest';
import type { Dependencies } from '../dependencies';
import { readSecret } from '../read-secret';

const TOKEN_KEY = 'HF_TOKEN';

/** The model that a preset names: from the catalogue, or else described by the Hugging Face hub. */
export async function resolveModel(
  deps: Dependencies,
  workspace: Workspace,
  preset: PresetSpec,
  signal: AbortSignal,
): Promise<Model> {
  const token = await readToken(deps, workspace, preset, signal);
  const retired = retiredPreset(preset.name);
  if (retired !== undefined) throw new CauseError({ cause: 'NotSupported', message: retired.message });

  const known = findPreset(preset.name);
  if (known !== undefined) return known;
  if (!preset.name.includes('/')) {
    throw new CauseError({
      cause: 'InvalidInput',
      message: `${kindOf(workspace)}.preset.name: unsupported preset name '${preset.name}'`,
      remedy: `Name one of ${presetNames().join(', ')}, or a Hugging Face model as org/model.`,
    });
  }
  return deps.describeModel(preset.name, { signal, ...(token !== undefined && { token }) });
}

function kindOf({ tuning }: Workspace): 'inference' | 'tuning' {
  return tuning === undefined ? 'inference' : 'tuning';
}

/** The token is used here and nowhere else: it never leaves this process except to the hub. */
async function readToken(
  deps: Dependencies,
  workspace: Workspace,
  preset: PresetSpec,
  signal: AbortSignal,
): Promise<string | undefined> {
  const name = preset.presetOptions?.modelAccessSecret;
  if (name === undefined) return undefined;
  const field = `${kindOf(workspace)}.preset.presetOptions.modelAccessSecret`;
  const { namespace } = workspace.metadata;
  const secret = await readSecret(deps, { namespace, name, field }, signal);
  if (secret === undefined) {
    const message = `${field}: Secret '${name}' not found in namespace '${namespace}'`;
    const remedy = `Create it: kubectl create secret generic ${name} -n ${namespace} --from-literal=${TOKEN_KEY}=…`;
    throw new CauseError({ cause: 'MissingReference', message, remedy });
  }
  const value = secret.data?.[TOKEN_KEY];
  if (value === undefined || value === '') {
    throw new CauseError({
      cause: 'MissingReference',
      message: `${field}: Secret '${name}' in namespace '${namespace}' has no key ${TOKEN_KEY}`,
      remedy: `Put the Hugging Face token under the key ${TOKEN_KEY}.`,
    });
  }
  return Buffer.from(value, 'base64').toString('utf8').trim();
}

export interface ReadConfig {
  readonly config: InferenceConfig;
  readonly hash?: string;
  readonly inferenceConfig?: NonNullable<WorkspaceStatus['inferenceConfig']>;
}

/** The options in the ConfigMap that `inference.config` names; none if it names none. */
export async function readInferenceConfig(
  deps: Dependencies,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<ReadConfig> {
  const name = workspace.inference?.config;
  if (name === undefined || name === '') return { config: NO_INFERENCE_CONFIG };
  const { namespace } = workspace.metadata;
  const at = { namespace, name, key: CONFIG_KEY, field: 'inference.config' };
  const { text, hash, source } = await readConfigMap(deps, at, signal);
  return { config: parseInferenceConfig(text), hash, inferenceConfig: source };
}

export interface ReadConfigMap {
  readonly text: string;
  /** SHA-256 of the text. */
  readonly hash: string;
  readonly source: NonNullable<WorkspaceStatus['inferenceConfig']>;
}

/** The text under one key of a ConfigMap; `field` of the Workspace names it. */
export async function readConfigMap(
  { client }: Dependencies,
  { namespace, name, key, field }: Readonly<Record<'namespace' | 'name' | 'key' | 'field', string>>,
  signal: AbortSignal,
): Promise<ReadConfigMap> {
  const configMap = await client.get(RESOURCES.configMaps, { namespace, name }, { signal });
  if (configMap === undefined) {
    const message = `${field}: ConfigMap '${name}' specified in 'config' not found in namespace '${namespace}'`;
    throw new CauseError({ cause: 'MissingReference', message });
  }
  const text = configMap.data?.[key];
  if (text === undefined) {
    const keys = shownKeys(Object.keys(configMap.data ?? {}));
    const message = `${field}: ConfigMap '${name}' lacks the key ${key}; it has ${keys}`;
    throw new CauseError({ cause: 'MissingReference', message, remedy: `Put the options under the key ${key}.` });
  }
  const { resourceVersion } = configMap.metadata;
  return { text, hash: sha256(text), source: { name, resourceVersion } };
}

/** A ConfigMap may have any number of keys; the status has not room for all. */
const MOST_KEYS = 10;

function shownKeys(keys: readonly string[]): string {
  const rest = keys.length - MOST_KEYS;
  return [...keys.slice(0, MOST_KEYS), ...(rest > 0 ? [`${rest} more`] : [])].join(', ') || 'no keys';
}
