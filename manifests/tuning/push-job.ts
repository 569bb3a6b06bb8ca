import type { V1JobSpec } from '@kubernetes/client-node';
import type { TuningPlan } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';
import type { WorkloadConfiguration } from '../configuration';
import { dnsLabel } from '../digest';
import { type Job, ownLabels } from '../objects';
import { gpuNodeTolerations, nearMachines } from '../placement';
import { CONTAINER_SECURITY, SCRATCH_MOUNTS, SCRATCH_VOLUMES } from '../pod-security';
import { CREDENTIALS_DIRECTORY, credentialsVolume, pullSecrets, registryEnv } from '../pull-image';
import { ownedJob, POD_DEFAULTS, POD_FAILURE_POLICY } from './owned-job';
import { resultsMount, resultsVolume, tuningOf } from './results';
import { verbatim } from '../verbatim';

const CREDENTIALS_VOLUME = 'credentials-push';

/** Name of the Job that pushes the adapter. */
export function pushJobName(workspaceName: string): string {
  return dnsLabel(`${workspaceName}-push`);
}

/**
 * Pushes the adapter from the volume with the results. A Job of its own, so that it can be repeated without training again, and needs no GPU: it
 * runs beside the volume where it can, and anywhere else when the training's machines are gone. The activity decides about another try, so the Job
 * itself makes one; only a pod that was driven off its node is replaced.
 *
 * Throws when the plan has nothing to push.
 */
export function pushJob(input: {
  readonly workspace: Workspace;
  readonly tuning: TuningPlan;
  readonly configuration: WorkloadConfiguration;
}): Job {
  const { workspace, tuning, configuration } = input;
  const { namespace, name } = workspace.metadata;
  if (tuning.push === undefined) throw new Error(`the plan of Workspace '${namespace}/${name}' has nothing to push`);
  const { image, secretName } = tuning.push;
  const spec: V1JobSpec = {
    completions: 1,
    parallelism: 1,
    backoffLimit: 0,
    podFailurePolicy: POD_FAILURE_POLICY,
    template: {
      metadata: { labels: ownLabels(workspace) },
      spec: {
        ...POD_DEFAULTS,
        affinity: nearMachines(workspace),
        tolerations: gpuNodeTolerations(configuration),
        ...pullSecrets(configuration.imagePullSecrets ?? []),
        containers: [
          {
            name: 'push',
            image: configuration.pusherImage ?? configuration.runtimeImage,
            command: ['push'],
            args: [
              `--from=${tuning.outputDirectory}`,
              `--image=${image}`,
              `--credentials=${CREDENTIALS_DIRECTORY}`,
              `--annotation=sh.kaito.model.name=${tuningOf(workspace).preset.name}`,
            ].map(verbatim),
            ...registryEnv(configuration),
            resources: { requests: { cpu: '100m', memory: '256Mi' } },
            volumeMounts: [
              ...SCRATCH_MOUNTS,
              { ...resultsMount(tuning), readOnly: true },
              { name: CREDENTIALS_VOLUME, mountPath: CREDENTIALS_DIRECTORY, readOnly: true },
            ],
            terminationMessagePolicy: 'FallbackToLogsOnError',
            securityContext: CONTAINER_SECURITY,
          },
        ],
        volumes: [
          ...SCRATCH_VOLUMES,
          resultsVolume(workspace, tuning),
          credentialsVolume(CREDENTIALS_VOLUME, [secretName]),
        ],
      },
    },
  };
  return ownedJob({ workspace, name: pushJobName(workspace.metadata.name), tuning, spec });
}
