import { access } from 'node:fs/promises';

import { BLOCKS, addressesOf, isBlockFree, type NodeAddresses } from './addresses';
import { reserveCgroup, type Cgroups } from './cgroups';
import { command } from './command';

/**
 * Takes a block of addresses that nothing on this machine uses. The control group of the same number is the lock: making it succeeds
 * for one environment only, and it goes when the environment goes.
 */
export async function reserveBlock(cgroups: Cgroups): Promise<number> {
  const used = await machineNetworks();
  // Different environments begin at different blocks, so that the addresses of one that has just ended rest a while.
  const start = process.pid % BLOCKS.length;
  for (const block of [...BLOCKS.slice(start), ...BLOCKS.slice(0, start)]) {
    const { cgroup, link } = addressesOf(block);
    if (!isBlockFree(block, used) || (await linkExists(link))) continue;
    if (await reserveCgroup(cgroups, cgroup)) return block;
  }
  throw new Error(
    `no network 10.N.0.0/16 with N from ${BLOCKS[0]} to ${BLOCKS.at(-1)} is free: each overlaps an address or a route of this machine (ip addr; ip route)`,
  );
}

interface Route {
  readonly dst: string;
}

async function machineNetworks(): Promise<readonly string[]> {
  const routes = JSON.parse(await command('ip', ['-json', '-4', 'route', 'show', 'table', 'all'])) as readonly Route[];
  return routes.map(({ dst }) => dst).filter((dst) => dst !== 'default');
}

/** Connects the node to the machine: a link with an address at each end, and the machine's routes to pods and services. */
export async function connectNode(addresses: NodeAddresses, nodePid: number): Promise<void> {
  const { link, host, node, podRange, serviceRange } = addresses;
  const ip = (...args: string[]) => command('ip', args);
  const nodeIp = (...args: string[]) => command('nsenter', ['--target', String(nodePid), '--net', 'ip', ...args]);
  if (!(await linkExists(link))) {
    await ip('link', 'add', 'name', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(nodePid));
  }
  await ip('address', 'replace', `${host}/24`, 'dev', link);
  await ip('link', 'set', link, 'up');
  await nodeIp('address', 'replace', `${node}/24`, 'dev', 'eth0');
  await nodeIp('link', 'set', 'eth0', 'up');
  // The kernel looks for a way to a service before kube-proxy gives the packet its real destination.
  await nodeIp('route', 'replace', serviceRange, 'dev', 'eth0');
  for (const range of [podRange, serviceRange]) await ip('route', 'replace', range, 'via', node);
}

/** Removes the machine's end of the link, and its routes with it. It goes by itself with the node; unless the node never came. */
export async function disconnectNode({ link }: NodeAddresses): Promise<void> {
  if (!(await linkExists(link))) return;
  try {
    await command('ip', ['link', 'delete', link]);
  } catch (error) {
    if (await linkExists(link)) throw error; // else the kernel was quicker
  }
}

async function linkExists(link: string): Promise<boolean> {
  return access(`/sys/class/net/${link}`).then(
    () => true,
    () => false,
  );
}
