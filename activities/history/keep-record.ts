import type { LifeEnd } from '../../api/history';
import type { ReleaseInput } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';
import { KubernetesError } from '../../kubernetes/errors';
import type { Dependencies } from '../dependencies';
import type { StepContext } from '../step';
import { recordOf } from './record';
import type { RecordKeeper } from './records';

/** Not allowed, no such namespace (any more), too large, not valid: the same again would be refused again. */
const REFUSALS: ReadonlySet<number> = new Set([403, 404, 413, 422]);

/** Keeps what is to be remembered of a life that ends. A record that can't be kept holds nobody up: a Workspace is not kept for its history. */
export async function keepRecord(
  { logger, now, status }: Pick<Dependencies, 'logger' | 'now' | 'status'>,
  keeper: RecordKeeper,
  { ref, life }: ReleaseInput,
  end: LifeEnd,
  workspace: Workspace | undefined,
  { event }: Pick<StepContext, 'event'>,
): Promise<void> {
  if (life === undefined) return;
  const latest = workspace?.metadata.uid === life.uid ? status.latest(workspace) : undefined;
  try {
    await keeper.keep(recordOf(ref, life, end, latest, now()));
  } catch (error) {
    if (!(error instanceof KubernetesError) || !REFUSALS.has(error.code)) throw error;
    // A namespace that is being deleted takes no more objects, and would take the record along.
    if (/being terminated/.test(error.message)) return;
    logger.warn('the record of a life could not be kept', { ...ref, error });
    if (workspace !== undefined)
      event(workspace, 'Warning', 'HistoryNotKept', `the record of this life could not be kept: ${error.message}`);
  }
}
