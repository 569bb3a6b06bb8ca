import { findCandidates } from '../../activities/plan/candidates';
import { CauseError } from '../../api/causes';
import type { Workspace } from '../../api/workspace';
import { RESOURCES } from '../../kubernetes/resources';
import type { PlannedManifest } from '../../presets/manifest';
import type { Plan } from '../../presets/plan';
import type { Model } from '../../presets/types';
import type { ClusterAccess } from '../cluster';

type PlannedCandidate = Plan['candidates'][number];

const OWN_NODES = 'own nodes';

/** What becomes of a Workspace on the nodes that match its labelSelector, judged as the worker does it. */
export async function ownNodesCandidate(
  { client }: ClusterAccess,
  workspace: Workspace,
  model: Model,
  { config, tuning }: PlannedManifest,
  signal: AbortSignal,
): Promise<PlannedCandidate> {
  const { items: nodes } = await client.list(RESOURCES.nodes, {}, { signal });
  const need = {
    workspace,
    // Nothing is bought.
    buyer: 'karpenter' as const,
    model,
    options: config.vllm,
    ...(config.maxModelLen !== undefined && { contextTokens: config.maxModelLen }),
    ...(tuning !== undefined && { tuning }),
  };
  try {
    const [candidate] = findCandidates(need, () => nodes).candidates;
    if (candidate === undefined) throw new RangeError('own nodes are one candidate, or a failure');
    const { nodeCount, gpus, layout } = candidate;
    return {
      instanceType: OWN_NODES,
      fits: true,
      nodeCount,
      gpusPerNode: gpus.count,
      tensorParallel: layout?.tensorParallel ?? null,
      dataParallel: layout?.dataParallel ?? null,
      pipelineParallel: layout?.pipelineParallel ?? null,
      maxModelLen: layout?.maxModelLen ?? null,
      reason: gpus.product ?? '',
    };
  } catch (error) {
    if (!(error instanceof CauseError)) throw error;
    return {
      instanceType: OWN_NODES,
      fits: false,
      nodeCount: null,
      gpusPerNode: 0,
      tensorParallel: null,
      dataParallel: null,
      pipelineParallel: null,
      maxModelLen: null,
      reason: error.message,
    };
  }
}
