/**
 * The plan step: what will be bought and how the model is laid out, or why that can't be. It reads, and writes nothing but the status.
 */
import { LABEL_WORKSPACE_UID } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import type { Candidate, Plan, PlanOutcome, StepInput, StepName } from '../../api/workflow';
import type { KubernetesObject } from '../../kubernetes/objects';
import type { Dependencies } from '../dependencies';
import { describeChange } from '../history/change';
import { observe } from '../observe/observation';
import { defineStep, readWorkspace } from '../step';
import { acquiring, planSummary } from '../status/compose';
import { findCandidates } from './candidates';
import { checkPurchase } from './check-purchase';
import { planTuning, type TuningWorkspace } from './plan-tuning';
import { readInferenceConfig, resolveModel } from './references';
import { resolveAdapters } from './resolve-adapters';

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
      ...nextStep(plan, first, unchanged && observation.serving),
    });
    if (!unchanged) event(workspace, 'Normal', 'Planned', planSummary(plan));
    return { kind: 'planned', plan, status, change: await describeChange(deps.client, workspace, signal) };
  });
}

async function makePlan(deps: Dependencies, workspace: Workspace, signal: AbortSignal): Promise<Plan> {
  checkPurchase(workspace, deps.machines);
  if (workspace.tuning !== undefined) return makeTuningPlan(deps, { ...workspace, tuning: workspace.tuning }, signal);
  const preset = workspace.inference?.preset;
  const model = preset && (await resolveModel(deps, workspace, preset, signal));
  const { config, hash, inferenceConfig } = await readInferenceConfig(deps, workspace, signal);
  const adapters = await resolveAdapters(deps, workspace, signal);
  const { candidates, ruledOut } = findCandidates(
    {
      workspace,
      buyer: deps.machines.buyer,
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
    ...(adapters.length > 0 && { adapters }),
  };
}

async function makeTuningPlan(deps: Dependencies, workspace: TuningWorkspace, signal: AbortSignal): Promise<Plan> {
  const { uid, generation, namespace, name } = workspace.metadata;
  const model = await resolveModel(deps, workspace, workspace.tuning.preset, signal);
  const { tuning, config, configHash, inferenceConfig } = await planTuning(deps, workspace, model, signal);
  const { candidates, ruledOut } = findCandidates(
    {
      workspace,
      buyer: deps.machines.buyer,
      model,
      tuning: { ...config, method: tuning.method },
      ...(deps.workload.cloud !== undefined && { cloud: deps.workload.cloud }),
    },
    () => deps.world.owned({ namespace, name }).nodes(),
  );
  return {
    uid,
    generation,
    model,
    config: {},
    tuning,
    ...(configHash !== undefined && { configHash }),
    ...(inferenceConfig !== undefined && { inferenceConfig }),
    candidates: inUseFirst(deps, workspace, candidates),
    ruledOut,
    diskGiB: model.diskGiB,
  };
}

/** What is told before the first step begins: a Workspace that is done, or nearly so, is not shown as one that begins. */
function nextStep({ tuning }: Plan, first: Candidate, isServing: boolean): { step: StepName; message: string } {
  if (isServing) return { step: 'Ready', message: acquiring(first) };
  if (tuning === undefined) return { step: 'Machines', message: acquiring(first) };
  if (!tuning.isTrained) return { step: 'Data', message: 'looking at the data' };
  if (tuning.push !== undefined) return { step: 'Push', message: `pushing the adapter to ${tuning.push.image}` };
  return { step: 'Succeeded', message: 'the tuning is done' };
}

/** The size that machines were bought of stays the first choice: a Workspace that fell back does not move for nothing. */
function inUseFirst(deps: Dependencies, workspace: Workspace, candidates: readonly Candidate[]): readonly Candidate[] {
  const { namespace, name, uid } = workspace.metadata;
  const inUse = deps.status.latest(workspace).status?.instanceType;
  const { nodeClaims, boughtNodes } = deps.world.owned({ namespace, name });
  const isLiving = ({ metadata }: KubernetesObject): boolean =>
    metadata.deletionTimestamp === undefined && metadata.labels?.[LABEL_WORKSPACE_UID] === uid;
  const bought = nodeClaims.some(isLiving) || boughtNodes.some(isLiving);
  const isInUse = ({ instanceType }: Candidate): boolean => bought && instanceType === inUse;
  return [...candidates.filter(isInUse), ...candidates.filter((candidate) => !isInUse(candidate))];
}
