/**
 * What a tuning Workspace needs beyond the model: its parameters, a volume that keeps the adapter, the Secret to push with, and what is done already.
 */
import { CauseError } from '../../api/causes';
import type { Workspace, WorkspaceStatus } from '../../api/workspace';
import type { TuningPlan } from '../../api/workflow';
import { canonicalJson, sha256 } from '../../manifests/digest';
import { outputClaimName } from '../../manifests/tuning/output-claim';
import { ANNOTATION_TRAINING_HASH } from '../../manifests/tuning/owned-job';
import type { PersistentVolumeClaim } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import {
  NO_TRAINING_CONFIG,
  parseTrainingConfig,
  TRAINING_CONFIG_KEY,
  type TrainingConfig,
} from '../../presets/training-config';
import { tunable } from '../../presets/tunable';
import type { Model } from '../../presets/types';
import { observeTraining, trainingJobOf } from '../observe/observation';
import type { Dependencies } from '../dependencies';
import { checkPushSecret } from '../tuning/push-secret';
import { wasTunedByKaito } from '../tuning/tuned-by-kaito';
import { readConfigMap, type ReadConfigMap } from './references';

export interface PlannedTuning {
  readonly tuning: TuningPlan;
  readonly config: TrainingConfig;
  readonly configHash?: string;
  readonly inferenceConfig?: NonNullable<WorkspaceStatus['inferenceConfig']>;
}

export type TuningWorkspace = Workspace & { readonly tuning: NonNullable<Workspace['tuning']> };

const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';

export async function planTuning(
  deps: Dependencies,
  workspace: TuningWorkspace,
  model: Model,
  signal: AbortSignal,
): Promise<PlannedTuning> {
  const { namespace } = workspace.metadata;
  const { output } = workspace.tuning;
  if (wasTunedByKaito(workspace)) return tunedByKaito(workspace, model);
  const untunable = tunable(model);
  if (untunable !== undefined) {
    throw new CauseError({ cause: 'NotSupported', message: `tuning.preset.name: ${untunable}` });
  }
  const method = workspace.tuning.method.toLowerCase() === 'qlora' ? 'qlora' : 'lora';
  const read = await readTrainingConfig(deps, workspace, signal);
  const config = read === undefined ? NO_TRAINING_CONFIG : parseTrainingConfig(read.text, method);
  const hash = trainingHash(workspace, model, read);

  const claim = output.volumeSource === undefined ? await planClaim(deps, workspace, signal) : undefined;
  const isTrained = claim?.isThere !== false && hasTrained(deps, workspace, hash);
  const { tuning: done } = workspace.status ?? {};
  const isPushed = isTrained && done?.hash === hash && done.image === output.image && done.digest !== undefined;
  const { image, imagePushSecret: secretName } = output;
  refuseFleetingVolume(workspace);
  if (image !== undefined && secretName !== undefined && !isPushed && !isTrained) {
    await checkPushSecret(deps, { namespace, name: secretName }, signal);
  }
  return {
    tuning: {
      method,
      hash,
      outputDirectory: config.outputDirectory,
      isTrained: isTrained || isPushed,
      ...(claim !== undefined && { claim: claim.claim }),
      ...(image !== undefined &&
        secretName !== undefined &&
        !isPushed && {
          push: { image, secretName, patienceMs: deps.tuning.pushPatienceMs },
        }),
    },
    config,
    ...(read !== undefined && { configHash: read.hash, inferenceConfig: read.source }),
  };
}

/** Nothing is left to do, and what it was made with need not be there any more. */
function tunedByKaito(workspace: TuningWorkspace, model: Model): PlannedTuning {
  const method = workspace.tuning.method.toLowerCase() === 'qlora' ? 'qlora' : 'lora';
  const hash = trainingHash(workspace, model, undefined);
  const { outputDirectory } = NO_TRAINING_CONFIG;
  return { tuning: { method, hash, outputDirectory, isTrained: true }, config: NO_TRAINING_CONFIG };
}

