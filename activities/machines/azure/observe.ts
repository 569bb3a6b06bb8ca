/**
 * What the nodes of agent pools say. Pure: the status and the bridge judge by the same.
 */
import type { MachineStatus, Workspace } from '../../../api/workspace';
import { LABEL_WORKSPACE_UID } from '../../../api/labels';
import type { NodeGpus } from '../../../api/model';
import type { Node } from '../../../kubernetes/objects';
import { LABEL_MACHINE_PROVIDER } from '../../../manifests/agent-pool';
import { findSize } from '../../../presets/sizes';
import { nodeLifeOf } from '../karpenter/observe';

/** AKS's label; the one without a prefix is deprecated, and may go. */
const LABELS_POOL = ['kubernetes.azure.com/agentpool', 'agentpool'] as const;

/** The nodes of a pool. */
export function nodesOfPool(name: string, nodes: readonly Node[]): readonly Node[] {
  return nodes.filter(({ metadata }) => LABELS_POOL.some((label) => metadata.labels?.[label] === name));
}

/** The state of each node that was bought for the Workspace as an agent pool, in the order of their names. */
export function observePoolNodes(
  { metadata: { uid } }: Pick<Workspace, 'metadata'>,
  nodes: readonly Node[],
): readonly MachineStatus[] {
  return nodes
    .filter(
      ({ metadata: { labels } }) => labels?.[LABEL_MACHINE_PROVIDER] === 'azure' && labels[LABEL_WORKSPACE_UID] === uid,
    )
    .map((node) => {
      const instanceType = node.metadata.labels?.['node.kubernetes.io/instance-type'];
      const size = instanceType === undefined ? undefined : findSize(instanceType);
      return {
        name: node.metadata.name,
        provider: 'azure',
        nodeName: node.metadata.name,
        ...(instanceType !== undefined && { instanceType }),
        ...lifeOf(node, size?.gpus ?? { count: 1, resourceName: 'nvidia.com/gpu' }),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** How far a node is. */
export function lifeOf(
  node: Node,
  gpus: Pick<NodeGpus, 'count' | 'resourceName'>,
): Pick<MachineStatus, 'phase' | 'reason' | 'message'> {
  if (node.metadata.deletionTimestamp !== undefined) {
    return { phase: 'Deleting', reason: 'Deleting', message: `node "${node.metadata.name}" is being deleted` };
  }
  return nodeLifeOf(node, gpus);
}
