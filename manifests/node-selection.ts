import { LABEL_CAPACITY_TYPE, RESERVED_SELECTOR_KEYS } from '../api/labels';
import type { Workspace } from '../api/workspace';
import { type NodeRequirement, toNodeSelectorRequirement } from './objects';

/** The user's selector of nodes as requirements, without the keys that are ours to set. All must hold. */
export function selectedNodes(workspace: Workspace): readonly NodeRequirement[] {
  const { matchLabels = {}, matchExpressions = [] } = workspace.resource.labelSelector;
  return [
    ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: 'In', values: [value] }) as const),
    ...matchExpressions.map((expression) => toNodeSelectorRequirement(expression) as NodeRequirement),
  ].filter(({ key }) => !RESERVED_SELECTOR_KEYS.includes(key));
}

/**
 * Labels that Karpenter's providers set themselves, from the machine that they chose; to ask for one is a requirement on the machine, not a
 * label to put on its node. Only keys that NodeClaims accept in requirements, whatever the version of the CustomResourceDefinition.
 */
const WELL_KNOWN_KEYS: readonly string[] = [
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  LABEL_CAPACITY_TYPE,
];

/** Of several capacity types Karpenter takes spot first. */
function capacityType(wanted: Workspace['resource']['capacityType']): readonly NodeRequirement[] {
  if (wanted === undefined) return [];
  const values = wanted === 'spot-then-on-demand' ? ['spot', 'on-demand'] : [wanted];
  return [{ key: LABEL_CAPACITY_TYPE, operator: 'In', values }];
}

/** What a machine must be, and which labels its node must carry, for the user's selector to match it. */
export function machineFor(workspace: Workspace): {
  readonly requirements: readonly NodeRequirement[];
  readonly labels: Readonly<Record<string, string>>;
} {
  const wishes = selectedNodes(workspace);
  const requirements = [
    ...wishes.filter(({ key }) => WELL_KNOWN_KEYS.includes(key)),
    ...capacityType(workspace.resource.capacityType),
  ];
  const labels = wishes
    .filter(({ key }) => !WELL_KNOWN_KEYS.includes(key))
    .flatMap(({ key, operator, values }): [string, string][] =>
      // NotIn and DoesNotExist hold on a new node as long as nobody adds the label.
      operator === 'In' ? [[key, values?.[0] ?? '']] : operator === 'Exists' ? [[key, 'true']] : [],
    );
  // matchLabels stand first and are exact; an expression about the same key only widens them.
  return { requirements, labels: Object.fromEntries(labels.reverse()) };
}