/** The push has a pod of its own: a volume that goes with the training's pod has nothing for it. */
function refuseFleetingVolume({ tuning: { output } }: TuningWorkspace): void {
  const kind = (['emptyDir', 'ephemeral'] as const).find((one) => output.volumeSource?.[one] !== undefined);
  if (kind === undefined || output.image === undefined) return;
  throw new CauseError({
    cause: 'InvalidInput',
    message: `tuning.output.volumeSource: a volume of kind ${kind} goes with its pod, so that nothing could be pushed from it`,
    remedy: 'Name a volume that stays, such as persistentVolumeClaim, or leave volumeSource out: then one is made.',
  });
}

async function readTrainingConfig(
  deps: Dependencies,
  { metadata: { namespace }, tuning: { config: name } }: TuningWorkspace,
  signal: AbortSignal,
): Promise<ReadConfigMap | undefined> {
  if (name === undefined || name === '') return undefined;
  return readConfigMap(deps, { namespace, name, key: TRAINING_CONFIG_KEY, field: 'tuning.config' }, signal);
}

/** What determines the adapter. Where it goes does not, nor what it is trained on; and a Workspace that is done stays done until its spec changes. */
function trainingHash(workspace: TuningWorkspace, model: Model, config: ReadConfigMap | undefined): string {
  const { status, metadata, tuning } = workspace;
  const isDone = status?.step?.name === 'Succeeded' && status.observedGeneration === metadata.generation;
  if (isDone && status.tuning !== undefined) return status.tuning.hash;
  const { preset, method, input } = tuning;
  return sha256(
    canonicalJson({
      preset: { id: model.id, revision: model.revision, image: preset.presetOptions?.image },
      method: method.toLowerCase(),
      config: config?.hash,
      input: { urls: input.urls, image: input.image, volumeSource: input.volumeSource },
    }),
  );
}

/** Said by the status, or, where that was lost, by the Job. */
function hasTrained(deps: Dependencies, workspace: TuningWorkspace, hash: string): boolean {
  const { tuning } = workspace.status ?? {};
  if (tuning?.hash === hash && tuning.trainedTime !== undefined) return true;
  const { namespace, name } = workspace.metadata;
  const objects = deps.world.owned({ namespace, name });
  const job = trainingJobOf(workspace, objects);
  return (
    job?.metadata.annotations?.[ANNOTATION_TRAINING_HASH] === hash &&
    observeTraining(workspace, objects).phase === 'succeeded'
  );
}

/** The claim that keeps the adapter: as it is, or as it is to be made. */
async function planClaim(
  deps: Dependencies,
  workspace: TuningWorkspace,
  signal: AbortSignal,
): Promise<{ readonly claim: NonNullable<TuningPlan['claim']>; readonly isThere: boolean }> {
  const { namespace, uid } = workspace.metadata;
  const name = outputClaimName(workspace.metadata.name);
  const existing = await deps.client.get(RESOURCES.persistentVolumeClaims, { namespace, name }, { signal });
  if (existing !== undefined && isUsable(existing, uid)) {
    // A claim's class and size can't be changed.
    const { storageClassName = '', resources } = existing.spec;
    const sizeGiB = Number.parseInt(resources?.requests?.storage ?? '', 10) || deps.tuning.volumeGiB;
    return { claim: { name, storageClassName, sizeGiB }, isThere: true };
  }
  const storageClassName = deps.tuning.storageClassName ?? (await defaultStorageClass(deps, signal));
  return { claim: { name, storageClassName, sizeGiB: deps.tuning.volumeGiB }, isThere: false };
}

function isUsable({ metadata, status }: PersistentVolumeClaim, uid: string): boolean {
  const isOurs = metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  return isOurs && metadata.deletionTimestamp === undefined && status?.phase !== 'Lost';
}

async function defaultStorageClass({ client }: Dependencies, signal: AbortSignal): Promise<string> {
  const { items } = await client.list(RESOURCES.storageClasses, {}, { signal });
  // Of several defaults Kubernetes takes the newest.
  const [newest] = items
    .filter(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === 'true')
    .sort((a, b) => Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp));
  if (newest !== undefined) return newest.metadata.name;
  throw new CauseError({
    cause: 'MissingReference',
    message:
      'tuning.output: the adapter has to be kept until it is pushed, but the cluster has no default StorageClass to make a volume of',
    remedy: `Annotate a StorageClass with ${DEFAULT_CLASS}=true, or name a volume in tuning.output.volumeSource beside the image.`,
  });
}
