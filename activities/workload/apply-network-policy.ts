import type { Workspace } from '../../api/workspace';
import { networkPolicy } from '../../manifests/network-policy';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';
import { applyOwned } from './apply-owned';

/** Makes the Workspace's NetworkPolicy exist where the installation wants one. It goes with the Workspace. */
export async function applyNetworkPolicy(
  deps: Pick<Dependencies, 'client' | 'workload'>,
  workspace: Workspace,
  spansNodes: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (deps.workload.networkPolicies !== true) return;
  await applyOwned(deps, RESOURCES.networkPolicies, networkPolicy(workspace, spansNodes), workspace, signal);
}
