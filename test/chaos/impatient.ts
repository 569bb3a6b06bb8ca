/**
 * Bundled with the workflow code of the chaos run: a worker that was killed is missed sooner than in production, so that a run takes minutes, not
 * hours. How long the server waits for a heartbeat is no part of what is replayed.
 */
import type { WorkflowInterceptors } from '@temporalio/workflow';

const HEARTBEAT_TIMEOUT = '6s';

export const interceptors = (): WorkflowInterceptors => ({
  outbound: [
    {
      scheduleActivity: (input, next) =>
        next({ ...input, options: { ...input.options, heartbeatTimeout: HEARTBEAT_TIMEOUT } }),
    },
  ],
});
