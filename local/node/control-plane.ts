import { addressesOf } from './addresses';
import { nodePaths } from './paths';
import type { NodeState } from './state';

/** What the API server is told of a real node: where services are, and how it shows itself to the kubelet. */
export function nodeApiServerArgs(dir: string, { block }: NodeState): readonly string[] {
  const at = nodePaths(dir);
  return [
    `--service-cluster-ip-range=${addressesOf(block).serviceRange}`,
    `--kubelet-client-certificate=${at.clientCertificate}`,
    `--kubelet-client-key=${at.clientKey}`,
    '--kubelet-preferred-address-types=InternalIP',
  ];
}
