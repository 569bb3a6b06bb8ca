import type { Workspace } from '../../api/workspace';
import type { Environment } from '../environment';
import type { Kubectl } from './kubectl';
import { Progress, isJudged } from './progress';
import { NotReadyError, whyNotReady } from './words';

export interface Goal {
  readonly name: string;
  readonly isDone: (workspace: Workspace) => boolean;
  readonly withinMs: number;
  readonly signal: AbortSignal;
}

/** Shows a Workspace's way until it is done. @throws NotReadyError when it can't be, or not in time. */
export async function follow(
  kubectl: Kubectl,
  environment: Environment,
  { name, isDone, withinMs, signal }: Goal,
): Promise<Workspace> {
  const late = AbortSignal.timeout(withinMs);
  const progress = new Progress(process.stdout);
  let last: Workspace | undefined;
  try {
    for await (const workspace of kubectl.watch(name, AbortSignal.any([signal, late]))) {
      last = workspace;
      progress.show(workspace);
      if (isDone(workspace)) {
        progress.end('done');
        return workspace;
      }
      const state = isJudged(workspace) ? workspace.status?.state : undefined;
      if (state === 'Failed' || state === 'Cancelled') {
        throw new NotReadyError(
          whyNotReady(workspace, environment, `The Workspace is ${state}; waiting does not mend that.`),
        );
      }
    }
    throw new Error(`the watch of ${name} ended`);
  } catch (error) {
    progress.end('failed');
    if (!late.aborted || signal.aborted) throw error;
    const what = `The Workspace was not done within ${withinMs / 1_000} s.`;
    throw new NotReadyError(whyNotReady(last, environment, what), { cause: error });
  }
}

/** Every condition holds, for the Workspace as it is now. */
export function isReady(workspace: Workspace): boolean {
  const { state, step, conditions = [] } = workspace.status ?? {};
  const holds = conditions.length > 0 && conditions.every((condition) => condition.status === 'True');
  return isJudged(workspace) && state === 'Ready' && step?.name === 'Ready' && holds;
}

/** The adapter is trained and pushed, and nothing is left to do. */
export function isSucceeded(workspace: Workspace): boolean {
  return isJudged(workspace) && workspace.status?.state === 'Succeeded';
}
