import { isMap as isYamlMap, parseAllDocuments } from 'yaml';
import { CauseError } from '../api/causes';
import { workspaceSpecSchema, type WorkspaceSpecParts } from '../api/workspace';
import {
  INFERENCE_CONFIG_KEY,
  NO_INFERENCE_CONFIG,
  parseInferenceConfig,
  type InferenceConfig,
} from './inference-config';

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
  readonly config: InferenceConfig;
  /** What the user should know beside the plan. */
  readonly notes: readonly string[];
}

/**
 * Reads the one inference Workspace of a YAML text; a ConfigMap in the same text serves as its `inference.config`.
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
  const { resource, inference, tuning } = parsed.data;
  if (tuning !== undefined) throw invalid('tuning: only inference can be planned');
  if (inference === undefined) throw invalid('inference: the Workspace has none');
  if (inference.preset === undefined) {
    throw invalid(
      'inference.preset: the Workspace has none; only presets can be planned, a template says itself what it needs',
    );
  }
  const { config, notes } = configOf(inference.config, objects);
  const first = resource.instanceType ?? (workspace['apiVersion'] === V1ALPHA1 ? V1ALPHA1_INSTANCE_TYPE : undefined);
  return {
    preset: inference.preset.name,
    instanceTypes: [...(first === undefined ? [] : [first]), ...(resource.instanceTypes ?? [])],
    ...(resource.partition === undefined ? {} : { partition: resource.partition }),
    config,
    notes,
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

function configOf(
  name: string | undefined,
  objects: readonly Content[],
): { readonly config: InferenceConfig; readonly notes: readonly string[] } {
  if (name === undefined) return { config: NO_INFERENCE_CONFIG, notes: [] };
  const configMap = objects.find(
    (object) => object['kind'] === 'ConfigMap' && (object['metadata'] as Content | undefined)?.['name'] === name,
  );
  if (configMap === undefined) {
    return {
      config: NO_INFERENCE_CONFIG,
      notes: [`inference.config: ConfigMap ${name} isn't in the file; planned with the defaults`],
    };
  }
  const content = (configMap['data'] as Content | undefined)?.[INFERENCE_CONFIG_KEY];
  if (typeof content !== 'string') {
    throw invalid(`inference.config: ConfigMap ${name} has no key ${INFERENCE_CONFIG_KEY}`);
  }
  const config = parseInferenceConfig(content);
  return {
    config,
    notes: config.ignored.map((key) => `${INFERENCE_CONFIG_KEY}: ${key} has no effect`),
  };
}

function invalid(message: string): CauseError {
  return new CauseError({ cause: 'InvalidInput', message });
}
