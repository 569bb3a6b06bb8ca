import type { Workspace } from '../../../api/workspace';
import type { OwnedObjects } from '../../../activities/observe/observation';
import type { Condition, Node, NodeClaim, Pod, StatefulSet } from '../../../kubernetes/objects';

/** Objects as the API server gives them, with what a test doesn't care about filled in. */
const CREATED = '2026-01-01T00:00:00Z';

function meta(name: string, extra: object = {}) {
  return { name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: CREATED, ...extra };
}

export function condition(
  type: string,
  status: 'True' | 'False' | 'Unknown',
  extra: Partial<Condition> = {},
): Condition {
  return { type, status, lastTransitionTime: CREATED, ...extra };
}

export function workspace(parts: Partial<Workspace> = {}, metadata: object = {}): Workspace {
  return {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { ...meta('w'), namespace: 'default', generation: 1, ...metadata },
    resource: { labelSelector: {}, instanceType: 'Standard_NC24ads_A100_v4', count: 1 },
    inference: { preset: { name: 'phi-4', accessMode: 'public' } },
    ...parts,
  };
}

export function nodeClaim(
  name: string,
  conditions: readonly Condition[],
  extra: { metadata?: object; nodeName?: string } = {},
): NodeClaim {
  return {
    apiVersion: 'karpenter.sh/v1',
    kind: 'NodeClaim',
    metadata: meta(name, { labels: { 'kaito.sh/workspace-uid': 'uid-w' }, ...extra.metadata }),
    spec: {
      nodeClassRef: { group: 'g', kind: 'k', name: 'default' },
      requirements: [{ key: 'node.kubernetes.io/instance-type', operator: 'In', values: ['Standard_NC24ads_A100_v4'] }],
      resources: { requests: { 'nvidia.com/gpu': '1' } },
    },
    status: { conditions, ...(extra.nodeName !== undefined && { nodeName: extra.nodeName }) },
  };
}

export const LAUNCHED = ['Launched', 'Registered', 'Initialized', 'Ready'].map((type) => condition(type, 'True'));

export function node(name: string, extra: { gpus?: string; ready?: Condition; metadata?: object } = {}): Node {
  const { gpus = '1', ready = condition('Ready', 'True') } = extra;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: meta(name, extra.metadata),
    status: { allocatable: { 'nvidia.com/gpu': gpus }, conditions: [ready] },
  };
}

export function statefulSet(
  ready: number,
  replicas = 1,
  extra: { metadata?: object; status?: object } = {},
): StatefulSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: meta('w', { namespace: 'default', generation: 1, ...extra.metadata }),
    spec: { replicas, selector: {}, template: { spec: { containers: [] } } },
    status: { observedGeneration: 1, replicas, readyReplicas: ready, updatedReplicas: replicas, ...extra.status },
  };
}

export function pod(status: NonNullable<Pod['status']>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: meta('w-0', { namespace: 'default' }),
    spec: { containers: [] },
    status,
  };
}

export function owned(parts: {
  nodeClaims?: readonly NodeClaim[];
  nodes?: readonly Node[];
  statefulSet?: StatefulSet;
  pods?: readonly Pod[];
}): OwnedObjects {
  const { nodeClaims = [], nodes = [], pods = [] } = parts;
  return {
    nodeClaims,
    statefulSet: parts.statefulSet,
    pods,
    boughtNodes: nodes.filter(({ metadata }) => metadata.labels?.['kaito.sh/workspace'] !== undefined),
    kaitoPoolNodes: [],
    nodes: () => nodes,
    jobs: [],
    nodeNamed: (name) => nodes.find(({ metadata }) => metadata.name === name),
  };
}
