/**
 * The ways to serve a Workspace, in the order to try. Pure: what has to be read is read by the caller.
 */
import { CauseError } from '../../api/causes';
import { ANNOTATION_BYPASS_RESOURCE_CHECKS } from '../../api/labels';
import type { Model, NodeGpus } from '../../api/model';
import type { Workspace } from '../../api/workspace';
import type { Candidate, Plan } from '../../api/workflow';
import type { Node } from '../../kubernetes/objects';
import type { MachineConfiguration } from '../../manifests/configuration';
import { fit, gpuMemoryUtilization } from '../../presets/estimator';
import { findSize, retiredSizeMessage } from '../../presets/sizes';
import { tuningFit, type TuningOptions } from '../../presets/tuning-fit';
import { ownGpus } from '../machines/own-nodes/gpus';
import { matchingNodes } from '../machines/own-nodes/observe';

export interface Need {
  readonly workspace: Workspace;
  /** Absent for `inference.template`. */
  readonly model?: Model;
  /** The user's `max-model-len`, tokens. */
  readonly contextTokens?: number;
  /** The user's options for vLLM: some change what the cache needs. */
  readonly options?: Readonly<Record<string, string>>;
  /** Set where the model is to be tuned: how. */
  readonly tuning?: TuningOptions;
  /** Who buys machines. */
  readonly buyer: MachineConfiguration['buyer'];
  /** The cloud that sizes are bought from, where it is known: its retired sizes are ruled out. */
  readonly cloud?: 'azure' | 'aws' | 'other';
}

type Candidates = Pick<Plan, 'candidates' | 'ruledOut'>;

/** The user's own nodes when no instance type is named, the named sizes otherwise. Throws a CauseError when nothing is left to try. */
export function findCandidates(need: Need, nodes: () => readonly Node[]): Candidates {
  return need.workspace.resource.instanceType === undefined
    ? { candidates: [ownNodeCandidate(need, nodes())], ruledOut: [] }
    : sizeCandidates(need);
}

function sizeCandidates(need: Need): Candidates {
  const { instanceType, instanceTypes = [] } = need.workspace.resource;
  const names = [instanceType ?? '', ...instanceTypes];
  const judged = names.map((name) => ({ name, verdict: judgeSize(need, name) }));
  const candidates = judged.flatMap(({ verdict }) => (typeof verdict === 'string' ? [] : [verdict]));
  const ruledOut = judged.flatMap(({ name, verdict }) =>
    typeof verdict === 'string' ? [{ instanceType: name, reason: verdict }] : [],
  );
  if (candidates.length > 0) return { candidates, ruledOut };

  const known = names.some((name) => findSize(name) !== undefined);
  const reasons = ruledOut.map(({ instanceType: name, reason }) => `${name}: ${reason}`).join('; ');
  throw new CauseError({
    cause: known ? 'DoesNotFit' : 'InvalidInput',
    message: `resource.instanceType: ${reasons}`,
    ...(!known && { remedy: 'Name a GPU size of the data files (npm run plan lists them), or label own nodes.' }),
  });
}

/** A candidate, or why the size can't be one. */
function judgeSize(need: Need, name: string): Candidate | string {
  const size = findSize(name);
  if (size === undefined) return `unknown instance type '${name}'`;
  if (size.retired !== undefined && need.cloud === size.cloud) {
    return retiredSizeMessage(size) ?? `retired since ${size.retired.since}`;
  }
  const base = { provider: need.buyer, instanceType: name, gpus: size.gpus, nvme: size.nvme } as const;
  return judge(need, base);
}

function ownNodeCandidate(need: Need, nodes: readonly Node[]): Candidate {
  const { workspace } = need;
  const matching = matchingNodes(workspace, nodes);
  if (matching.length === 0) {
    throw new CauseError({
      cause: 'NoMatchingNodes',
      message: `resource.labelSelector: no nodes found matching ${JSON.stringify(workspace.resource.labelSelector)}`,
    });
  }
  const gpus = ownGpus(workspace, matching);
  const base = { provider: 'own-nodes', instanceType: '', gpus, nvme: false } as const;
  const candidate = judge(need, base, matching.length);
  if (typeof candidate !== 'string') return candidate;
  throw new CauseError({ cause: 'DoesNotFit', message: `resource.labelSelector: ${candidate}` });
}

function judge(
  { workspace, model, contextTokens, options: config, tuning }: Need,
  base: Pick<Candidate, 'provider' | 'instanceType' | 'gpus' | 'nvme'>,
  availableNodes?: number,
): Candidate | string {
  if (model === undefined) return { ...base, nodeCount: workspace.resource.count };
  const isBypassed = workspace.metadata.annotations?.[ANNOTATION_BYPASS_RESOURCE_CHECKS] !== undefined;
  if (tuning !== undefined) {
    const verdict = tuningFit(model, base.gpus, tuning);
    return verdict.fits || isBypassed ? { ...base, nodeCount: 1 } : verdict.reason;
  }

  const options = {
    ...(contextTokens !== undefined && { contextTokens }),
    ...(availableNodes !== undefined && { nodeCount: availableNodes }),
    ...(config !== undefined && { config }),
  };
  const result = fit(model, base.gpus, options);
  if (result.fits) {
    const { nodeCount, tensorParallel, dataParallel, pipelineParallel } = result.layout;
    const { maxModelLen, gpuMemoryUtilization: utilization } = result;
    return {
      ...base,
      nodeCount,
      layout: { tensorParallel, dataParallel, pipelineParallel, maxModelLen, gpuMemoryUtilization: utilization },
    };
  }
  if (!isBypassed) return result.reason;
  return {
    ...base,
    nodeCount: workspace.resource.count,
    layout: undoubted(model, base.gpus, workspace.resource.count, contextTokens),
  };
}

/** The plain layout for those who know better than the estimator: all GPUs of a node together, nodes one after the other. */
function undoubted(
  model: Model,
  gpus: NodeGpus,
  nodeCount: number,
  contextTokens?: number,
): NonNullable<Candidate['layout']> {
  return {
    tensorParallel: gpus.count,
    dataParallel: 1,
    pipelineParallel: nodeCount,
    maxModelLen: contextTokens ?? model.maxModelLen,
    gpuMemoryUtilization: gpuMemoryUtilization(gpus),
  };
}
