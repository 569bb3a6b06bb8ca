import { ANNOTATION_PERFORMANCE_MODE } from '../api/labels';
import type { Candidate } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import type { Model } from '../presets/types';
import { vllmFlags } from '../presets/vllm';
import { groupFlags, spansNodes } from './group';
import { modelSource } from './model-source';
import { HTTP_PORT } from './names';
import { verbatim } from './verbatim';

const PERFORMANCE_MODES = ['balanced', 'interactivity', 'throughput'] as const;

/**
 * Arguments of `serve`: vLLM's flags for this model on this size, in a fixed order. The user's options win over ours, except for what probes, Services
 * and the other nodes of a group rely on.
 *
 * Throws when the candidate has no layout, as that of an `inference.template`.
 */
export function commandLine(input: {
  readonly workspace: Workspace;
  readonly model: Model;
  readonly candidate: Candidate;
  /** The user's options for vLLM (section `vllm` of inference_config.yaml). */
  readonly config: Readonly<Record<string, string>>;
}): string[] {
  const { workspace, model, candidate, config } = input;
  const { layout, gpus, nodeCount } = candidate;
  if (layout === undefined) throw new Error(`the candidate '${candidate.instanceType}' has no layout`);
  const performanceMode = PERFORMANCE_MODES.find(
    (mode) => mode === workspace.metadata.annotations?.[ANNOTATION_PERFORMANCE_MODE],
  );
  const source = modelSource(workspace, model);
  const flags = vllmFlags({
    model,
    layout: { ...layout, nodeCount, gpusPerNode: gpus.count },
    gpuMemoryUtilization: layout.gpuMemoryUtilization,
    servedModelName: servedModelName(workspace, model),
    adapters: (workspace.inference?.adapters ?? []).length > 0,
    config,
    localWeights: source.kind === 'node',
    gpus,
    ...(performanceMode && { performanceMode }),
  });
  const literal = Object.entries({
    ...flags,
    ...(source.kind === 'image' && { model: source.path }),
    port: String(HTTP_PORT),
  }).map(([name, value]) => [name, verbatim(value)] as const);
  const grouped = spansNodes(candidate) ? Object.entries(groupFlags(workspace, nodeCount, model.startupSeconds)) : [];
  return [...new Map([...literal, ...grouped])].map(([name, value]) =>
    value === '' ? `--${name}` : `--${name}=${value}`,
  );
}

/** Clients of an InferenceSet ask for its name, as in KAITO; all others for the model's. */
function servedModelName({ metadata: { labels = {} } }: Workspace, model: Model): string {
  const inferenceSet = labels['inferenceset.kaito.sh/created-by'];
  return inferenceSet !== undefined && labels['multiroleinference.kaito.sh/created-by'] === undefined
    ? inferenceSet
    : model.shortName;
}
