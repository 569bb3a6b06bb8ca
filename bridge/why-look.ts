/**
 * Whether, and why, a Workspace's workflow should look again: a pure comparison of what the status says with what is there.
 */
import { ANNOTATION_RETRY, keepsMachines } from '../api/labels';
import type { MachineStatus, Workspace } from '../api/workspace';
import type { LookReason } from '../api/workflow';
import { pushedImage } from '../activities/observe/adapters';
import { observe, type OwnedObjects } from '../activities/observe/observation';
import type { Service } from '../kubernetes/objects';

/** Every Workspace has the Service that clients use and the headless one. */
const SERVICES = 2;

export interface Surroundings {
  readonly owned: OwnedObjects;
  readonly services: readonly Service[];
  /** Resource version of the ConfigMap that `inference.config` or `tuning.config` names; undefined where there is none. */
  readonly configVersion: string | undefined;
  /** A Workspace of the same namespace, by name. */
  readonly neighbour: (name: string) => Workspace | undefined;
}

export interface Why {
  readonly reason: LookReason;
  /** The same difference has the same fingerprint: it is not told again at once. */
  readonly fingerprint: string;
}

/** Undefined: the status tells the truth, or the workflow is at work and watches for itself. */
export function whyLook(workspace: Workspace, around: Surroundings): Why | undefined {
  const { status, metadata } = workspace;
  const { uid, generation } = metadata;
  const isDeleting = metadata.deletionTimestamp !== undefined;
  if (isDeleting && status?.step?.name !== 'Release') return why('deleted', uid, generation);
  if (status?.observedGeneration !== generation) return why('generation', uid, generation);

  const step = status.step?.name;
  if (step === 'Release') return undefined;
  const retry = metadata.annotations?.[ANNOTATION_RETRY];
  if (retry !== undefined && retry !== status.observedRetry) return why('retry', uid, generation, retry);
  if (step === 'Cancelled') return undefined;

  // What was trained with a config stays trained with it.
  const isTuned = step === 'Push' || step === 'Succeeded';
  if (
    configOf(workspace) !== undefined &&
    !isTuned &&
    around.configVersion !== undefined &&
    around.configVersion !== status.inferenceConfig?.resourceVersion
  ) {
    return why('references', uid, generation, around.configVersion);
  }
  const tuned = newlyTuned(workspace, around);
  if (tuned !== undefined) return why('references', uid, generation, tuned);
  if (step === 'Ready') return whyObjects(workspace, around);
  return step === 'Succeeded' ? whyMachines(workspace, around) : undefined;
}

/** The ConfigMap that a Workspace names. */
export function configOf({ inference, tuning }: Workspace): string | undefined {
  return inference?.config ?? tuning?.config;
}

/** The image of an adapter that a tuning Workspace has pushed and this one does not serve yet. */
function newlyTuned({ inference, status }: Workspace, { neighbour }: Surroundings): string | undefined {
  for (const { source } of inference?.adapters ?? []) {
    const tuning = source.workspace === undefined ? undefined : neighbour(source.workspace);
    const pushed = tuning && pushedImage(tuning);
    const served = status?.adapters?.find(({ name }) => name === source.name)?.image;
    if (pushed !== undefined && pushed !== served) return pushed;
  }
  return undefined;
}

/** A tuning that is done keeps no machines, unless it is told to. */
function whyMachines(workspace: Workspace, { owned }: Surroundings): Why | undefined {
  const { status, metadata, resource, tuning } = workspace;
  if (tuning === undefined || resource.instanceType === undefined || keepsMachines(metadata)) return undefined;
  const { machines } = observe(workspace, status?.targetNodeCount ?? 0, owned);
  const left = machines.filter(({ phase }) => phase !== 'Deleting' && phase !== 'Lost');
  return left.length === 0 ? undefined : why('objects', metadata.uid, metadata.generation, phasesOf(left));
}

function whyObjects(workspace: Workspace, { owned, services }: Surroundings): Why | undefined {
  const { status, metadata } = workspace;
  const { conditions, machines } = observe(workspace, status?.targetNodeCount ?? 0, owned);
  const untrue = conditions.filter(
    ({ type, status: holds }) => status?.conditions?.find((told) => told.type === type)?.status !== holds,
  );
  const generation = owned.statefulSet?.metadata.generation;
  const isEdited = generation !== undefined && generation !== status?.workload?.generation;
  const seen = phasesOf(machines);
  const areMachinesAsTold = seen === phasesOf(status?.machines);
  if (untrue.length === 0 && !isEdited && areMachinesAsTold && services.length >= SERVICES) return undefined;
  // By UID: what was made anew and is gone again is another difference.
  const uids = [owned.statefulSet, ...services].map((object) => object?.metadata.uid);
  const what = [...untrue.map(({ type, reason }) => `${type}=${reason}`), seen, ...uids].join();
  return why('objects', metadata.uid, metadata.generation, what, generation);
}

/** A machine that came, went or changed may leave every condition as it was. */
function phasesOf(machines: readonly MachineStatus[] = []): string {
  return machines.map(({ name, phase }) => `${name}=${phase}`).join();
}

function why(reason: LookReason, ...parts: readonly unknown[]): Why {
  return { reason, fingerprint: [reason, ...parts].join('/') };
}
