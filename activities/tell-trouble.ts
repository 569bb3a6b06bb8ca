import { remedyOf, type Failure } from '../api/causes';
import type { Workspace } from '../api/workspace';
import type { StepContext } from './step';

/** Tells what is in a waiting step's way as an Event, once for each new message. */
export function troubleTeller(workspace: Workspace, context: StepContext): (trouble: Failure | undefined) => void {
  let last: string | undefined;
  return (trouble) => {
    if (trouble !== undefined && trouble.message !== last) {
      context.event(workspace, 'Warning', trouble.cause, `${trouble.message} ${remedyOf(trouble)}`);
    }
    last = trouble?.message;
  };
}
