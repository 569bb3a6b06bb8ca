import { createHash } from 'node:crypto';
import type { Manifest } from '../../kubernetes/objects';
import type { Workspace } from '../../api/workspace';
import { NODE_CLASS } from '../../local/environment';

/** What KAITO v0.12 makes for a Workspace beside gpu-provisioner, as its documents and manifests show it; the node class is the simulated one. */

/** Field manager of its controller. */
export const KAITO = 'workspace-controller';

const IMAGE = 'mcr.microsoft.com/aks/kaito/kaito-base:0.5.0';

function owned({ metadata, apiVersion, kind }: Workspace, name: string) {
  const owner = {
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  return { namespace: metadata.namespace, name, ownerReferences: [owner] };
}

function marks({ metadata }: Workspace) {
  return { 'kaito.sh/workspace': metadata.name, 'kaito.sh/workspacenamespace': metadata.namespace };
}

export function kaitoClaim(workspace: Workspace): Manifest {
  const { name, namespace, uid } = workspace.metadata;
  const size = workspace.resource.instanceType ?? '';
  return {
    apiVersion: 'karpenter.sh/v1',
    kind: 'NodeClaim',
    metadata: {
      name: `ws${createHash('sha256').update(`${namespace}${name}${uid}`).digest('hex').slice(0, 9)}`,
      labels: { 'karpenter.sh/nodepool': 'kaito', ...marks(workspace), apps: name },
      annotations: { 'karpenter.sh/do-not-disrupt': 'true', 'kaito.sh/node-image-family': 'ubuntu' },
    },
    spec: {
      nodeClassRef: NODE_CLASS,
      taints: [{ key: 'sku', value: 'gpu', effect: 'NoSchedule' }],
      requirements: [
        { key: 'karpenter.sh/nodepool', operator: 'In', values: ['kaito'] },
        { key: 'node.kubernetes.io/instance-type', operator: 'In', values: [size] },
        { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
      ],
      resources: { requests: {} },
    },
  } as Manifest;
}

export function kaitoServices(workspace: Workspace): readonly Manifest[] {
  const { name } = workspace.metadata;
  const selector = { 'kaito.sh/workspace': name };
  const port = (portName: string, number: number, targetPort = number) => ({
    name: portName,
    port: number,
    targetPort,
  });
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: owned(workspace, name),
      spec: {
        type: 'ClusterIP',
        publishNotReadyAddresses: true,
        ports: [port('http', 80, 5000), port('ray', 6379), port('dashboard', 8265), port('kv-events', 5557)],
        selector: { ...selector, 'statefulset.kubernetes.io/pod-name': `${name}-0` },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: owned(workspace, `${name}-headless`),
      spec: { clusterIP: 'None', publishNotReadyAddresses: true, selector },
    },
  ] as unknown as readonly Manifest[];
}

export function kaitoStatefulSet(workspace: Workspace): Manifest {
  const { name } = workspace.metadata;
  const nodes = Object.entries({ apps: name, ...marks(workspace) }).map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }));
  const health = { httpGet: { path: '/health', port: 5000 }, periodSeconds: 10 };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...owned(workspace, name), annotations: { 'workspace.kaito.io/revision': '1' } },
    spec: {
      replicas: 1,
      serviceName: `${name}-headless`,
      podManagementPolicy: 'Parallel',
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
      selector: { matchLabels: { 'kaito.sh/workspace': name } },
      template: {
        metadata: { labels: { 'kaito.sh/workspace': name } },
        spec: {
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: nodes }] },
            },
          },
          tolerations: [
            { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
            { key: 'sku', operator: 'Equal', value: 'gpu', effect: 'NoSchedule' },
          ],
          containers: [
            {
              name,
              image: IMAGE,
              command: [
                '/bin/sh',
                '-c',
                'python3 /workspace/vllm/inference_api.py --model=microsoft/phi-4-mini-instruct',
              ],
              ports: [
                { name: 'http', containerPort: 5000 },
                { name: 'kv-events', containerPort: 5557 },
              ],
              env: [
                { name: 'VLLM_USE_FLASHINFER_SAMPLER', value: '0' },
                { name: 'VLLM_USE_DEEP_GEMM', value: '0' },
              ],
              resources: { requests: { 'nvidia.com/gpu': '1' }, limits: { 'nvidia.com/gpu': '1' } },
              startupProbe: {
                exec: { command: ['python3', '/workspace/vllm/benchmark_entrypoint.py'] },
                periodSeconds: 10,
                timeoutSeconds: 600,
                failureThreshold: 180,
              },
              livenessProbe: { ...health, failureThreshold: 3 },
              readinessProbe: { ...health, initialDelaySeconds: 30 },
              volumeMounts: [
                { name: 'model-weights-volume', mountPath: '/workspace/weights' },
                { name: 'dshm', mountPath: '/dev/shm' },
              ],
            },
          ],
          volumes: [
            { name: 'dshm', emptyDir: { medium: 'Memory' } },
            { name: 'model-weights-volume', emptyDir: {} },
          ],
        },
      },
    },
  } as Manifest;
}

export function kaitoJob(workspace: Workspace): Manifest {
  const { name } = workspace.metadata;
  const labels = { 'kaito.sh/workspace': name };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { ...owned(workspace, name), labels, annotations: { 'workspace.kaito.io/revision': '1' } },
    spec: {
      suspend: true,
      template: { metadata: { labels }, spec: { restartPolicy: 'Never', containers: [{ name, image: IMAGE }] } },
    },
  } as Manifest;
}

/** Of a Workspace that is Ready, or of a tuning that is over. */
export function kaitoStatus({ metadata, tuning }: Workspace, node: string): object {
  const holds = (type: string, reason: string) => ({
    type,
    status: 'True',
    reason,
    message: reason,
    lastTransitionTime: '2026-08-01T00:00:00Z',
    observedGeneration: metadata.generation,
  });
  return {
    workerNodes: [node],
    state: tuning === undefined ? 'Ready' : 'Succeeded',
    targetNodeCount: 1,
    conditions: [
      holds('NodesReady', 'NodesReady'),
      holds('NodeClaimReady', 'NodeClaimsReady'),
      holds('ResourceReady', 'workspaceResourceStatusSuccess'),
      ...(tuning === undefined
        ? [
            holds('InferenceReady', 'WorkspaceInferenceStatusSuccess'),
            holds('BenchmarkCompleted', 'BenchmarkCompleted'),
          ]
        : [holds('JobStarted', 'WorkspaceTuningJobStatusStarted')]),
      holds('WorkspaceSucceeded', 'workspaceSucceeded'),
    ],
  };
}
