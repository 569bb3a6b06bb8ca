import type { Dependencies } from '../../dependencies';
import type { Machines } from '../provider';
import { observeOwnNodes } from './observe';

/** The user's own nodes: nothing is bought, nothing is released; the step waits until enough of them are usable. */
export function createOwnNodes({ world }: Dependencies): Machines {
  return {
    name: 'own-nodes',
    async ensure({ workspace, candidate }, { signal, progress }) {
      const ref = { namespace: workspace.metadata.namespace, name: workspace.metadata.name };
      await world.until(
        ref,
        () => {
          const nodes = observeOwnNodes(workspace, world.owned(ref).nodes());
          const ready = nodes.filter(({ phase }) => phase === 'Ready').length;
          if (ready >= candidate.nodeCount) return true;
          const waiting = nodes.find(({ phase }) => phase !== 'Ready');
          progress(
            `${ready} of ${candidate.nodeCount} own nodes ready; ${waiting?.message ?? 'waiting for more nodes to match'}`,
          );
          return undefined;
        },
        { signal },
      );
      return { kind: 'acquired' };
    },
    release: async () => [],
  };
}
