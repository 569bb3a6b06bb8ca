import { literal, literals } from './patterns';
import type { Rule } from './schema';

/**
 * Rules on addresses that a Pod inside the cluster downloads from: what they must never reach is the machine itself, the cloud's metadata service
 * and private networks. What a name resolves to is known only in the Pod.
 */

const METADATA_HOSTS = ['metadata.google.internal', 'metadata.google', 'instance-data.ec2.internal'];
const PRIVATE_NETWORKS = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'];

/** It is an address of the web at all. */
export const isWebUrl: Rule = {
  rule: `isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''`,
  messageExpression: `'"' + self + '" is not an address to download from: write http:// or https://, a host and a path'`,
};

const isLocalName = `host == 'localhost' || host.endsWith('.localhost') || host in ${literals(METADATA_HOSTS)}`;
/** Resolvers read 127.1, 0x7f000001 and 2130706433 as addresses, too; IPv6 is in brackets, or IPv4 in disguise. */
const isOddAddress = `!isIP(host) && (host.contains(':') || host.matches(${literal('^(.*[.])?(0x[0-9a-f]*|[0-9]+)$')}))`;
const isPrivateAddress = `isIP(host) && (ip(host).isLoopback() || ip(host).isLinkLocalUnicast() || ip(host).isUnspecified() || ${PRIVATE_NETWORKS.map(
  (network) => `cidr('${network}').containsIP(ip(host))`,
).join(' || ')})`;

/** CEL: the addresses of a list that must not be reached. It is too costly by estimate for a rule of the CRD. */
export function privateUrls(urls: string): string {
  // A host may be written in capitals, and with a dot at its end.
  const host = `url(u).getHostname().lowerAscii()`;
  return `${urls}.filter(u, isURL(u) && [${host}.endsWith('.') ? ${host}.substring(0, ${host}.size() - 1) : ${host}].exists(host, ${isLocalName} || (${isOddAddress}) || (${isPrivateAddress})))`;
}
