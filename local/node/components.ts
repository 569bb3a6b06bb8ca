import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { stringify } from 'yaml';

import { answers } from '../answers';
import { apiServerUrl, servingCertificate } from '../api-server';
import type { ComponentBuilder } from '../component';
import { CNI_PLUGINS } from '../programs/catalogue';
import { programCache, type ProgramName } from '../programs';
import { run } from '../programs/run';
import type { State } from '../state';
import { addressesOf } from './addresses';
import { emptyCgroup, makeCgroup, mustHaveCgroups } from './cgroups';
import { completeNode, untilLaterSecond } from './cluster-objects';
import { kubeconfig } from './configuration';
import { useImageStore } from './image-store';
import { importArchive, removeForeignImages } from './images';
import { CONTAINERD_SOCKET, REAL_NODE } from './names';
import { insideNode, nodePid } from './namespaces';
import { connectNode } from './network';
import { nodePaths } from './paths';
import type { NodeState } from './state';

/** The processes of a real node and the registry beside it, each after what it needs. */
export const NODE_COMPONENTS = ['node', 'registry', 'containerd', 'kubelet', 'kube-proxy'] as const;

/** The programs that they need. */
export const NODE_PROGRAMS: readonly ProgramName[] = [
  'kubelet',
  'kube-proxy',
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'runc',
  ...CNI_PLUGINS,
  'registry',
  'pause',
];

/** What they are and how they are run. */
export const NODE_BUILDERS: Readonly<Record<(typeof NODE_COMPONENTS)[number], ComponentBuilder>> = {
  node: (dir, state) => {
    const at = nodePaths(dir);
    const { block, imageStore } = nodeOf(state);
    return {
      name: 'node',
      program: { command: 'unshare' },
      needs: [],
      args: [
        ...['--net', '--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'],
        ...['sh', path.join(__dirname, 'hold.sh')],
        ...[dir, at.folder, path.join(imageStore, 'containerd'), at.volumes, programCache()],
      ],
      beforeStart: async () => {
        await rm(at.pid, { force: true });
        const cgroups = await mustHaveCgroups();
        await emptyCgroup(cgroups, addressesOf(block).cgroup);
        await makeCgroup(cgroups, addressesOf(block).cgroup);
      },
      isReady: async () => (await nodePid(dir)) !== undefined,
      afterStart: async ({ identity }) => {
        await useImageStore(imageStore, identity);
        await connectNode(addressesOf(block), (await nodePid(dir)) as number);
      },
    };
  },

  registry: (dir, state) => {
    const { registry } = addressesOf(nodeOf(state).block);
    return {
      name: 'registry',
      program: 'registry',
      needs: ['node'],
      args: ['serve', nodePaths(dir).registryConfig],
      env: { OTEL_TRACES_EXPORTER: 'none' },
      isReady: () => answers(`http://${registry}/`),
    };
  },

  containerd: (dir, state) => {
    const at = nodePaths(dir);
    return {
      name: 'containerd',
      program: 'containerd',
      needs: ['node'],
      within: () => insideNode(dir),
      args: ['--config', at.containerdConfig],
      // It looks for its shim there.
      env: { PATH: `${at.bin}${path.delimiter}${process.env.PATH ?? ''}` },
      isReady: async () => {
        const [enter = '', ...options] = insideNode(dir);
        const ctr = path.join(at.bin, 'ctr');
        const { code } = await run(enter, [...options, ctr, '--address', CONTAINERD_SOCKET, 'version']);
        return code === 0;
      },
      afterStart: async () => {
        await importArchive(dir, state, at.pauseArchive);
        await removeForeignImages(dir, state, addressesOf(nodeOf(state).block).registry);
      },
    };
  },

  kubelet: (dir, state) => {
    const at = nodePaths(dir);
    const { block, tokens } = nodeOf(state);
    const { node } = addressesOf(block);
    return {
      name: 'kubelet',
      program: 'kubelet',
      needs: ['kube-apiserver', 'containerd'],
      within: () => insideNode(dir),
      args: [
        `--config=${at.kubeletConfig}`,
        `--kubeconfig=${at.kubeletKubeconfig}`,
        `--hostname-override=${REAL_NODE}`,
        `--node-ip=${node}`,
      ],
      beforeStart: async () => {
        await writeKubeconfig(dir, state, at.kubeletKubeconfig, tokens.kubelet);
        await untilLaterSecond(dir, state);
      },
      isReady: () => answers(`http://${node}:10248/healthz`),
      afterStart: ({ startedAtMs }) => completeNode(dir, state, startedAtMs),
    };
  },

  'kube-proxy': (dir, state) => {
    const at = nodePaths(dir);
    const { block, tokens } = nodeOf(state);
    return {
      name: 'kube-proxy',
      program: 'kube-proxy',
      needs: ['kube-apiserver', 'node'],
      within: () => insideNode(dir),
      args: [`--config=${at.kubeProxyConfig}`],
      beforeStart: () => writeKubeconfig(dir, state, at.kubeProxyKubeconfig, tokens.kubeProxy),
      isReady: () => answers(`http://${addressesOf(block).node}:10256/healthz`),
    };
  },
};

function nodeOf({ node }: State): NodeState {
  if (node === undefined) throw new Error('this environment has no real node');
  return node;
}

/** Written late: the API server makes its certificate when it starts. */
async function writeKubeconfig(dir: string, state: State, file: string, token: string): Promise<void> {
  const config = kubeconfig(apiServerUrl(state), (await servingCertificate(dir)) ?? '', token);
  await writeFile(file, stringify(config), { mode: 0o600 });
}
