import type { V1PodSpec } from '@kubernetes/client-node';
import type { Candidate } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import type { WorkloadConfiguration } from './configuration';
import { ownLabels, type StatefulSet } from './objects';
import { affinity, tolerations } from './placement';
import { statefulSet } from './owned-stateful-set';

/**
 * The workload of `inference.template`: the user's pods, as many as the candidate has nodes, on the Workspace's nodes. What the user wrote stays:
 * labels and tolerations are added to, and affinities hold together (KAITO puts its own in place of the user's).
 */
export function templateStatefulSet(input: {
  readonly workspace: Workspace;
  readonly candidate: Candidate;
  readonly revision: number;
  readonly configuration: WorkloadConfiguration;
}): StatefulSet {
  const { workspace, candidate, revision, configuration } = input;
  const { metadata, spec = { containers: [] } } = workspace.inference?.template ?? {};
  const podSpec: V1PodSpec = {
    ...spec,
    ...affinity(workspace, candidate, spec.affinity),
    tolerations: [...(spec.tolerations ?? []), ...tolerations(candidate, configuration)],
  };
  return statefulSet({
    workspace,
    replicas: candidate.nodeCount,
    revision,
    template: { metadata: { ...metadata, labels: { ...metadata?.labels, ...ownLabels(workspace) } }, spec: podSpec },
  });
}
