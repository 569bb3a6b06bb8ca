import { WithStartWorkflowOperation, WorkflowNotFoundError, type Client } from '@temporalio/client';
import {
  COORDINATOR_WORKFLOW,
  EXCHANGE_UPDATE,
  STATE_QUERY,
  coordinatorIdOf,
  type CoordinatorReport,
  type Exchange,
  type ExchangeAnswer,
} from '../../../../api/coordination';

/** The coordinator's workflow as a session reaches it. */
export interface Transport {
  /** Says it, and starts the workflow where none runs. The same exchange may be said again when it is unknown whether it arrived. */
  exchange(said: Exchange, signal: AbortSignal): Promise<ExchangeAnswer>;
  /** Its state now; undefined where there never was one. */
  report(): Promise<CoordinatorReport | undefined>;
}

/** An update is answered within one workflow task; whatever takes longer is asked for anew. */
const EXCHANGE_DEADLINE_MS = 30_000;

/** The coordinator of one cluster. `taskQueue`: where workers run that know its workflow. */
export function createTransport(client: Client, clusterId: string, taskQueue: string): Transport {
  const workflowId = coordinatorIdOf(clusterId);
  return {
    exchange: (said, signal) =>
      client.withAbortSignal(signal, () =>
        client.withDeadline(Date.now() + EXCHANGE_DEADLINE_MS, () =>
          client.workflow.executeUpdateWithStart<() => Promise<void>, ExchangeAnswer, [Exchange]>(EXCHANGE_UPDATE, {
            args: [said],
            // Within a run the server itself gives the first answer again.
            updateId: `${said.session}/${said.number}`,
            startWorkflowOperation: new WithStartWorkflowOperation(COORDINATOR_WORKFLOW, {
              workflowId,
              taskQueue,
              workflowIdConflictPolicy: 'USE_EXISTING',
              staticSummary: `pools of ${clusterId}`,
              staticDetails: 'What Workspaces share that create pools here. Query: `state`. Signal: `forget`.',
            }),
          }),
        ),
      ),
    async report() {
      try {
        return await client.workflow.getHandle(workflowId).query<CoordinatorReport, [number]>(STATE_QUERY, Date.now());
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      }
    },
  };
}
