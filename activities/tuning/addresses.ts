/**
 * Which addresses a dataset may be fetched from. Whoever may write Workspaces must not reach the cloud's metadata service or the cluster's
 * inside through the worker: not by a number, not by a name that resolves to one, not by a redirect. The training program holds the same rules.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { toError } from '../../api/to-error';

/** Ranges of IANA's special-purpose registries that are not reachable for everybody. */
const NOT_PUBLIC_IPV4: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // Azure's wire server: public by its number, but it answers virtual machines only, with their configuration.
  ['168.63.129.16', 32],
];
/** Within 2000::/3, the only range that is assigned for public use: Teredo and its neighbours, documentation, 6to4. */
const NOT_PUBLIC_IPV6: readonly (readonly [network: string, prefix: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];
/** IPv6 addresses that stand for IPv4 ones: mapped, and by NAT64. */
const IPV4_IN_IPV6 = ['::ffff:', '64:ff9b::'] as const;

const notPublic = new BlockList();
for (const [network, prefix] of NOT_PUBLIC_IPV4) {
  notPublic.addSubnet(network, prefix, 'ipv4');
  for (const before of IPV4_IN_IPV6) notPublic.addSubnet(`${before}${network}`, 96 + prefix, 'ipv6');
}
for (const [network, prefix] of NOT_PUBLIC_IPV6) notPublic.addSubnet(network, prefix, 'ipv6');

const assignedIPv6 = new BlockList();
assignedIPv6.addSubnet('2000::', 3, 'ipv6');
for (const before of IPV4_IN_IPV6) assignedIPv6.addSubnet(`${before}0.0.0.0`, 96, 'ipv6');

/** Reachable for everybody: not loopback, link-local (metadata services), private, shared, multicast or reserved. */
export function isPublic(address: string): boolean {
  if (isIPv6(address)) return assignedIPv6.check(address, 'ipv6') && !notPublic.check(address, 'ipv6');
  return isIP(address) === 4 && !notPublic.check(address, 'ipv4');
}

/** Whether the operator lets datasets come from an address, public or not. */
export type AllowedHosts = (host: string, port: number, address: string) => boolean;

/** What is wrong with an entry of what the operator allows; undefined where nothing is. */
export function privateHostProblem(entry: string): string | undefined {
  try {
    allowedHosts([entry]);
    return undefined;
  } catch (error) {
    return toError(error).message;
  }
}

/**
 * Reads what the operator allows besides public addresses: hosts, `host:port`, addresses and networks (`10.1.0.0/16`).
 *
 * @throws RangeError for a network that is none.
 */
export function allowedHosts(entries: readonly string[]): AllowedHosts {
  const names = new Set<string>();
  const networks = new BlockList();
  for (const entry of entries.map((text) => text.trim().toLowerCase()).filter((text) => text !== '')) {
    const [network = '', ...prefix] = entry.split('/');
    // The zone of a link-local address says nothing outside of its node.
    const family = network.includes('%') ? 0 : isIP(network);
    if (prefix.length > 0) networks.addSubnet(network, prefixOf(entry, prefix.join('/'), family), familyName(family));
    else if (family !== 0) networks.addAddress(network, familyName(family));
    else names.add(entry);
  }
  return (host, port, address) => {
    const name = host.toLowerCase();
    const withPort = isIPv6(name) ? `[${name}]:${port}` : `${name}:${port}`;
    return names.has(name) || names.has(withPort) || networks.check(address, familyName(isIP(address)));
  };
}

function prefixOf(entry: string, prefix: string, family: number): number {
  const longest = { 4: 32, 6: 128 }[family];
  const length = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (longest === undefined || !(length <= longest))
    throw new RangeError(`'${entry}' is no network; write for example 10.1.0.0/16, or a host without a slash`);
  return length;
}

function familyName(family: number): 'ipv4' | 'ipv6' {
  return family === 6 ? 'ipv6' : 'ipv4';
}
