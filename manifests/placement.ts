import type {
  V1Affinity,
  V1NodeSelectorRequirement,
  V1NodeSelectorTerm,
  V1PodAffinityTerm,
  V1PreferredSchedulingTerm,
  V1Toleration,
} from '@kubernetes/client-node';
import { LABEL_WORKSPACE, LABEL_WORKSPACE_NAMESPACE } from '../api/labels';
import type { Candidate } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import type { WorkloadConfiguration } from './configuration';
import { spansNodes } from './group';
import { selectedNodes } from './node-selection';
import { toNodeSelectorRequirement } from './objects';

/** Taints of GPU nodes that our pods bear. */
export function tolerations(candidate: Candidate, configuration: WorkloadConfiguration): V1Toleration[] {
  const { resourceName } = candidate.gpus;
  return [
    ...gpuNodeTolerations(configuration),
    ...(resourceName === 'nvidia.com/gpu' ? [] : [{ key: resourceName, operator: 'Exists', effect: 'NoSchedule' }]),
  ];
}

/** Those of nodes with whole GPUs, for pods that ask for none but may run there. */
export function gpuNodeTolerations(configuration: WorkloadConfiguration): V1Toleration[] {
  return [
    { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
    { key: 'sku', operator: 'Equal', value: 'gpu', effect: 'NoSchedule' },
    ...(configuration.cloud === 'azure'
      ? [{ key: 'kubernetes.azure.com/scalesetpriority', operator: 'Equal', value: 'spot', effect: 'NoSchedule' }]
      : []),
  ];
}

/**
 * Where the pods may run: on nodes that the user's selector matches (all of it, expressions included), and, when machines are bought, only on
 * those bought for this Workspace; never on those bought for another namespace. A user's own affinity holds in addition; KAITO drops it.
 */
export function affinity(
  workspace: Workspace,
  candidate: Candidate,
  users: V1Affinity = {},
): { affinity?: V1Affinity } {
  const selected = selectedNodes(workspace).map(toNodeSelectorRequirement);
  const mine = candidate.provider === 'own-nodes' ? notBoughtForOthers(workspace) : [boughtFor(workspace)];
  const usersTerms = users.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const terms = mine.flatMap((alternative) => withRequirements(usersTerms, [...selected, ...alternative]));
  const preferred = [
    ...(users.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
    ...preferredNodes(workspace),
  ];
  const apart = [
    ...(users.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(spansNodes(candidate) ? [onAnotherNode(workspace)] : []),
  ];
  const combined: V1Affinity = {
    ...users,
    ...((terms.length > 0 || preferred.length > 0) && {
      nodeAffinity: {
        ...(terms.length > 0 && {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
        }),
        ...(preferred.length > 0 && { preferredDuringSchedulingIgnoredDuringExecution: preferred }),
      },
    }),
    ...(apart.length > 0 && {
      podAntiAffinity: { ...users.podAntiAffinity, requiredDuringSchedulingIgnoredDuringExecution: apart },
    }),
  };
  return Object.keys(combined).length > 0 ? { affinity: combined } : {};
}

/**
 * A wish to run where the Workspace's other pods ran, and with it their volumes; any other node does when those are gone. Whether machines were
 * bought or are the user's own doesn't matter: nodes of the one kind don't match the wish for the other.
 */
export function nearMachines(workspace: Workspace): V1Affinity {
  const selected = selectedNodes(workspace).map(toNodeSelectorRequirement);
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: { matchExpressions: boughtFor(workspace) } },
        ...(selected.length > 0 ? [{ weight: 50, preference: { matchExpressions: selected } }] : []),
      ],
    },
  };
}

function boughtFor({ metadata: { name, namespace } }: Workspace): V1NodeSelectorRequirement[] {
  return [
    { key: LABEL_WORKSPACE, operator: 'In', values: [name] },
    { key: LABEL_WORKSPACE_NAMESPACE, operator: 'In', values: [namespace] },
  ];
}

/** The user's own nodes, or those of this namespace; alternatives, as no one requirement says both. */
function notBoughtForOthers({ metadata: { namespace } }: Workspace): V1NodeSelectorRequirement[][] {
  return [
    [{ key: LABEL_WORKSPACE_NAMESPACE, operator: 'DoesNotExist' }],
    [{ key: LABEL_WORKSPACE_NAMESPACE, operator: 'In', values: [namespace] }],
  ];
}

/** Terms are alternatives, so ours are added to each. A term without requirements matches no node, and must stay so. */
function withRequirements(
  terms: readonly V1NodeSelectorTerm[],
  required: readonly V1NodeSelectorRequirement[],
): V1NodeSelectorTerm[] {
  if (terms.length === 0) return required.length > 0 ? [{ matchExpressions: [...required] }] : [];
  return terms.map((term) => {
    const own = [...(term.matchExpressions ?? []), ...(term.matchFields ?? [])];
    return own.length === 0 || required.length === 0
      ? term
      : { ...term, matchExpressions: [...(term.matchExpressions ?? []), ...required] };
  });
}

function preferredNodes(workspace: Workspace): V1PreferredSchedulingTerm[] {
  const names = workspace.resource.preferredNodes ?? [];
  if (names.length === 0) return [];
  const preference = { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [...names] }] };
  return [{ weight: 100, preference }];
}

function onAnotherNode(workspace: Workspace): V1PodAffinityTerm {
  return {
    labelSelector: { matchLabels: { [LABEL_WORKSPACE]: workspace.metadata.name } },
    topologyKey: 'kubernetes.io/hostname',
  };
}
