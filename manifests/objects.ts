import type {
  V1ControllerRevision,
  V1Job,
  V1JobSpec,
  V1LabelSelectorRequirement,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
  V1NetworkPolicySpec,
  V1NodeSelectorRequirement,
  V1ObjectMeta,
  V1OwnerReference,
  V1PersistentVolumeClaim,
  V1PersistentVolumeClaimSpec,
  V1Service,
  V1StatefulSet,
  V1StatefulSetSpec,
  V1Taint,
} from '@kubernetes/client-node';
import { LABEL_WORKSPACE, LABEL_WORKSPACE_UID } from '../api/labels';
import { API_VERSION, KIND, type Workspace } from '../api/workspace';

/**
 * What the functions of this folder return: whole objects to be applied, checked at compile time against Kubernetes' own schema. Fields that
 * the API server fills in are left out, so that server-side apply owns only what we decide.
 */
interface Named extends V1ObjectMeta {
  name: string;
}

/** Metadata of a namespaced object that belongs to a Workspace. */
export interface OwnedMeta extends Named {
  namespace: string;
  labels: Record<string, string>;
  ownerReferences: [V1OwnerReference];
}

export interface StatefulSet extends V1StatefulSet {
  apiVersion: 'apps/v1';
  kind: 'StatefulSet';
  metadata: OwnedMeta & { annotations: Record<string, string> };
  spec: V1StatefulSetSpec;
}

export interface Service extends V1Service {
  apiVersion: 'v1';
  kind: 'Service';
  metadata: OwnedMeta;
}

export interface ControllerRevision extends V1ControllerRevision {
  apiVersion: 'apps/v1';
  kind: 'ControllerRevision';
  metadata: OwnedMeta & { annotations: Record<string, string> };
}

export interface Job extends V1Job {
  apiVersion: 'batch/v1';
  kind: 'Job';
  metadata: OwnedMeta & { annotations: Record<string, string> };
  spec: V1JobSpec;
}

export interface PersistentVolumeClaim extends V1PersistentVolumeClaim {
  apiVersion: 'v1';
  kind: 'PersistentVolumeClaim';
  metadata: OwnedMeta;
  spec: V1PersistentVolumeClaimSpec;
}

/** The library's type calls `from` by another name, as that is how its own client sends it. */
interface IngressRule {
  readonly from?: readonly V1NetworkPolicyPeer[];
  readonly ports?: readonly V1NetworkPolicyPort[];
}

export interface NetworkPolicy {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: OwnedMeta;
  readonly spec: Omit<V1NetworkPolicySpec, 'ingress'> & { readonly ingress?: readonly IngressRule[] };
}

/** A requirement on a node, as NodeClaims have it. */
export interface NodeRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt' | 'Gte' | 'Lte';
  readonly values?: readonly string[];
}

/** Karpenter's `karpenter.sh/v1` NodeClaim; cluster-scoped, so the label with the Workspace's UID says whose it is. */
export interface NodeClaim {
  readonly apiVersion: 'karpenter.sh/v1';
  readonly kind: 'NodeClaim';
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly nodeClassRef: { readonly group: string; readonly kind: string; readonly name: string };
    readonly requirements: readonly NodeRequirement[];
    readonly resources: { readonly requests: Readonly<Record<string, string>> };
    readonly taints: readonly (V1Taint & { readonly effect: 'NoSchedule' })[];
    readonly expireAfter: string;
    readonly terminationGracePeriod: string;
  };
}

/** Metadata of an object in the Workspace's namespace that goes when the Workspace goes. */
export function ownedMeta(workspace: Workspace, name: string): OwnedMeta {
  return {
    name,
    namespace: workspace.metadata.namespace,
    labels: ownLabels(workspace),
    ownerReferences: [
      {
        apiVersion: API_VERSION,
        kind: KIND,
        name: workspace.metadata.name,
        uid: workspace.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}

/** Labels of everything that belongs to the Workspace: by name for people and for KAITO's scripts, by UID as proof. */
export function ownLabels(workspace: Workspace): Record<string, string> {
  return { [LABEL_WORKSPACE]: workspace.metadata.name, [LABEL_WORKSPACE_UID]: workspace.metadata.uid };
}

/** The same requirement, as a selector of nodes has it; the two types differ in nothing but mutability. */
export function toNodeSelectorRequirement(
  requirement: Readonly<Omit<V1LabelSelectorRequirement, 'values'>> & {
    readonly values?: readonly string[] | undefined;
  },
): V1NodeSelectorRequirement {
  const { key, operator, values } = requirement;
  return { key, operator, ...(values !== undefined && { values: [...values] }) };
}
