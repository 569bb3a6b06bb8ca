import type { V1EnvVar, V1Probe, V1StatefulSetSpec } from '@kubernetes/client-node';
import type { Candidate } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import { GROUP_PROBE } from './group-probe';
import { headlessServiceName, HTTP_PORT } from './names';

/**
 * One model over several nodes, by vLLM's own multi-node start (`--nnodes`, `--node-rank`, `--master-addr`, `--master-port`, `--headless`; read
 * in vLLM 0.32: vllm/engine/arg_utils.py, vllm/entrypoints/cli/serve.py). Each pod is one node of the group, its ordinal is its rank. Rank 0 holds
 * the rendezvous and answers HTTP; the others work for it and answer nothing.
 */

/** Where rank 0 waits for the others. */
export const RENDEZVOUS_PORT = 29500;

/** Whether one copy of the model needs more GPUs than a node has. Else each pod is a replica by itself. */
export function spansNodes({ layout, gpus }: Pick<Candidate, 'layout' | 'gpus'>): boolean {
  return layout !== undefined && layout.tensorParallel * layout.pipelineParallel * layout.dataParallel > gpus.count;
}

/** Flags that make the group. Patience covers nodes that pull the image or load the weights more slowly than others. */
export function groupFlags(
  workspace: Workspace,
  nodeCount: number,
  startupSeconds: number,
): Readonly<Record<string, string>> {
  const { name, namespace } = workspace.metadata;
  return {
    nnodes: String(nodeCount),
    // The kubelet replaces it by the variable's value.
    'node-rank': '$(POD_INDEX)',
    'master-addr': `${name}-0.${headlessServiceName(name)}.${namespace}.svc`,
    'master-port': String(RENDEZVOUS_PORT),
    'distributed-timeout-seconds': String(startupSeconds),
  };
}

/** The same command for every rank; only rank 0 opens the HTTP port. */
export const GROUP_COMMAND: readonly string[] = [
  '/bin/sh',
  '-c',
  '[ "$POD_INDEX" = 0 ] || set -- "$@" --headless; exec serve "$@"',
  'serve',
];

export function groupEnv(): V1EnvVar[] {
  return [
    { name: 'POD_INDEX', valueFrom: { fieldRef: { fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']" } } },
    // vLLM guesses the address that others reach it at; here it is known.
    { name: 'VLLM_HOST_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
  ];
}

/**
 * Probes of a group; see group-probe.ts for what they find out. They need no HTTP from ranks that serve none, and they make the members start
 * again together: a process group that lost a member doesn't recover, and its other members would wait for ever.
 */
export function groupProbes(startupSeconds: number): {
  startupProbe: V1Probe;
  livenessProbe: V1Probe;
  readinessProbe: V1Probe;
} {
  const probe = (mode: 'start' | 'check'): V1Probe => ({
    exec: {
      command: ['python3', '-c', GROUP_PROBE, mode, String(RENDEZVOUS_PORT), String(HTTP_PORT)],
    },
    timeoutSeconds: 10,
  });
  return {
    startupProbe: { ...probe('start'), failureThreshold: Math.ceil(startupSeconds / 10) },
    livenessProbe: probe('check'),
    readinessProbe: probe('check'),
  };
}

/**
 * All members change at once, because members of different revisions can't work together. Clusters without the feature MaxUnavailableStatefulSet
 * drop the field and replace one pod after another, which comes to the same end more slowly.
 */
export const GROUP_UPDATE_STRATEGY: NonNullable<V1StatefulSetSpec['updateStrategy']> = {
  type: 'RollingUpdate',
  rollingUpdate: { maxUnavailable: '100%' },
};
