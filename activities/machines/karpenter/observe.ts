/**
 * What NodeClaims and their nodes say, in the phases of a machine's life: launched, registered, initialized, GPUs allocatable.
 */
import type { MachineStatus } from '../../../api/workspace';
import { ANNOTATION_GPUS } from '../../../manifests/node-claim';
import { findCondition, type Condition, type Node, type NodeClaim } from '../../../kubernetes/objects';

/** Karpenter's conditions of a claim, in the order in which they come true. */
const LAUNCH_PHASES = [
  { condition: 'Launched', phase: 'Pending', missing: 'waiting for the machine to be launched' },
  { condition: 'Registered', phase: 'Launched', missing: 'waiting for the node to register' },
  { condition: 'Initialized', phase: 'Registered', missing: 'waiting for the node to be initialized' },
] as const;

/** The state of each claim, in the order of their names. */
export function observeNodeClaims(
  claims: readonly NodeClaim[],
  nodeNamed: (name: string) => Node | undefined,
): readonly MachineStatus[] {
  return claims
    .map((claim) => ({ ...identityOf(claim), ...lifeOf(claim, nodeNamed) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function identityOf(claim: NodeClaim): Pick<MachineStatus, 'name' | 'provider' | 'instanceType' | 'nodeName'> {
  const instanceType = instanceTypeOf(claim);
  const nodeName = claim.status?.nodeName;
  return {
    name: claim.metadata.name,
    provider: 'karpenter',
    ...(instanceType !== undefined && { instanceType }),
    ...(nodeName !== undefined && nodeName !== '' && { nodeName }),
  };
}

/** The one size that the claim asks for. */
export function instanceTypeOf(claim: NodeClaim): string | undefined {
  return claim.spec.requirements.find(({ key }) => key === 'node.kubernetes.io/instance-type')?.values?.[0];
}

function lifeOf(
  claim: NodeClaim,
  nodeNamed: (name: string) => Node | undefined,
): Pick<MachineStatus, 'phase' | 'reason' | 'message'> {
  if (claim.metadata.deletionTimestamp !== undefined) {
    return { phase: 'Deleting', reason: 'Deleting', message: 'the machine is being deleted' };
  }
  // gpu-provisioner sets only Ready on claims of some versions: Ready stands for all three.
  if (findCondition(claim, 'Ready')?.status !== 'True') {
    for (const { condition, phase, missing } of LAUNCH_PHASES) {
      const found = findCondition(claim, condition);
      if (found?.status !== 'True') return { phase, ...whyNot(found, missing) };
    }
  }

  const nodeName = claim.status?.nodeName ?? '';
  const node = nodeNamed(nodeName);
  if (node === undefined) return { phase: 'Lost', reason: 'NodeNotFound', message: `node "${nodeName}" is gone` };
  if (node.metadata.deletionTimestamp !== undefined) {
    return { phase: 'Deleting', reason: 'Deleting', message: `node "${nodeName}" is being deleted` };
  }
  return nodeLifeOf(node, gpusAskedFor(claim));
}

/** What a registered node still lacks; shared with own nodes. */
export function nodeLifeOf(
  node: Node,
  gpus: { readonly resourceName: string; readonly count: number },
): Pick<MachineStatus, 'phase' | 'reason' | 'message'> {
  const ready = findCondition(node, 'Ready');
  if (ready?.status !== 'True') {
    return { phase: 'NotReady', ...whyNot(ready, `node "${node.metadata.name}" is not ready`, 'NodeNotReady') };
  }
  const allocatable = Number(node.status?.allocatable?.[gpus.resourceName] ?? 0);
  if (allocatable < gpus.count) {
    return {
      phase: 'Initialized',
      reason: 'GpusNotAllocatable',
      message: `${allocatable} of ${gpus.count} ${gpus.resourceName} allocatable on ${node.metadata.name}`,
    };
  }
  return { phase: 'Ready' };
}

function gpusAskedFor(claim: NodeClaim): { resourceName: string; count: number } {
  const asked = claim.spec.resources?.requests?.['nvidia.com/gpu'] ?? claim.metadata.annotations?.[ANNOTATION_GPUS];
  return { resourceName: 'nvidia.com/gpu', count: Number(asked ?? 0) };
}

function whyNot(
  condition: Condition | undefined,
  missing: string,
  fallbackReason = 'AwaitingReconciliation',
): { reason: string; message: string } {
  const message = condition?.message ?? '';
  const reason = condition?.reason ?? '';
  return {
    reason: reason === '' ? fallbackReason : reason,
    // Karpenter's placeholder says nothing that the phase does not say.
    message: message === '' || message === 'object is awaiting reconciliation' ? missing : message,
  };
}
