import type { Failure } from '../../api/causes';
import type { WorkspaceActivities } from '../../api/workflow';
import { currentWorkspace } from '../current-workspace';
import type { Dependencies } from '../dependencies';
import { defineStep } from '../step';

type PauseInput = Parameters<WorkspaceActivities['reportPause']>[0];

/** Tells on the Workspace that every candidate was tried, why the last one failed, and when the list is tried again. */
export function createReportPause(deps: Dependencies): WorkspaceActivities['reportPause'] {
  return defineStep<PauseInput, Awaited<ReturnType<WorkspaceActivities['reportPause']>>>(
    deps,
    { name: 'Machines', life: ({ plan }) => plan },
    async ({ ref, facts, plan, nextTryTime }, { signal, tell, event }) => {
      const workspace = await currentWorkspace(deps, ref, plan, signal);
      const last = facts.attempts.at(-1);
      if (last === undefined) throw new RangeError('a pause follows a failed attempt');
      const failure: Failure = { cause: last.cause, message: last.message };
      const tried = plan.candidates.map(({ instanceType }) => instanceType).join(', ');
      const message = `all of ${tried} were unavailable; next try at ${nextTryTime}. Last: ${last.message}`;
      event(workspace, 'Warning', 'MachinesUnavailable', message);
      const status = await tell(workspace, {
        plan,
        message,
        failure: { ...failure, message, attempt: last.attempt, nextTryTime },
      });
      return { status };
    },
    {},
  );
}
