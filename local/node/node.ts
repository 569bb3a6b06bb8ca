import { randomBytes } from 'node:crypto';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { stringify } from 'yaml';

import { isSameProcess } from '../processes';
import type { Log } from '../programs/source';
import { paths, writeState, type State } from '../state';
import { addressesOf } from './addresses';
import { mustHaveCgroups, removeCgroup, type Cgroups } from './cgroups';
import { makeKubeletClientCertificate } from './certificates';
import { command } from './command';
import { NODE_PROGRAMS } from './components';
import {
  cniConfiguration,
  containerdConfiguration,
  kubeProxyConfiguration,
  kubeletConfiguration,
  registryConfiguration,
  registryHosts,
  type NodeFacts,
} from './configuration';
import { takeImageStore } from './image-store';
import { diskWarning } from './machine';
import { REAL_NODE, REGISTRY_USER, VOLUMES } from './names';
import { disconnectNode, reserveBlock } from './network';
import { makePauseArchive } from './pause';
import { nodePaths } from './paths';
import type { NodeState } from './state';

/** The state with a real node in it, noted before anything of the node exists, and the files that its programs read. */
export async function withNode(dir: string, state: State, log: Log): Promise<State> {
  const holder = state.processes.node;
  const runs = holder !== undefined && isSameProcess(holder);
  if (state.node !== undefined && runs) return state;
  const cgroups = await mustHaveCgroups();
  const store = await takeImageStore();
  const node: NodeState = {
    ...(state.node ?? (await newNode(cgroups))),
    imageStore: store.folder,
    snapshotter: store.snapshotter,
  };
  const complete = { ...state, node };
  await writeState(dir, complete);
  await writeFiles(dir, complete, node);
  log(`node ${REAL_NODE}: images are kept in ${store.folder} (${store.snapshotter})`);
  const warning = await diskWarning(store.folder);
  if (warning !== undefined) log(`node ${REAL_NODE}: ${warning}`);
  return complete;
}

async function newNode(cgroups: Cgroups) {
  const secret = () => randomBytes(16).toString('hex');
  return {
    block: await reserveBlock(cgroups),
    cgroupVersion: cgroups.version,
    tokens: { kubelet: secret(), kubeProxy: secret() },
    registryPassword: secret(),
  };
}

/**
 * Removes what of a real node outlives its processes: control groups, and the machine's end of the link. Mounts, interfaces, routes and
 * packet rules ended with the node's first process.
 */
export async function removeNode({ node }: State): Promise<void> {
  if (node === undefined) return;
  const addresses = addressesOf(node.block);
  await disconnectNode(addresses);
  await removeCgroup(await mustHaveCgroups(), addresses.cgroup);
}

async function writeFiles(dir: string, state: State, node: NodeState): Promise<void> {
  const at = nodePaths(dir);
  const facts: NodeFacts = {
    addresses: addressesOf(node.block),
    at,
    cgroupVersion: node.cgroupVersion,
    snapshotter: node.snapshotter,
    nodeName: REAL_NODE,
  };
  const hosts = path.join(at.registryHosts, facts.addresses.registry);
  const volumes = VOLUMES.map((name) => path.join(at.volumes, name));
  for (const folder of [at.bin, at.kubelet, at.log, ...volumes, at.cni, hosts, at.registryData]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  const files: readonly (readonly [file: string, content: string])[] = [
    [paths(dir).tokens, tokensFile(state, node)],
    [at.kubeletConfig, stringify(kubeletConfiguration(facts))],
    [at.kubeProxyConfig, stringify(kubeProxyConfiguration(facts))],
    [at.containerdConfig, containerdConfiguration(facts)],
    [at.cniConfig, JSON.stringify(cniConfiguration(facts), undefined, 1)],
    [path.join(hosts, 'hosts.toml'), registryHosts(facts.addresses)],
    [at.registryConfig, stringify(registryConfiguration(facts))],
    // There is no cluster DNS, and no way from pods to the outside.
    [at.resolvConf, ''],
    [at.htpasswd, await command('htpasswd', ['-niB', REGISTRY_USER], node.registryPassword)],
  ];
  for (const [file, content] of files) await writeFile(file, content, { mode: 0o600 });
  for (const name of NODE_PROGRAMS) await link(state.programs[name]?.file, path.join(at.bin, name));
  await makeKubeletClientCertificate({ certificate: at.clientCertificate, key: at.clientKey });
  await makePauseArchive(path.join(at.bin, 'pause'), at.pauseArchive);
}

async function link(to: string | undefined, at: string): Promise<void> {
  if (to === undefined) throw new Error(`a real node needs ${path.basename(at)}, which this environment was not given`);
  await rm(at, { force: true });
  await symlink(to, at);
}

/** Who may talk to the API server, and as whom. */
function tokensFile({ token }: State, { tokens }: NodeState): string {
  return [
    `${token},admin,admin,"system:masters"`,
    `${tokens.kubelet},system:node:${REAL_NODE},kubelet,"system:nodes"`,
    `${tokens.kubeProxy},system:kube-proxy,kube-proxy`,
    '',
  ].join('\n');
}
