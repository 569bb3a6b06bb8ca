import { ANNOTATION_USE_LOCAL_WEIGHTS } from '../api/labels';
import type { PresetSpec, Workspace } from '../api/workspace';
import type { Model } from '../presets/types';
import { WEIGHTS_DIRECTORY } from '../presets/vllm';

/** Where nodes hold weights; vLLM's flag `model` points into it (presets/vllm.ts). */
export const LOCAL_WEIGHTS_DIRECTORY = '/opt/kaito/models';

/** Where a model's weights come from, whether it is served or tuned. */
export type ModelSource =
  /** Downloaded from the hub by its id. */
  | { readonly kind: 'hub'; readonly id: string }
  /** An image that carries them; its files are at `path` in the pod. */
  | {
      readonly kind: 'image';
      readonly image: string;
      readonly imagePullSecrets: readonly string[];
      readonly path: string;
    }
  /** The node holds them, at `path`. */
  | { readonly kind: 'node'; readonly path: string };

/** The user's image (accessMode private) wins over the one that the preset names; the annotation for weights on the node wins over both. */
export function modelSource(workspace: Workspace, model: Model): ModelSource {
  if (workspace.metadata.annotations?.[ANNOTATION_USE_LOCAL_WEIGHTS] === 'true') {
    return { kind: 'node', path: `${LOCAL_WEIGHTS_DIRECTORY}/${model.id.toLowerCase().replaceAll('/', '-')}` };
  }
  const { accessMode, presetOptions = {} } = presetOf(workspace) ?? {};
  const image = (accessMode === 'private' ? presetOptions.image : undefined) ?? model.image;
  if (image === undefined) return { kind: 'hub', id: model.id };
  const { imagePullSecrets = [] } = presetOptions;
  return { kind: 'image', image, imagePullSecrets, path: `${WEIGHTS_DIRECTORY}/${model.shortName}` };
}

/** The preset of an inference or a tuning. */
export function presetOf({ inference, tuning }: Workspace): PresetSpec | undefined {
  return inference?.preset ?? tuning?.preset;
}
