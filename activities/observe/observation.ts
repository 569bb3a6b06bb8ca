/**
 * The health of a Workspace from its owned objects: a pure function that both the steps (to write the status) and the bridge (to see whether
 * the status still tells the truth) use.
 */
import { CONDITIONS, observed, type Observed } from '../../api/conditions';
import { LABEL_WORKSPACE_UID } from '../../api/labels';
import type { Failure } from '../../api/causes';
import type { MachineStatus, Workspace } from '../../api/workspace';
import type { Job, Node, NodeClaim, Pod, StatefulSet } from '../../kubernetes/objects';
import { observePoolNodes } from '../machines/azure/observe';
import { observeNodeClaims } from '../machines/karpenter/observe';
import { observeOwnNodes } from '../machines/own-nodes/observe';
import { observeJob, type JobHealth } from './job';
import { observeWorkload } from './workload';

/** The owned objects as the caches hold them. */
export interface OwnedObjects {
  readonly nodeClaims: readonly NodeClaim[];
  readonly statefulSet: StatefulSet | undefined;
  /** The training's Job, and that of the push. */
  readonly jobs: readonly Job[];
  readonly pods: readonly Pod[];
  /** Nodes with the Workspace's labels: those of machines that were bought for it. */
  readonly boughtNodes: readonly Node[];
  /** Nodes of a pool that KAITO made for the Workspace. */
  readonly kaitoPoolNodes: readonly Node[];
  /** All nodes that could matter: own nodes are found among them by the selector. */
  readonly nodes: () => readonly Node[];
  readonly nodeNamed: (name: string) => Node | undefined;
}

export interface Observation {
  readonly machines: readonly MachineStatus[];
  /** Names of the machines' nodes, sorted. */
  readonly workerNodes: readonly string[];
  readonly machinesReady: boolean;
  readonly serving: boolean;
  /** The conditions that follow from the objects alone, in KAITO's order. */
  readonly conditions: readonly Observed[];
  readonly failure?: Failure;
}

/** What the machines say: provided ones when there is an instanceType, own nodes otherwise. */
export function observeMachines(
  workspace: Pick<Workspace, 'resource' | 'metadata'>,
  objects: OwnedObjects,
): readonly MachineStatus[] {
  if (workspace.resource.instanceType === undefined) return observeOwnNodes(workspace, objects.nodes());
  // The name on a claim is anybody's to write; the UID says whose it is.
  const isOwned = ({ metadata }: NodeClaim): boolean =>
    metadata.labels?.[LABEL_WORKSPACE_UID] === workspace.metadata.uid;
  return [
    ...observeNodeClaims(objects.nodeClaims.filter(isOwned), objects.nodeNamed),
    ...observePoolNodes(workspace, objects.boughtNodes),
  ];
}

/** Judges the objects for a Workspace that needs `targetNodeCount` machines. */
export function observe(
  workspace: Pick<Workspace, 'resource' | 'metadata' | 'tuning'>,
  targetNodeCount: number,
  objects: OwnedObjects,
): Observation {
  const machines = observeMachines(workspace, objects);
  const provided = workspace.resource.instanceType !== undefined;
  const resource = resourceConditions(machines, targetNodeCount, provided);
  const machinesReady = resource.every(({ status }) => status === 'True');
  const seen = {
    machines,
    workerNodes: machines.flatMap(({ nodeName }) => (nodeName === undefined ? [] : [nodeName])).sort(),
    machinesReady,
  };
  if (workspace.tuning !== undefined) {
    const job = observeTraining(workspace, objects);
    const trouble = job.phase === 'waiting' ? job.failure : undefined;
    const failure = machinesReady || machines.length === 0 ? trouble : machineFailure(machines);
    return {
      ...seen,
      serving: false,
      conditions: [...resource, ...tuningConditions(job)],
      ...(failure !== undefined && { failure }),
    };
  }

  const workload = observeWorkload(objects.statefulSet, objects.pods);
  const serving = machinesReady && workload.ready;

  const inferenceReady =
    workload.ready && !machinesReady
      ? observed(CONDITIONS.inferenceReady, false, 'WorkspaceInferenceStatusPending', 'the machines are not ready')
      : observed(CONDITIONS.inferenceReady, workload.ready, workload.reason, workload.message);
  const whole = serving
    ? observed(CONDITIONS.workspaceSucceeded, true, 'workspaceSucceeded', 'workspace succeeds')
    : observed(
        CONDITIONS.workspaceSucceeded,
        false,
        'workspacePending',
        'workspace is waiting for inference workload readiness',
      );

  const failure = machinesReady ? workload.failure : machineFailure(machines);
  return {
    ...seen,
    serving,
    conditions: [...resource, inferenceReady, whole],
    ...(failure !== undefined && { failure }),
  };
}

