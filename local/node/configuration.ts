import path from 'node:path';

import type { NodeAddresses } from './addresses';
import { CONTAINERD_SOCKET, PAUSE_IMAGE } from './names';
import type { nodePaths } from './paths';

/** What the configuration files of the node's programs are made of. */
export interface NodeFacts {
  readonly addresses: NodeAddresses;
  readonly at: ReturnType<typeof nodePaths>;
  readonly cgroupVersion: 1 | 2;
  readonly snapshotter: 'overlayfs' | 'native';
  readonly nodeName: string;
}

/** KubeletConfiguration. */
export function kubeletConfiguration({ addresses, at, cgroupVersion }: NodeFacts): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: addresses.node,
    healthzBindAddress: addresses.node,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: at.clientCertificate },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${addresses.cgroup}`,
    ...(cgroupVersion === 1 ? { failCgroupV1: false } : {}),
    // The machine does other work beside the node: nothing is set aside, and its swap is its own affair.
    enforceNodeAllocatable: [],
    failSwapOn: false,
    // How full the machine's disk is says nothing about the node.
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
      'imagefs.inodesFree': '0%',
    },
    imageGCHighThresholdPercent: 100,
    // The same image is imported for one pod and pulled with credentials by another.
    imagePullCredentialsVerificationPolicy: 'NeverVerify',
    makeIPTablesUtilChains: false,
    resolvConf: at.resolvConf,
    volumePluginDir: '/var/lib/kubelet/volume-plugins',
    readOnlyPort: 0,
  };
}

/** KubeProxyConfiguration. */
export function kubeProxyConfiguration({ addresses, at, nodeName }: NodeFacts): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    hostnameOverride: nodeName,
    clientConnection: { kubeconfig: at.kubeProxyKubeconfig },
    clusterCIDR: addresses.podRange,
    bindAddress: addresses.node,
    healthzBindAddress: `${addresses.node}:10256`,
    metricsBindAddress: `${addresses.node}:10249`,
    nftables: {
      // Without it, a pod's answer to a neighbour on the same bridge would go past the kernel's address translation.
      masqueradeAll: true,
    },
    // Limits of the whole machine, which are not the node's to change.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}

/** A kubeconfig with a bearer token. */
export function kubeconfig(server: string, certificate: string, token: string): object {
  const name = 'local';
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      { name, cluster: { server, 'certificate-authority-data': Buffer.from(certificate).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
}

/** containerd's configuration file. */
export function containerdConfiguration({ at, snapshotter }: NodeFacts): string {
  // JSON's strings are TOML's.
  const text = (value: string) => JSON.stringify(value);
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]

[grpc]
  address = ${text(CONTAINERD_SOCKET)}

[plugins."io.containerd.cri.v1.images"]
  snapshotter = ${text(snapshotter)}
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = ${text(PAUSE_IMAGE)}
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = ${text(at.registryHosts)}

[plugins."io.containerd.cri.v1.runtime"]
  # A machine that is itself a sandbox may forbid lowering a process's score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [${text(at.bin)}]
    conf_dir = ${text(at.cni)}
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = ${text(path.join(at.bin, 'runc'))}
        SystemdCgroup = false
`;
}

/** Where containerd finds the registry: over plain HTTP. */
export function registryHosts({ registry }: NodeAddresses): string {
  return `server = "http://${registry}"\n\n[host."http://${registry}"]\n  capabilities = ["pull", "resolve"]\n`;
}

/** The network of pods: one bridge, whose address is their way to everything else. */
export function cniConfiguration({ addresses }: NodeFacts): object {
  return {
    cniVersion: '1.0.0',
    name: 'kaito',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: addresses.podRange }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', backend: 'nftables', capabilities: { portMappings: true } },
    ],
  };
}

/** The registry's configuration file. */
export function registryConfiguration({ addresses, at }: NodeFacts): object {
  return {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: at.registryData }, delete: { enabled: true } },
    http: { addr: addresses.registry },
    auth: { htpasswd: { realm: 'local', path: at.htpasswd } },
  };
}
