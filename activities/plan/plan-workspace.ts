/**
 * The plan step: what will be bought and how the model is laid out, or why that can't be. It reads, and writes nothing but the status.
 */
import { CauseError } from '../../api/causes';
import { LABEL_WORKSPACE_UID } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { Candidate, Plan, PlanOutcome, StepInput } from '../../api/workflow';
import type { Dependencies } from '../dependencies';
import { observe } from '../observe/observation';
import { defineStep, readWorkspace } from '../step';
import { acquiring, planSummary } from '../status/compose';
import { findCandidates } from './candidates';
import { readInferenceConfig, resolveModel } from './references';

/** Disk for weights of a model that is not known, as KAITO asks for. */
const UNKNOWN_DISK_GIB = 1_024;

export function createPlanWorkspace(deps: Dependencies): (input: StepInput) => Promise<PlanOutcome> {
  return defineStep<StepInput, PlanOutcome>(deps, { name: 'Plan' }, async ({ ref }, { signal, tell, event }) => {
    // Read from the API server: the look that brought us here may be ahead of the cache.
    const workspace = await readWorkspace(deps, ref, signal);
    if (workspace === undefined) return { kind: 'gone' };
    const { uid, generation, deletionTimestamp } = workspace.metadata;
    if (deletionTimestamp !== undefined) return { kind: 'deleting', uid, generation };

    const plan = await makePlan(deps, workspace, signal);
    const [first] = plan.candidates;
    if (first === undefined) throw new RangeError('a plan has at least one candidate');
    const observation = observe(workspace, first.nodeCount, deps.world.owned(ref));
    const unchanged = workspace.status?.observedGeneration === generation;
    const status = await tell(workspace, {
      plan,
      observation,
      targetNodeCount: first.nodeCount,
      instanceType: first.instanceType,
      step: unchanged && observation.serving ? 'Ready' : 'Machines',
      message: acquiring(first),
    });
    if (!unchanged) event(workspace, 'Normal', 'Planned', planSummary(plan));
    return { kind: 'planned', plan, status };
  });
}

async function makePlan(deps: Dependencies, workspace: Workspace, signal: AbortSignal): Promise<Plan> {
  const { inference } = workspace;
  if (inference === undefined) {
    throw new CauseError({
      cause: 'NotSupported',
      message: 'tuning: this release serves inference Workspaces; tuning Workspaces are not run yet',
    });
  }
  const model = inference.preset && (await resolveModel(deps, workspace, inference.preset, signal));
  const { config, hash, inferenceConfig } = await readInferenceConfig(deps, workspace, signal);
  const { candidates, ruledOut } = findCandidates(
    {
      workspace,
      ...(model !== undefined && { model }),
      ...(config.maxModelLen !== undefined && { contextTokens: config.maxModelLen }),
      options: config.vllm,
      ...(deps.workload.cloud !== undefined && { cloud: deps.workload.cloud }),
    },
    () => deps.world.owned({ namespace: workspace.metadata.namespace, name: workspace.metadata.name }).nodes(),
  );
  const { uid, generation } = workspace.metadata;
  return {
    uid,
    generation,
    ...(model !== undefined && { model }),
    config: config.vllm,
    ...(hash !== undefined && { configHash: hash }),
    ...(inferenceConfig !== undefined && { inferenceConfig }),
    candidates: inUseFirst(deps, workspace, candidates),
    ruledOut,
    diskGiB: model?.diskGiB ?? UNKNOWN_DISK_GIB,
  };
}

/** The size that machines were bought of stays the first choice: a Workspace that fell back does not move for nothing. */
function inUseFirst(deps: Dependencies, workspace: Workspace, candidates: readonly Candidate[]): readonly Candidate[] {
  const { namespace, name, uid } = workspace.metadata;
  const inUse = deps.status.latest(workspace).status?.instanceType;
  const bought = deps.world
    .owned({ namespace, name })
    .nodeClaims.some(
      (claim) => claim.metadata.deletionTimestamp === undefined && claim.metadata.labels?.[LABEL_WORKSPACE_UID] === uid,
    );
  const isInUse = ({ instanceType }: Candidate): boolean => bought && instanceType === inUse;
  return [...candidates.filter(isInUse), ...candidates.filter((candidate) => !isInUse(candidate))];
}
