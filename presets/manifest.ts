import { isMap as isYamlMap, parseAllDocuments } from 'yaml';
import { CauseError } from '../api/causes';
import { workspaceSpecSchema, type WorkspaceSpecParts } from '../api/workspace';
import {
  INFERENCE_CONFIG_KEY,
  NO_INFERENCE_CONFIG,
  parseInferenceConfig,
  type InferenceConfig,
} from './inference-config';
import { parseTrainingConfig, TRAINING_CONFIG_KEY } from './training-config';
import type { TuningMethod, TuningOptions } from './tuning-fit';

const V1ALPHA1 = 'kaito.sh/v1alpha1';
const VERSIONS = ['kaito.sh/v1beta1', V1ALPHA1];
/** What the API server fills in for an unset instanceType in v1alpha1, as KAITO's does. */
const V1ALPHA1_INSTANCE_TYPE = 'Standard_NC24ads_A100_v4';

/** What a plan needs of a manifest. */
export interface PlannedManifest {
  /** The preset as the user names it. */
  readonly preset: string;
  /** Sizes in the order to try; empty for own nodes. */
  readonly instanceTypes: readonly string[];
  readonly partition?: NonNullable<WorkspaceSpecParts['resource']['partition']>;
  /** How the model is served; for a tuning, nothing is set. */
  readonly config: InferenceConfig;
  /** Present when the model is to be tuned, not served. */
  readonly tuning?: TuningOptions;
  /** What the user should know beside the plan. */
  readonly notes: readonly string[];
}

/**
 * Reads the one Workspace of a YAML text; a ConfigMap in the same text serves as its `inference.config` or `tuning.config`.
 *
 * @throws CauseError (InvalidInput) that names the field.
 */
export function readManifest(text: string): PlannedManifest {
  const objects = documentsOf(text);
  const workspaces = objects.filter((object) => object['kind'] === 'Workspace');
  const [workspace] = workspaces;
  if (workspace === undefined || workspaces.length > 1) {
    throw invalid(`kind: the file must hold one Workspace, it holds ${workspaces.length}`);
  }
  if (!VERSIONS.includes(String(workspace['apiVersion']))) {
    throw invalid(`apiVersion: "${String(workspace['apiVersion'])}" is none of ${VERSIONS.join(', ')}`);
  }
  const parsed = workspaceSpecSchema.safeParse(workspace);
  if (!parsed.success) {
    throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
  }
  const { resource } = parsed.data;
  const first = resource.instanceType ?? (workspace['apiVersion'] === V1ALPHA1 ? V1ALPHA1_INSTANCE_TYPE : undefined);
  return {
    ...purposeOf(parsed.data, objects),
    instanceTypes: [...(first === undefined ? [] : [first]), ...(resource.instanceTypes ?? [])],
    ...(resource.partition === undefined ? {} : { partition: resource.partition }),
  };
}

type Purpose = Pick<PlannedManifest, 'preset' | 'config' | 'tuning' | 'notes'>;

/** What the model is for: to be served, or to be tuned. */
function purposeOf({ inference, tuning }: WorkspaceSpecParts, objects: readonly Content[]): Purpose {
  if (tuning !== undefined) {
    if (tuning.preset === undefined) throw invalid('tuning.preset: the Workspace has none');
    const method: TuningMethod = tuning.method.toLowerCase() === 'qlora' ? 'qlora' : 'lora';
    const { text, notes } = configMapText('tuning.config', tuning.config, TRAINING_CONFIG_KEY, objects);
    return {
      preset: tuning.preset.name,
      config: NO_INFERENCE_CONFIG,
      tuning: { ...parseTrainingConfig(text ?? '', method), method },
      notes,
    };
  }
  if (inference === undefined) throw invalid('inference: the Workspace has none');
  if (inference.preset === undefined) {
    throw invalid(
      'inference.preset: the Workspace has none; only presets can be planned, a template says itself what it needs',
    );
  }
  const { text, notes } = configMapText('inference.config', inference.config, INFERENCE_CONFIG_KEY, objects);
  const config = text === undefined ? NO_INFERENCE_CONFIG : parseInferenceConfig(text);
  return {
    preset: inference.preset.name,
    config,
    notes: [...notes, ...config.ignored.map((key) => `${INFERENCE_CONFIG_KEY}: ${key} has no effect`)],
  };
}

type Content = Readonly<Record<string, unknown>>;

function documentsOf(text: string): readonly Content[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw invalid(`not YAML: ${error.message}`);
    if (document.contents === null) return [];
    if (!isYamlMap(document.contents)) throw invalid('not a Kubernetes manifest: a document is no map');
    return [document.toJS() as Content];
  });
}

/** The text that a field's ConfigMap has under a key; without a ConfigMap in the file, a note. */
function configMapText(
  field: string,
  name: string | undefined,
  key: string,
  objects: readonly Content[],
): { readonly text?: string; readonly notes: readonly string[] } {
  if (name === undefined) return { notes: [] };
  const configMap = objects.find(
    (object) => object['kind'] === 'ConfigMap' && (object['metadata'] as Content | undefined)?.['name'] === name,
  );
  if (configMap === undefined) {
    return { notes: [`${field}: ConfigMap ${name} isn't in the file; planned with the defaults`] };
  }
  const text = (configMap['data'] as Content | undefined)?.[key];
  if (typeof text !== 'string') throw invalid(`${field}: ConfigMap ${name} has no key ${key}`);
  return { text, notes: [] };
}

function invalid(message: string): CauseError {
  return new CauseError({ cause: 'InvalidInput', message });
}
