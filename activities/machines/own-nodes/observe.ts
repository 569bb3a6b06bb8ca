/**
 * What the user's own nodes say: those that match the Workspace's selector, with GPU facts from NVIDIA's labels.
 */
import type { LabelSelector, MachineStatus, Workspace } from '../../../api/workspace';
import { LABEL_WORKSPACE_NAMESPACE, RESERVED_SELECTOR_KEYS } from '../../../api/labels';
import type { Node } from '../../../kubernetes/objects';
import { nodeLifeOf } from '../karpenter/observe';

/** Labels that NVIDIA's GPU feature discovery puts on nodes. */
export const GPU_LABELS = {
  product: 'nvidia.com/gpu.product',
  count: 'nvidia.com/gpu.count',
  /** MiB of one GPU. */
  memory: 'nvidia.com/gpu.memory',
} as const;

/**
 * The nodes that the Workspace may use: preferred ones first, then by name. Machines that were bought for another namespace carry labels of its users'
 * choice, and are nobody else's whatever these are; the pods' affinity says the same (manifests/placement.ts).
 */
export function matchingNodes(
  workspace: Pick<Workspace, 'resource' | 'metadata'>,
  nodes: readonly Node[],
): readonly Node[] {
  const { labelSelector, preferredNodes = [] } = workspace.resource;
  const preferred = new Set(preferredNodes);
  const rank = (node: Node): number => (preferred.has(node.metadata.name) ? 0 : 1);
  return nodes
    .filter(({ metadata: { labels = {} } }) => {
      const buyer = labels[LABEL_WORKSPACE_NAMESPACE];
      return (buyer === undefined || buyer === workspace.metadata.namespace) && matches(labelSelector, labels);
    })
    .sort((a, b) => rank(a) - rank(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Kubernetes' meaning of a label selector; reserved keys don't count. */
export function matches(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector.matchLabels ?? {}).filter(([key]) => !RESERVED_SELECTOR_KEYS.includes(key));
  if (!wanted.every(([key, value]) => labels[key] === value)) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}

/** The state of each matching node. */
export function observeOwnNodes(
  workspace: Pick<Workspace, 'resource' | 'metadata'>,
  nodes: readonly Node[],
): readonly MachineStatus[] {
  return matchingNodes(workspace, nodes).map((node) => {
    const instanceType = node.metadata.labels?.['node.kubernetes.io/instance-type'];
    const count = Number(node.metadata.labels?.[GPU_LABELS.count] ?? 1);
    return {
      name: node.metadata.name,
      provider: 'own-nodes',
      nodeName: node.metadata.name,
      ...(instanceType !== undefined && { instanceType }),
      ...nodeLifeOf(node, { resourceName: 'nvidia.com/gpu', count }),
    };
  });
}
