import { BlockList, isIPv4 } from 'node:net';

/** Where a real node lives: all of it follows from one number, so that environments side by side never share any. */
export interface NodeAddresses {
  /** The machine's side of the link to the node; the API server and the registry listen there. */
  readonly host: string;
  readonly node: string;
  readonly linkRange: string;
  readonly podRange: string;
  readonly serviceRange: string;
  /** The address of the API server as pods see it: the first of the services. */
  readonly apiService: string;
  /** `host:port` of the registry, for the machine, the node and pods alike. */
  readonly registry: string;
  /** Network interface of the machine. */
  readonly link: string;
  /** Control group below each hierarchy's root. */
  readonly cgroup: string;
}

/** Blocks 10.N.0.0/16 that an environment may take: none that home networks, Docker, podman, k3s or kwok are known for. */
export const BLOCKS: readonly number[] = Array.from({ length: 90 }, (_, i) => 130 + i);

const REGISTRY_PORT = 5000;

/** Everything that follows from the block 10.N.0.0/16. */
export function addressesOf(block: number): NodeAddresses {
  const host = `10.${block}.0.1`;
  return {
    host,
    node: `10.${block}.0.2`,
    linkRange: `10.${block}.0.0/24`,
    podRange: `10.${block}.64.0/18`,
    serviceRange: `10.${block}.128.0/18`,
    apiService: `10.${block}.128.1`,
    registry: `${host}:${REGISTRY_PORT}`,
    link: `kaito-${block}`,
    cgroup: `kaito-node-${block}`,
  };
}

/** True when no network of the list (`address/prefix`) has an address in common with the block. */
export function isBlockFree(block: number, networks: readonly string[]): boolean {
  const wanted = new BlockList();
  wanted.addSubnet(`10.${block}.0.0`, 16);
  return !networks.some((network) => {
    const [address = '', prefix = '32'] = network.split('/');
    if (!isIPv4(address)) return false;
    const other = new BlockList();
    other.addSubnet(address, Number(prefix));
    return wanted.check(address) || other.check(`10.${block}.0.0`);
  });
}
