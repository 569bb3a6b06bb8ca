/**
 * Workflows that run by name only: their tasks keep failing, because the code that the worker has can't go on with their history. They count as
 * running, so no resync starts them anew; people have to know.
 */
import type { World } from '../activities/observe/world';
import { workflowIdOf } from '../api/workflow';
import type { EventRecorder } from '../kubernetes/events';
import type { Logger } from '../kubernetes/logger';
import { referenceTo, type KubernetesObject } from '../kubernetes/objects';
import { keyOf } from '../kubernetes/resources';
import type { Workflows } from './workflows';

export interface StuckOptions {
  readonly world: Pick<World, 'workspace'>;
  readonly workflows: Pick<Workflows, 'stuck'>;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly logger: Logger;
}

/** Tells of each stuck workflow once, on its Workspace and in the log; again only after it had gone on. */
export function createStuckTeller({ world, workflows, events, logger }: StuckOptions): () => Promise<void> {
  const told = new Map<string, string>();
  return async () => {
    const stuck = new Map((await workflows.stuck()).map((one) => [keyOf(one.ref), one]));
    for (const key of [...told.keys()].filter((one) => !stuck.has(one))) {
      logger.info('a workflow goes on', { workflowId: told.get(key) });
      told.delete(key);
    }
    for (const [key, { ref, why }] of stuck) {
      if (told.has(key)) continue;
      const workflowId = workflowIdOf(ref);
      told.set(key, workflowId);
      logger.error('a workflow is stuck: its tasks fail', { ...ref, workflowId, why });
      const workspace = world.workspace(ref);
      if (workspace === undefined) continue;
      events.record(referenceTo(workspace as unknown as KubernetesObject), {
        type: 'Warning',
        reason: 'WorkflowStuck',
        message: `the workflow's tasks fail: ${why}. After an upgrade, go back to the former worker version; or run: temporal workflow terminate -w ${workflowId}. It is started anew then, and adopts what is there.`,
      });
    }
  };
}
