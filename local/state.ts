import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { NodeState } from './node/state';
import type { ProcessIdentity } from './processes';
import type { GotProgram, ProgramName } from './programs';

/** The processes of an environment. */
export type ComponentName =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kwok'
  | 'karpenter'
  | 'temporal'
  | 'node'
  | 'containerd'
  | 'kubelet'
  | 'kube-proxy'
  | 'registry';

/** What listens where. */
export type PortName =
  | 'etcd'
  | 'etcdPeer'
  | 'apiServer'
  | 'controllerManager'
  | 'scheduler'
  | 'kwok'
  | 'karpenterHealth'
  | 'karpenterMetrics'
  | 'temporal'
  | 'temporalUi'
  | 'temporalHttp'
  | 'temporalMetrics';

/** Every port of an environment. */
export const PORT_NAMES: readonly PortName[] = [
  'etcd',
  'etcdPeer',
  'apiServer',
  'controllerManager',
  'scheduler',
  'kwok',
  'karpenterHealth',
  'karpenterMetrics',
  'temporal',
  'temporalUi',
  'temporalHttp',
  'temporalMetrics',
];

/** What an environment is made of. */
export interface Parts {
  /** etcd, the control plane and KWOK. */
  readonly kubernetes: boolean;
  /** `kinds`: its kinds, node class and node pool without Karpenter itself, for a stand-in that answers NodeClaims. */
  readonly karpenter: boolean | 'kinds';
  /** Temporal's dev server: forgets all when it ends (`memory`), keeps it in a file, or is left out. */
  readonly temporal: 'memory' | 'file' | false;
  /** A node that really runs containers, and an image registry. Linux and root only. */
  readonly realNode?: boolean;
  /** Heartbeats of simulated nodes are rare, so that thousands of nodes don't keep the API server busy with them alone. */
  readonly rareHeartbeats?: boolean;
}

/** The file state.json of an environment: all that is needed to look at it, stop it, or start parts of it again. */
export interface State {
  readonly parts: Parts;
  readonly ports: Readonly<Record<PortName, number>>;
  readonly programs: Readonly<Partial<Record<ProgramName, GotProgram>>>;
  /** Bearer token of the cluster's administrator. */
  readonly token: string;
  readonly node?: NodeState;
  readonly processes: Readonly<Partial<Record<ComponentName, ProcessIdentity>>>;
}

/** Files of the environment in `dir`. */
export function paths(dir: string) {
  const at = (...parts: string[]) => path.join(dir, ...parts);
  return {
    state: at('state.json'),
    lock: at('lock'),
    kubeconfig: at('kubeconfig'),
    env: at('env'),
    bin: at('bin'),
    logs: at('logs'),
    data: at('data'),
    pki: at('pki'),
    node: at('node'),
    presets: at('presets'),
    servingCertificate: at('pki', 'apiserver.crt'),
    serviceAccountKey: at('pki', 'service-account.key'),
    tokens: at('pki', 'tokens.csv'),
    auditPolicy: at('data', 'audit-policy.yaml'),
    auditLog: at('logs', 'kube-apiserver-audit.log'),
    instanceTypes: at('data', 'instance-types.json'),
    temporalDatabase: at('data', 'temporal.db'),
    log: (component: ComponentName) => at('logs', `${component}.log`),
  };
}

/** The state of the environment in `dir`; undefined when there is none. */
export async function readState(dir: string): Promise<State | undefined> {
  try {
    return JSON.parse(await readFile(paths(dir).state, 'utf8')) as State;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces the state as a whole: a reader sees the old one or the new one. */
export async function writeState(dir: string, state: State): Promise<void> {
  const file = paths(dir).state;
  await writeFile(`${file}.new`, JSON.stringify(state, undefined, 2), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
