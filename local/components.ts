import path from 'node:path';

import { answers } from './answers';
import { LOOPBACK, apiServerHost, apiServerUrl, servingCertificate } from './api-server';
import { auditArgs, writeAuditPolicy } from './audit';
import type { Component, ComponentBuilder } from './component';
import { nodeApiServerArgs } from './node/control-plane';
import { NODE_BUILDERS, NODE_COMPONENTS, NODE_PROGRAMS } from './node/components';
import type { ProcessSpec } from './processes';
import type { ProgramName } from './programs';
import { paths, type ComponentName, type Parts, type State } from './state';

/** Names of the components that belong to an environment of these parts, each after what it needs. */
export function componentNames(parts: Parts): readonly ComponentName[] {
  return [
    ...(parts.temporal === false ? [] : (['temporal'] as const)),
    ...(parts.kubernetes
      ? (['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok'] as const)
      : []),
    ...(parts.karpenter === true ? (['karpenter'] as const) : []),
    ...(parts.realNode === true ? NODE_COMPONENTS : []),
  ];
}

/** Programs that an environment of these parts needs, those that people run included. */
export function programNames(parts: Parts): readonly ProgramName[] {
  return [
    ...(parts.temporal === false ? [] : (['temporal'] as const)),
    ...(parts.kubernetes
      ? (['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl', 'kwok'] as const)
      : []),
    ...(parts.karpenter === false ? [] : (['karpenter-kwok'] as const)),
    ...(parts.realNode === true ? NODE_PROGRAMS : []),
  ];
}

/** The component of an environment. */
export function component(dir: string, state: State, name: ComponentName): Component {
  return BUILDERS[name](dir, state);
}

/** How to run a component now. */
export function processSpec(dir: string, state: State, it: Component): ProcessSpec {
  const [command, ...args] = [...(it.within?.() ?? []), executable(state, it), ...it.args];
  const env = it.env === undefined ? {} : { env: it.env };
  return { command: command as string, args, cwd: dir, logFile: paths(dir).log(it.name), ...env };
}

function executable(state: State, { name, program }: Component): string {
  if (typeof program === 'object') return program.command;
  const got = state.programs[program];
  if (got === undefined) throw new Error(`${name} needs ${program}, which this environment was not given`);
  return got.file;
}

/** As a kubelet's; it is renewed four times as often. */
const LEASE_SECONDS = 40;
const RARE_LEASE_SECONDS = 1_200;

