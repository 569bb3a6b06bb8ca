import { addressesOf } from './addresses';
import { REAL_NODE, REAL_NODE_LABELS, REGISTRY_USER } from './names';
import type { NodeState } from './state';

/** The real node as others see it. */
export interface RealNode {
  readonly name: string;
  /** Labels that only this node has. */
  readonly labels: Readonly<Record<string, string>>;
  /** The machine's address as the node and pods reach it, for servers of tests. */
  readonly hostAddress: string;
  /** Plain HTTP; for the machine, the node and pods alike. */
  readonly registry: {
    /** `host:port`. */
    readonly host: string;
    readonly insecure: true;
    readonly credentials: { readonly username: string; readonly password: string };
  };
}

/** What an environment tells of its real node. */
export function nodeEnvironment({ block, registryPassword }: NodeState): RealNode {
  const { host, registry } = addressesOf(block);
  return {
    name: REAL_NODE,
    labels: REAL_NODE_LABELS,
    hostAddress: host,
    registry: {
      host: registry,
      insecure: true,
      credentials: { username: REGISTRY_USER, password: registryPassword },
    },
  };
}
