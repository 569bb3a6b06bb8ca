import { setTimeout as delay } from 'node:timers/promises';
import {
  LABEL_CAPACITY_TYPE,
  LABEL_WORKSPACE,
  LABEL_WORKSPACE_NAMESPACE,
  LABEL_WORKSPACE_UID,
} from '../../../api/labels';
import type { OwnedMachines } from '../../../api/sweep';
import type { KubernetesClient } from '../../../kubernetes/client';
import { isNotFound } from '../../../kubernetes/errors';
import type { NodeClaim } from '../../../kubernetes/objects';
import { RESOURCES } from '../../../kubernetes/resources';
import { ANNOTATION_SLOT } from '../../../manifests/node-claim';
import type { Sweeping } from '../provider';
import { instanceTypeOf } from './observe';

const RECHECK_MS = 2_000;

/** NodeClaims of ours: KAITO's own lack the Workspace's UID and the slot. */
export function createSweeping({
  client,
}: {
  readonly client: Pick<KubernetesClient, 'list' | 'get' | 'delete'>;
}): Sweeping {
  return {
    async owned(signal) {
      try {
        const { items } = await client.list(RESOURCES.nodeClaims, { labelSelector: LABEL_WORKSPACE_UID }, { signal });
        return items.flatMap(ownedBy);
      } catch (error) {
        // A cluster without Karpenter has no such kind.
        if (isNotFound(error)) return [];
        throw error;
      }
    },
    async remove({ name, identity, workspace }, { signal, progress }) {
      for (let asked = false; ; asked = true) {
        const claim = await client.get(RESOURCES.nodeClaims, { name }, { signal });
        if (claim === undefined || (asked && claim.metadata.uid !== identity)) return 'gone';
        const [known] = ownedBy(claim);
        if (known?.identity !== identity || known.workspace.uid !== workspace.uid) return 'not ours';
        if (claim.metadata.deletionTimestamp === undefined) {
          await client.delete(RESOURCES.nodeClaims, { name }, { uid: identity, signal });
        }
        progress(`waiting until NodeClaim ${name} is gone`);
        await delay(RECHECK_MS, undefined, { signal });
      }
    },
  };
}

function ownedBy(claim: NodeClaim): readonly OwnedMachines[] {
  const { name, uid: identity, labels = {}, annotations = {}, creationTimestamp } = claim.metadata;
  const { [LABEL_WORKSPACE_UID]: uid, [LABEL_WORKSPACE_NAMESPACE]: namespace, [LABEL_WORKSPACE]: workspace } = labels;
  if (uid === undefined || namespace === undefined || workspace === undefined) return [];
  if (annotations[ANNOTATION_SLOT] === undefined) return [];
  return [
    {
      provider: 'karpenter',
      kind: 'NodeClaim',
      name,
      identity,
      workspace: { namespace, name: workspace, uid },
      instanceType: instanceTypeOf(claim) ?? '',
      count: 1,
      isSpot: labels[LABEL_CAPACITY_TYPE] === 'spot',
      createdTime: creationTimestamp,
    },
  ];
}