const BUILDERS: Readonly<Record<ComponentName, ComponentBuilder>> = {
  ...NODE_BUILDERS,

  etcd: (dir, { ports }) => {
    const client = `http://${LOOPBACK}:${ports.etcd}`;
    const peer = `http://${LOOPBACK}:${ports.etcdPeer}`;
    return {
      name: 'etcd',
      program: 'etcd',
      needs: [],
      args: [
        '--name=local',
        `--data-dir=${path.join(paths(dir).data, 'etcd')}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=local=${peer}`,
        '--log-level=warn',
        // The data are as short-lived as the environment; without this, disks decide how fast the cluster is.
        '--unsafe-no-fsync',
      ],
      isReady: () => answers(`${client}/health`),
    };
  },

  'kube-apiserver': (dir, state) => ({
    name: 'kube-apiserver',
    program: 'kube-apiserver',
    needs: state.node === undefined ? ['etcd'] : ['etcd', 'node'],
    args: [
      `--etcd-servers=http://${LOOPBACK}:${state.ports.etcd}`,
      `--bind-address=${apiServerHost(state)}`,
      `--advertise-address=${apiServerHost(state)}`,
      `--secure-port=${state.ports.apiServer}`,
      // It makes its own serving certificate there.
      `--cert-dir=${paths(dir).pki}`,
      `--token-auth-file=${paths(dir).tokens}`,
      '--authorization-mode=Node,RBAC',
      // As OpenShift has it: owners that block deletion are for those who may set their finalizers.
      '--enable-admission-plugins=OwnerReferencesPermissionEnforcement',
      ...auditArgs(paths(dir).auditPolicy, paths(dir).auditLog),
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${paths(dir).serviceAccountKey}`,
      `--service-account-signing-key-file=${paths(dir).serviceAccountKey}`,
      '--allow-privileged=true',
      // Nobody here has to be protected from anybody else's load.
      '--enable-priority-and-fairness=false',
      '--max-requests-inflight=0',
      '--max-mutating-requests-inflight=0',
      // For the administrator alone; docs/benchmark.md reads it.
      '--profiling=true',
      ...(state.node === undefined
        ? [
            '--service-cluster-ip-range=10.96.0.0/16',
            // There is one API server, on an address that no pod could reach.
            '--endpoint-reconciler-type=none',
          ]
        : nodeApiServerArgs(dir, state.node)),
    ],
    beforeStart: () => writeAuditPolicy(paths(dir).auditPolicy),
    isReady: async () => {
      const ca = await servingCertificate(dir);
      return ca !== undefined && answers(`${apiServerUrl(state)}/readyz`, { ca, token: state.token });
    },
  }),

  'kube-controller-manager': (dir, { ports, parts }) => ({
    name: 'kube-controller-manager',
    program: 'kube-controller-manager',
    needs: ['kube-apiserver'],
    args: [
      `--kubeconfig=${paths(dir).kubeconfig}`,
      `--bind-address=${LOOPBACK}`,
      `--secure-port=${ports.controllerManager}`,
      `--cert-dir=${path.join(paths(dir).pki, 'controller-manager')}`,
      `--root-ca-file=${paths(dir).servingCertificate}`,
      `--service-account-private-key-file=${paths(dir).serviceAccountKey}`,
      '--leader-elect=false',
      '--kube-api-qps=5000',
      '--kube-api-burst=10000',
      '--profiling=false',
      ...(parts.rareHeartbeats === true ? [`--node-monitor-grace-period=${RARE_LEASE_SECONDS}s`] : []),
    ],
    isReady: () => answers(`https://${LOOPBACK}:${ports.controllerManager}/healthz`, 'unverified'),
  }),

  'kube-scheduler': (dir, { ports }) => ({
    name: 'kube-scheduler',
    program: 'kube-scheduler',
    needs: ['kube-apiserver'],
    args: [
      `--kubeconfig=${paths(dir).kubeconfig}`,
      `--bind-address=${LOOPBACK}`,
      `--secure-port=${ports.scheduler}`,
      `--cert-dir=${path.join(paths(dir).pki, 'scheduler')}`,
      '--leader-elect=false',
      '--kube-api-qps=5000',
      '--kube-api-burst=10000',
      '--profiling=false',
    ],
    isReady: () => answers(`https://${LOOPBACK}:${ports.scheduler}/healthz`, 'unverified'),
  }),

  kwok: (dir, { ports, programs, parts }) => ({
    name: 'kwok',
    program: 'kwok',
    needs: ['kube-apiserver'],
    args: [
      `--kubeconfig=${paths(dir).kubeconfig}`,
      `--config=${path.join(programs.kwok?.folder ?? '', 'stages.yaml')}`,
      // Karpenter's simulated nodes carry it; nodes without it are left to a real kubelet.
      '--manage-all-nodes=false',
      '--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake',
      `--node-lease-duration-seconds=${parts.rareHeartbeats === true ? RARE_LEASE_SECONDS : LEASE_SECONDS}`,
      '--node-ip=10.240.0.1',
      '--cidr=10.244.0.1/16',
      `--server-address=${LOOPBACK}:${ports.kwok}`,
    ],
    isReady: () => answers(`http://${LOOPBACK}:${ports.kwok}/healthz`),
  }),

  karpenter: (dir, { ports }) => ({
    name: 'karpenter',
    program: 'karpenter-kwok',
    needs: ['kube-apiserver'],
    args: [],
    env: {
      KUBECONFIG: paths(dir).kubeconfig,
      INSTANCE_TYPES_FILE_PATH: paths(dir).instanceTypes,
      FEATURE_GATES: 'StaticCapacity=true',
      DISABLE_LEADER_ELECTION: 'true',
      SYSTEM_NAMESPACE: 'kube-system',
      HEALTH_PROBE_PORT: String(ports.karpenterHealth),
      METRICS_PORT: String(ports.karpenterMetrics),
      KUBE_CLIENT_QPS: '1000',
      KUBE_CLIENT_BURST: '2000',
    },
    isReady: () => answers(`http://${LOOPBACK}:${ports.karpenterHealth}/readyz`),
  }),

  temporal: (dir, { ports, parts }) => ({
    name: 'temporal',
    program: 'temporal',
    needs: [],
    args: [
      'server',
      'start-dev',
      `--ip=${LOOPBACK}`,
      `--port=${ports.temporal}`,
      `--ui-ip=${LOOPBACK}`,
      `--ui-port=${ports.temporalUi}`,
      `--http-port=${ports.temporalHttp}`,
      `--metrics-port=${ports.temporalMetrics}`,
      '--log-level=warn',
      // A worker gets the activity that its workflow task scheduled with the answer, without a detour through matching.
      '--dynamic-config-value=system.enableActivityEagerExecution=true',
      // Workflows whose tasks fail can be found; the bridge tells of them.
      '--dynamic-config-value=system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2',
      ...(parts.temporal === 'file' ? [`--db-filename=${paths(dir).temporalDatabase}`] : []),
    ],
    isReady: () => answers(`http://${LOOPBACK}:${ports.temporalHttp}/api/v1/namespaces/default`),
  }),
};
