import { ANNOTATION_HASH, LABEL_REVISION_OWNER } from '../api/labels';
import type { Workspace } from '../api/workspace';
import { canonicalJson, sha256 } from './digest';
import { type ControllerRevision, ownedMeta } from './objects';

/** SHA-256 (64 hex digits) of what the user specified: changes when the specification does, and comes back when it is changed back. */
export function specHash(workspace: Workspace): string {
  return sha256(canonicalJson(specification(workspace)));
}

/** Name of the revision with that hash; the same specification has the same revision. */
export function controllerRevisionName(workspaceName: string, hash: string): string {
  return `${workspaceName}-${hash.slice(0, 5)}`;
}

/** The record of one specification. `revision` counts from 1 and says which came after which. */
export function controllerRevision(workspace: Workspace, revision: number): ControllerRevision {
  const hash = specHash(workspace);
  const meta = ownedMeta(workspace, controllerRevisionName(workspace.metadata.name, hash));
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      ...meta,
      labels: { ...meta.labels, [LABEL_REVISION_OWNER]: workspace.metadata.name },
      annotations: { [ANNOTATION_HASH]: hash },
    },
    data: specification(workspace),
    revision,
  };
}

function specification({ resource, inference, tuning }: Workspace) {
  return { resource, ...(inference && { inference }), ...(tuning && { tuning }) };
}
