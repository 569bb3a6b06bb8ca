import type { V1PodTemplateSpec, V1StatefulSetSpec } from '@kubernetes/client-node';
import { ANNOTATION_REVISION, LABEL_WORKSPACE } from '../api/labels';
import type { Workspace } from '../api/workspace';
import { canonicalJson, sha256 } from './digest';
import { headlessServiceName } from './names';
import { ownedMeta, type StatefulSet } from './objects';

/** Digest of everything that was decided about the StatefulSet; a running one with another value is out of date. */
export const ANNOTATION_RENDERED_HASH = 'kaito.sh/rendered-hash';

/** The StatefulSet around a pod template: what presets' and users' own templates have in common. */
export function statefulSet(input: {
  readonly workspace: Workspace;
  readonly replicas: number;
  readonly revision: number;
  readonly template: V1PodTemplateSpec;
  readonly updateStrategy?: NonNullable<V1StatefulSetSpec['updateStrategy']>;
}): StatefulSet {
  const { workspace, replicas, revision, template, updateStrategy } = input;
  const meta = ownedMeta(workspace, workspace.metadata.name);
  const spec: V1StatefulSetSpec = {
    replicas,
    serviceName: headlessServiceName(workspace.metadata.name),
    // No pod waits for another: they download at the same time, and the pods of a group need each other to become ready.
    podManagementPolicy: 'Parallel',
    ...(updateStrategy && { updateStrategy }),
    // Can never be changed, so it holds nothing but what never changes.
    selector: { matchLabels: { [LABEL_WORKSPACE]: workspace.metadata.name } },
    template,
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      ...meta,
      annotations: { [ANNOTATION_REVISION]: String(revision), [ANNOTATION_RENDERED_HASH]: renderedHash(spec) },
    },
    spec,
  };
}

/** Digest (64 hex digits) of rendered objects, independent of the order of their fields. */
export function renderedHash(...rendered: readonly unknown[]): string {
  return sha256(canonicalJson(rendered));
}