/** The Job that trains has the Workspace's name, as in KAITO. */
export function trainingJobOf(
  { metadata }: Pick<Workspace, 'metadata'>,
  { jobs }: Pick<OwnedObjects, 'jobs'>,
): Job | undefined {
  return jobs.find(
    (job) =>
      job.metadata.name === metadata.name && job.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid),
  );
}

/** How far the training is, by its Job. */
export function observeTraining(
  workspace: Pick<Workspace, 'metadata'>,
  objects: Pick<OwnedObjects, 'jobs' | 'pods'>,
): JobHealth {
  return observeJob(trainingJobOf(workspace, objects), objects.pods, { crashed: 'TrainingCrashed', now: new Date() });
}

/** As KAITO tells it; that the whole succeeded is the workflow's to say, after the push. */
function tuningConditions(job: JobHealth): readonly Observed[] {
  const whole = (message: string): Observed =>
    observed(CONDITIONS.workspaceSucceeded, false, 'workspacePending', message);
  switch (job.phase) {
    case 'absent':
    case 'waiting':
      return [
        observed(CONDITIONS.jobStarted, false, 'WorkspaceTuningJobStatusPending', 'Tuning job has not started'),
        whole('workspace is initializing, tuning job has not started'),
      ];
    case 'running':
    case 'succeeded':
      return [
        observed(CONDITIONS.jobStarted, true, 'WorkspaceTuningJobStatusStarted', 'Tuning job has started'),
        whole('workspace has not completed yet, tuning job is running'),
      ];
    case 'failed':
      return [
        observed(CONDITIONS.jobStarted, false, 'WorkspaceTuningJobStatusFailed', job.failure.message),
        whole(job.failure.message),
      ];
  }
}

function resourceConditions(
  machines: readonly MachineStatus[],
  targetNodeCount: number,
  provided: boolean,
): readonly Observed[] {
  const usable = machines.filter(({ phase }) => phase === 'Ready').length;
  const initialized = machines.filter(({ phase }) => ['Initialized', 'NotReady', 'Ready'].includes(phase)).length;
  const waiting = machines.find(({ phase }) => phase !== 'Ready');
  const count = `${usable} of ${targetNodeCount} nodes are ready`;
  const detail = waiting?.message === undefined ? count : `${count}; ${waiting.name}: ${waiting.message}`;
  const enough = targetNodeCount > 0 && usable >= targetNodeCount;

  const nodesReady = enough
    ? observed(CONDITIONS.nodesReady, true, 'NodesReady', 'Enough Nodes are ready')
    : observed(
        CONDITIONS.nodesReady,
        false,
        waiting?.reason === 'GpusNotAllocatable' ? 'NodePluginsNotReady' : 'NodeNotReady',
        detail,
      );

  const claimed = provided
    ? [
        targetNodeCount > 0 && initialized >= targetNodeCount
          ? observed(CONDITIONS.nodeClaimReady, true, 'NodeClaimsReady', 'Enough NodeClaims are ready')
          : observed(
              CONDITIONS.nodeClaimReady,
              false,
              waiting?.reason ?? 'NodeClaimNotReady',
              waiting?.message === undefined
                ? `${machines.length} of ${targetNodeCount} NodeClaims exist`
                : `${waiting.name}: ${waiting.message}`,
            ),
      ]
    : [];
  const missing = [...claimed, nodesReady].find(({ status }) => status === 'False');
  const resourceReady =
    missing === undefined
      ? observed(CONDITIONS.resourceReady, true, 'workspaceResourceStatusSuccess', 'workspace resource is ready')
      : observed(CONDITIONS.resourceReady, false, missing.reason, missing.message);
  return [nodesReady, ...claimed, resourceReady];
}

function machineFailure(machines: readonly MachineStatus[]): Failure | undefined {
  const notReady = machines.find(({ phase }) => phase === 'NotReady');
  if (notReady !== undefined) {
    return { cause: 'NodeNotReady', message: `${notReady.name}: ${notReady.message ?? 'node is not ready'}` };
  }
  const lost = machines.find(({ phase }) => phase === 'Lost' || phase === 'Deleting');
  if (lost === undefined) return undefined;
  return { cause: 'MachineLost', message: `${lost.name}: ${lost.message ?? 'machine is gone'}` };
}
