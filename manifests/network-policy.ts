import type { V1NetworkPolicySpec } from '@kubernetes/client-node';
import { LABEL_WORKSPACE } from '../api/labels';
import type { Workspace } from '../api/workspace';
import { HTTP_PORT } from './names';
import { type NetworkPolicy, ownedMeta } from './objects';

/**
 * Where clouds tell virtual machines who they are and hand out their credentials: all clouds', Alibaba's, Oracle's, Azure's wire server; of AWS, those
 * for containers, too. Single addresses, because node-local DNS is in the same range.
 */
const METADATA_IPV4 = [
  '169.254.169.254/32',
  '169.254.170.2/32',
  '169.254.170.23/32',
  '168.63.129.16/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
];
const METADATA_IPV6 = ['fd00:ec2::254/128', 'fd00:ec2::23/128', 'fd20:ce::254/128'];

/** To pods of the cluster (some networks don't count them among addresses), and to all addresses but those. */
const ANYWHERE_BUT_METADATA: NonNullable<V1NetworkPolicySpec['egress']> = [
  {
    to: [
      { namespaceSelector: {} },
      { ipBlock: { cidr: '0.0.0.0/0', except: METADATA_IPV4 } },
      { ipBlock: { cidr: '::/0', except: METADATA_IPV6 } },
    ],
  },
];

/**
 * What may reach the pods of a Workspace, and what they may reach. A model is asked from anywhere, at its port and nowhere else; the pods of one model
 * over several nodes reach each other at all ports, as their libraries choose these; nobody reaches a training. The user's own pods
 * (inference.template) may serve at ports that only they know: of these, only what they reach is limited.
 */
export function networkPolicy(workspace: Workspace, spansNodes: boolean): NetworkPolicy {
  const { inference, metadata } = workspace;
  const pods = { matchLabels: { [LABEL_WORKSPACE]: metadata.name } };
  const isTemplate = inference?.template !== undefined;
  const ingress = [
    ...(inference === undefined ? [] : [{ ports: [{ protocol: 'TCP', port: HTTP_PORT }] }]),
    ...(spansNodes ? [{ from: [{ podSelector: pods }] }] : []),
  ];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: ownedMeta(workspace, metadata.name),
    spec: {
      podSelector: pods,
      policyTypes: isTemplate ? ['Egress'] : ['Ingress', 'Egress'],
      ...(!isTemplate && { ingress }),
      egress: ANYWHERE_BUT_METADATA,
    },
  };
}
