import type { V1JobSpec, V1PodSpec } from '@kubernetes/client-node';
import type { TuningPlan } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';
import { type Job, ownedMeta } from '../objects';
import { ANNOTATION_RENDERED_HASH, renderedHash } from '../owned-stateful-set';
import { POD_SECURITY, POD_SECURITY_CONTEXT } from '../pod-security';
import { VOLUME_GROUP } from '../weights';

/** `TuningPlan.hash` of the training that the Job is for; a Job with another value is for another training. */
export const ANNOTATION_TRAINING_HASH = 'kaito.sh/training-hash';

/** Exit code of the programs that says that trying again cannot help (presets/runtime/README.md). */
const EXIT_IN_VAIN = 42;

/**
 * A pod that ended with what no retry mends fails the Job at once. One that was evicted, preempted, or whose node is gone did nothing wrong: it is
 * replaced, and not counted.
 */
export const POD_FAILURE_POLICY: NonNullable<V1JobSpec['podFailurePolicy']> = {
  rules: [
    { action: 'FailJob', onExitCodes: { operator: 'In', values: [EXIT_IN_VAIN] } },
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  ],
};

/**
 * What the pods of a tuning share. Volumes get a group of our own, so that an image that runs as another user than root can write to them; the
 * number means nothing to any image.
 */
export const POD_DEFAULTS = {
  restartPolicy: 'Never',
  ...POD_SECURITY,
  securityContext: {
    ...POD_SECURITY_CONTEXT,
    fsGroup: VOLUME_GROUP,
    // Without it each start would walk through all checkpoints.
    fsGroupChangePolicy: 'OnRootMismatch',
  },
} satisfies Partial<V1PodSpec>;

/** The Job around its specification: what training and push have in common. */
export function ownedJob(input: {
  readonly workspace: Workspace;
  readonly name: string;
  readonly tuning: Pick<TuningPlan, 'hash'>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec: V1JobSpec;
}): Job {
  const { workspace, name, tuning, annotations = {}, spec } = input;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...ownedMeta(workspace, name),
      annotations: {
        ...annotations,
        [ANNOTATION_TRAINING_HASH]: tuning.hash,
        [ANNOTATION_RENDERED_HASH]: renderedHash(spec, tuning.hash),
      },
    },
    spec,
  };
}
