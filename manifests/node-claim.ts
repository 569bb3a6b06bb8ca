import { CauseError } from '../api/causes';
import { ANNOTATION_NODE_CLASS_NAME, ANNOTATION_NODE_IMAGE_FAMILY, LABEL_WORKSPACE_NAMESPACE } from '../api/labels';
import type { Workspace } from '../api/workspace';
import type { MachineConfiguration } from './configuration';
import { sha256 } from './digest';
import { machineFor } from './node-selection';
import { type NodeClaim, type NodeRequirement, ownLabels } from './objects';

export const LABEL_NODE_POOL = 'karpenter.sh/nodepool';

/** Which of a Workspace's machines a claim stands for. */
export const ANNOTATION_SLOT = 'kaito.sh/slot';
/** GPUs that the size has, for providers that don't honour a request for them. */
export const ANNOTATION_GPUS = 'kaito.sh/gpus';
/** How often the machine of this slot had to be bought anew. */
const ANNOTATION_ROUND = 'kaito.sh/round';

/** Names one purchase; the same purchase has the same name, whoever tries it and however often. */
export interface Purchase {
  /** 0 to nodeCount − 1. */
  readonly slot: number;
  readonly instanceType: string;
  /** 0 at first, one more for each replacement. */
  readonly round: number;
}

/** `ws` and 9 hex digits: gpu-provisioner takes the name for an agent pool, which may have 12 characters of a-z and 0-9. */
export function nodeClaimName(workspaceUid: string, { slot, instanceType, round }: Purchase): string {
  return `ws${sha256(`${workspaceUid}/${slot}/${instanceType}/${round}`).slice(0, 9)}`;
}

/**
 * The NodeClaim that buys one machine. The shape is KAITO's, so that its provisioners and scripts know it; what differs: it never expires (the
 * API server's default would take the machine away after 30 days), it asks for the GPUs, and it names its Workspace by UID.
 *
 * Throws a CauseError NodeClass when the Workspace asks for a NodeClass that the installation does not allow.
 */
export function nodeClaim(input: {
  readonly workspace: Workspace;
  readonly purchase: Purchase;
  readonly gpus: { readonly count: number; readonly resourceName: string };
  /** Space for the weights on the machine, GiB. */
  readonly diskGiB: number;
  readonly configuration: MachineConfiguration;
}): NodeClaim {
  const { workspace, purchase, gpus, diskGiB, configuration } = input;
  const { nodeClass, nodePool } = configuration;
  const { namespace, uid } = workspace.metadata;
  const wanted = machineFor(workspace);
  const imageFamily =
    workspace.metadata.annotations?.[ANNOTATION_NODE_IMAGE_FAMILY]?.trim().toLowerCase() ??
    configuration.nodeImageFamily;

  return {
    apiVersion: 'karpenter.sh/v1',
    kind: 'NodeClaim',
    metadata: {
      name: nodeClaimName(uid, purchase),
      labels: {
        ...wanted.labels,
        ...ownLabels(workspace),
        [LABEL_WORKSPACE_NAMESPACE]: namespace,
        ...(nodePool !== undefined && { [LABEL_NODE_POOL]: nodePool }),
      },
      annotations: {
        'karpenter.sh/do-not-disrupt': 'true',
        ...(imageFamily !== undefined && { [ANNOTATION_NODE_IMAGE_FAMILY]: imageFamily }),
        [ANNOTATION_SLOT]: String(purchase.slot),
        [ANNOTATION_GPUS]: String(gpus.count),
        [ANNOTATION_ROUND]: String(purchase.round),
      },
    },
    spec: {
      nodeClassRef: { group: nodeClass.group, kind: nodeClass.kind, name: nodeClassName(workspace, configuration) },
      requirements: [
        ...(nodePool === undefined ? [] : [isOneOf(LABEL_NODE_POOL, nodePool)]),
        ...nodeClass.instanceTypeKeys.map((key) => isOneOf(key, purchase.instanceType)),
        ...unlessKeyIn(wanted.requirements, [...nodeClass.requirements, ...(configuration.requirements ?? [])]),
        ...wanted.requirements,
      ],
      resources: {
        requests: {
          ...(nodeClass.diskResource !== undefined && { [nodeClass.diskResource]: `${diskGiB}Gi` }),
          ...(nodeClass.requestGpus && { [gpus.resourceName]: String(gpus.count) }),
        },
      },
      taints: [{ key: 'sku', value: 'gpu', effect: 'NoSchedule' }],
      expireAfter: 'Never',
      terminationGracePeriod: configuration.terminationGracePeriod,
    },
  };
}

function isOneOf(key: string, value: string): NodeRequirement {
  return { key, operator: 'In', values: [value] };
}

function unlessKeyIn(
  stronger: readonly NodeRequirement[],
  requirements: readonly NodeRequirement[],
): readonly NodeRequirement[] {
  return requirements.filter(({ key }) => !stronger.some((other) => other.key === key));
}

function nodeClassName(workspace: Workspace, { nodeClass, allowedNodeClassNames = [] }: MachineConfiguration): string {
  const wanted = workspace.metadata.annotations?.[ANNOTATION_NODE_CLASS_NAME];
  const allowed = [nodeClass.name, ...allowedNodeClassNames];
  if (wanted === undefined || allowed.includes(wanted)) return wanted ?? nodeClass.name;
  throw new CauseError({
    cause: 'NodeClass',
    message: `annotation ${ANNOTATION_NODE_CLASS_NAME}: ${nodeClass.kind} '${wanted}' is not one of ${allowed.join(', ')}`,
    remedy: 'Name one of these, or remove the annotation; the list is the installation’s configuration.',
  });
}
