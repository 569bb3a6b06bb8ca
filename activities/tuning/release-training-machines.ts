/**
 * The end of a training as far as its machines go: they are released, unless the user keeps them or they hold the only copy of the adapter.
 */
import type { Failure } from '../../api/causes';
import { ANNOTATION_KEEP_MACHINES, keepsMachines } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { FinishOutcome, Plan, StepInput, TrainingReleaseReason } from '../../api/workflow';
import { RESOURCES } from '../../kubernetes/resources';
import { currentWorkspace } from '../current-workspace';
import type { Dependencies } from '../dependencies';
import type { Providers } from '../machines/acquire-machines';
import { adoptMachines, removeMachines } from '../machines/remove-machines';
import { observeMachines } from '../observe/observation';
import { defineStep, type StepContext, type Told } from '../step';
import { wasTunedByKaito } from './tuned-by-kaito';
import { tuningOf } from './tuning-of';

type Input = StepInput & {
  readonly plan: Plan;
  readonly reason: TrainingReleaseReason;
  readonly failure?: Failure;
};

const STEPS = { succeeded: 'Succeeded', pushing: 'Push', failed: 'Failed' } as const;

export function createReleaseTrainingMachines(
  deps: Dependencies,
  providers: Providers,
): (input: Input) => Promise<FinishOutcome> {
  return defineStep<Input, FinishOutcome>(
    deps,
    { name: 'Push', life: ({ plan }) => plan },
    async (input, context) => {
      const { ref, plan, reason } = input;
      const workspace = await currentWorkspace(deps, ref, plan, context.signal);
      const machines = await letGo(deps, providers, workspace, plan, context, reason);
      const message = [doneMessage(deps, workspace, input), ...(machines === undefined ? [] : [machines])].join('; ');
      const told: Told = {
        plan,
        step: STEPS[reason],
        message,
        ...(input.failure && { failure: { ...input.failure, message, attempt: 1 } }),
      };
      const status = await context.tell(workspace, told);
      if (reason === 'succeeded') context.event(workspace, 'Normal', 'Succeeded', message);
      return { kind: 'finished', status };
    },
    { kind: 'superseded' },
  );
}

/** What became of the machines; undefined where there are none of ours. */
async function letGo(
  deps: Dependencies,
  providers: Providers,
  workspace: Workspace,
  plan: Plan,
  context: StepContext,
  reason: TrainingReleaseReason,
): Promise<string | undefined> {
  const { namespace, name, uid } = workspace.metadata;
  if (workspace.resource.instanceType === undefined) return undefined;
  await adoptMachines(providers, workspace, context);
  const bought = observeMachines(workspace, deps.world.owned({ namespace, name }));
  if (bought.length === 0) return undefined;
  if (keepsMachines(workspace.metadata)) {
    return `its machines are kept, as the annotation ${ANNOTATION_KEEP_MACHINES} asks`;
  }
  if (reason !== 'succeeded' && (await isOnTheMachines(deps, workspace, plan, context.signal))) {
    return 'its machines are kept: their disks hold the results';
  }
  const owner = { namespace, name, isOwned: (owned: string | undefined) => owned === uid };
  await removeMachines(deps, providers, owner, workspace, context, (left) =>
    context.progress(`waiting until gone: ${left}`),
  );
  return `${bought.length === 1 ? 'its machine is' : 'its machines are'} released`;
}

/** Volumes that go with a node: of the claim's volume its kind says so, of the user's only those of the network are trusted. */
async function isOnTheMachines(
  { client }: Dependencies,
  workspace: Workspace,
  plan: Plan,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace } = workspace.metadata;
  const { volumeSource } = workspace.tuning?.output ?? {};
  const claimName = tuningOf(plan).claim?.name ?? volumeSource?.persistentVolumeClaim?.claimName;
  if (claimName === undefined) return volumeSource?.emptyDir !== undefined || volumeSource?.hostPath !== undefined;
  const claim = await client.get(RESOURCES.persistentVolumeClaims, { namespace, name: claimName }, { signal });
  const volumeName = claim?.spec.volumeName;
  if (volumeName === undefined) return false;
  const volume = await client.get(RESOURCES.persistentVolumes, { name: volumeName }, { signal });
  return volume?.spec.local !== undefined || volume?.spec.hostPath !== undefined;
}

function doneMessage(deps: Dependencies, workspace: Workspace, { reason, failure, plan }: Input): string {
  if (failure !== undefined) return failure.message;
  const { image, digest } = deps.status.latest(workspace).status?.tuning ?? {};
  switch (reason) {
    case 'pushing':
      return `pushing the adapter to ${tuningOf(plan).push?.image ?? ''}`;
    case 'succeeded':
      if (wasTunedByKaito(workspace)) return 'KAITO finished this tuning; its adapter is where tuning.output says';
      return digest === undefined
        ? 'the adapter is on the volume of tuning.output'
        : `the adapter is pushed to ${image ?? ''}, digest ${digest}`;
    case 'failed':
      return 'the tuning failed';
  }
}
