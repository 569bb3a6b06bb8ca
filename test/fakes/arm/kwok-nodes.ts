import { isNotFound } from '../../../kubernetes/errors';
import type { KubernetesClient } from '../../../kubernetes/client';
import type { Condition, Node, Taint } from '../../../kubernetes/objects';
import { RESOURCES } from '../../../kubernetes/resources';
import type { MachineNode, NodeMaker } from './nodes';

const KEPT_BY_KWOK = 'kwok.x-k8s.io/node';

/** Nodes that KWOK keeps alive: Ready, with the labels, taints and provider ID that AKS gives. */
export function kwokNodes(client: KubernetesClient): NodeMaker {
  return {
    appear: async (node) => {
      await client.create<Node>(RESOURCES.nodes, manifest(node));
    },
    setGpus: async (name, count) => {
      const gpus = { 'nvidia.com/gpu': String(count) };
      try {
        await client.patchStatus(RESOURCES.nodes, { name }, { status: { capacity: gpus, allocatable: gpus } });
      } catch (error) {
        // Whoever took the node away in the meantime took its device plugin with it.
        if (!isNotFound(error)) throw error;
      }
    },
    setReady: async (name, ready, since) => {
      // KWOK says of a node that it keeps that it is ready, so it has to let go of one that is not.
      const annotations = { [KEPT_BY_KWOK]: ready ? 'fake' : null };
      const node = await client.patch<Node>(RESOURCES.nodes, { name }, { metadata: { annotations } });
      if (ready) return;
      const conditions = node.status?.conditions?.map((one) => (one.type === 'Ready' ? notReady(one, since) : one));
      await client.patchStatus(RESOURCES.nodes, { name }, { status: { conditions } });
    },
    vanish: async (name) => {
      await client.delete(RESOURCES.nodes, { name });
    },
  };
}

function notReady(condition: Condition, since: Date): Condition {
  return {
    ...condition,
    status: 'Unknown',
    reason: 'NodeStatusUnknown',
    message: 'Kubelet stopped posting node status.',
    lastTransitionTime: since.toISOString().replace(/\.\d+Z$/, 'Z'),
  };
}

function manifest({ name, labels, taints, providerId, cpus, memoryGiB }: MachineNode) {
  const amounts = { cpu: String(cpus), memory: `${memoryGiB}Gi`, 'ephemeral-storage': '128Gi', pods: '110' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels, annotations: { [KEPT_BY_KWOK]: 'fake' } },
    spec: { providerID: providerId, taints: taints.map(taintOf) },
    status: { capacity: amounts, allocatable: amounts },
  };
}

function taintOf(taint: string): Taint {
  const [, key = '', value = '', effect = ''] = /^([^=]+)=([^:]*):(.+)$/.exec(taint) ?? [];
  return { key, value, effect: effect as Taint['effect'] };
}
