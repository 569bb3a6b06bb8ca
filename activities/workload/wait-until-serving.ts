/**
 * The serving step: returns when every replica answers. While it waits, the status tells what is in the way; a machine or workload that goes away
 * ends the wait, so that the workflow converges again.
 */
import type { AppliedWorkload, ServingOutcome } from '../../api/workflow';
import { currentWorkspace } from '../current-workspace';
import type { Dependencies } from '../dependencies';
import type { CandidateInput } from '../machines/acquire-machines';
import { LOSS_RECHECK_MS, watchLoss } from '../machines/watch-loss';
import { observe, type Observation } from '../observe/observation';
import { defineStep } from '../step';
import { troubleTeller } from '../tell-trouble';

const SERVING_MESSAGE = 'waiting until the model answers';

type ServingInput = CandidateInput & { readonly workload: AppliedWorkload };

export function createWaitUntilServing(deps: Dependencies): (input: ServingInput) => Promise<ServingOutcome> {
  return defineStep<ServingInput, ServingOutcome>(
    deps,
    { name: 'Serving', life: ({ plan }) => plan },
    async ({ ref, plan, candidate, workload }, context) => {
      const workspace = await currentWorkspace(deps, ref, plan, context.signal);
      const told = { plan, workload, targetNodeCount: candidate.nodeCount, instanceType: candidate.instanceType };
      const appliedGeneration = workload.generation;

      const lossOf = watchLoss(deps, candidate.nodeCount);
      let wasThere = false;
      const tellTrouble = troubleTeller(workspace, context);
      const look = (): ServingOutcome | { kind: 'ready' } | undefined => {
        const objects = deps.world.owned(ref);
        const observation = observe(workspace, candidate.nodeCount, objects);
        const isMissing = objects.statefulSet === undefined;
        if (wasThere && isMissing) return { kind: 'lost', what: 'the StatefulSet is gone' };
        wasThere ||= !isMissing;
        const loss = lossOf(observation, objects, isMissing ? 'the StatefulSet is gone' : undefined);
        if (loss !== undefined) return { kind: 'lost', what: loss };
        if ((objects.statefulSet?.metadata.generation ?? 0) > appliedGeneration) {
          return { kind: 'lost', what: `StatefulSet ${ref.name} was edited` };
        }
        const isCurrent = (objects.statefulSet?.metadata.generation ?? -1) >= appliedGeneration;
        if (observation.serving && isCurrent) return { kind: 'ready' };

        context.progress(progressOf(observation));
        tellTrouble(observation.failure);
        return undefined;
      };

      // A workload that is up at once is told once.
      const following = context.follow(workspace, () => ({ ...told, message: SERVING_MESSAGE }), { lazily: true });
      const outcome = await deps.world
        .until(ref, look, { signal: context.signal, recheckMs: LOSS_RECHECK_MS })
        .finally(() => following.stop());
      if (outcome.kind !== 'ready') {
        if (outcome.kind === 'lost') context.event(workspace, 'Warning', 'Lost', `${outcome.what}; it is restored`);
        return outcome;
      }
      const size = candidate.instanceType === '' ? 'own nodes' : candidate.instanceType;
      const message = `serving on ${candidate.nodeCount} × ${size}`;
      const status = await context.tell(workspace, { ...told, step: 'Ready', message });
      context.event(workspace, 'Normal', 'Ready', message);
      return { kind: 'serving', status };
    },
    { kind: 'superseded' },
  );
}

function progressOf({ conditions }: Observation): string {
  const first = conditions.find(({ status }) => status === 'False');
  return first === undefined ? SERVING_MESSAGE : `${first.type}: ${first.message}`;
}
