import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { GRPC, grpcCodeOf } from '../api/grpc';
import type { Workspace } from '../api/workspace';
import { LOOK_SIGNAL, WORKSPACE_WORKFLOW, refOf, workflowIdOf, type Look, type WorkspaceRef } from '../api/workflow';

/** The bridge's view of Temporal. */
export interface Workflows {
  /** Tells the Workspace's workflow to look; starts it where none runs. */
  signalWithStart(workspace: Workspace, look: Look): Promise<void>;
  /** The same, but nothing is started. */
  signalIfRunning(ref: WorkspaceRef, look: Look): Promise<void>;
  /** Keys (`namespace/name`) of the Workspaces that have a running workflow, as far as Temporal's visibility knows. */
  running(): Promise<ReadonlySet<string>>;
  /** Workspaces whose workflow's tasks keep failing, as far as the server tells (docs/upgrade.md). */
  stuck(): Promise<readonly StuckWorkflow[]>;
}

export interface StuckWorkflow {
  readonly ref: WorkspaceRef;
  /** In Temporal's words. */
  readonly why: string;
}

const PAGE = 1_000;

const namespaceKey = defineSearchAttributeKey('KaitoNamespace', 'KEYWORD');
const presetKey = defineSearchAttributeKey('KaitoPreset', 'KEYWORD');
const instanceTypeKey = defineSearchAttributeKey('KaitoInstanceType', 'KEYWORD');
const problemsKey = defineSearchAttributeKey('TemporalReportedProblems', 'KEYWORD_LIST');
const phaseKey = defineSearchAttributeKey('KaitoPhase', 'KEYWORD');

export function createWorkflows(client: Client, taskQueue: string): Workflows {
  let tellsProblems = true;
  return {
    async signalWithStart(workspace, look) {
      const { namespace, name } = workspace.metadata;
      const ref: WorkspaceRef = { namespace, name };
      const preset = workspace.inference?.preset?.name ?? workspace.tuning?.preset?.name;
      const { instanceType } = workspace.resource;
      await client.workflow.signalWithStart(WORKSPACE_WORKFLOW, {
        workflowId: workflowIdOf(ref),
        taskQueue,
        args: [ref],
        signal: LOOK_SIGNAL,
        signalArgs: [look],
        staticSummary: `${preset ?? 'own template'} on ${instanceType ?? 'own nodes'}`,
        staticDetails: `Workspace \`${name}\` in namespace \`${namespace}\`. Signals: \`look\`, \`retry\`. Query: \`status\`.`,
        typedSearchAttributes: [
          { key: namespaceKey, value: namespace },
          { key: phaseKey, value: 'Pending' },
          ...(preset === undefined ? [] : [{ key: presetKey, value: preset }]),
          ...(instanceType === undefined ? [] : [{ key: instanceTypeKey, value: instanceType }]),
        ],
      });
    },
    async signalIfRunning(ref, look) {
      try {
        await client.workflow.getHandle(workflowIdOf(ref)).signal(LOOK_SIGNAL, look);
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      }
    },
    async running() {
      const query = `WorkflowType = '${WORKSPACE_WORKFLOW}' AND ExecutionStatus = 'Running'`;
      const keys = new Set<string>();
      for await (const { workflowId } of client.workflow.list({ query, pageSize: PAGE })) {
        const ref = refOf(workflowId);
        if (ref !== undefined) keys.add(`${ref.namespace}/${ref.name}`);
      }
      return keys;
    },
    async stuck() {
      if (!tellsProblems) return [];
      const query = `WorkflowType = '${WORKSPACE_WORKFLOW}' AND ExecutionStatus = 'Running' AND TemporalReportedProblems IS NOT NULL`;
      const stuck: StuckWorkflow[] = [];
      try {
        for await (const { workflowId, typedSearchAttributes } of client.workflow.list({ query, pageSize: PAGE })) {
          const ref = refOf(workflowId);
          const problems = typedSearchAttributes.get(problemsKey) ?? [];
          if (ref !== undefined) stuck.push({ ref, why: problems.join(', ') });
        }
      } catch (error) {
        // Servers before 1.30 have no such attribute, and no other word for it that could be asked for all workflows at once.
        if (grpcCodeOf(error) !== GRPC.INVALID_ARGUMENT) throw error;
        tellsProblems = false;
      }
      return stuck;
    },
  };
}
