/**
 * The serving step: returns when every replica answers. While it waits, the status tells what is in the way; a machine or workload that goes away
 * ends the wait, so that the workflow converges again.
 */
import { remedyOf, type Failure } from '../../api/causes';
import type { AppliedWorkload, ServingOutcome } from '../../api/workflow';
import { currentWorkspace } from '../current-workspace';
import type { Dependencies } from '../dependencies';
import type { CandidateInput } from '../machines/acquire-machines';
import { notReadySince } from '../machines/karpenter/life';
import { observe, type Observation, type OwnedObjects } from '../observe/observation';
import { defineStep } from '../step';

const SERVING_MESSAGE = 'waiting until the model answers';

/** A cache may lag behind what another process made; what is missing for longer is lost. */
const MISSING_FOR_MS = 10_000;

type ServingInput = CandidateInput & { readonly workload: AppliedWorkload };

export function createWaitUntilServing(deps: Dependencies): (input: ServingInput) => Promise<ServingOutcome> {
  return defineStep<ServingInput, ServingOutcome>(
    deps,
    { name: 'Serving', life: ({ plan }) => plan },
    async ({ ref, plan, candidate, workload }, context) => {
      const workspace = await currentWorkspace(deps, ref, plan, context.signal);
      const told = { plan, workload, targetNodeCount: candidate.nodeCount, instanceType: candidate.instanceType };
      const appliedGeneration = workload.generation;

      let missingSince: number | undefined;
      let wasThere = false;
      let lastFailure: Failure | undefined;
      const look = (): ServingOutcome | { kind: 'ready' } | undefined => {
        const objects = deps.world.owned(ref);
        const observation = observe(workspace, candidate.nodeCount, objects);
        const missing = whatIsMissing(observation, objects, candidate.nodeCount);
        if (wasThere && objects.statefulSet === undefined) return { kind: 'lost', what: 'the StatefulSet is gone' };
        wasThere ||= objects.statefulSet !== undefined;
        missingSince = missing === undefined ? undefined : (missingSince ?? deps.now().getTime());
        if (missingSince !== undefined && deps.now().getTime() - missingSince >= MISSING_FOR_MS) {
          return { kind: 'lost', what: missing ?? '' };
        }
        const leaving = whatIsLeaving(observation, candidate.nodeCount);
        if (leaving !== undefined) return { kind: 'lost', what: `${leaving} is being deleted` };
        const dead = deadMachine(deps, observation, objects);
        if (dead !== undefined) return { kind: 'lost', what: dead };
        if ((objects.statefulSet?.metadata.generation ?? 0) > appliedGeneration) {
          return { kind: 'lost', what: `StatefulSet ${ref.name} was edited` };
        }
        const isCurrent = (objects.statefulSet?.metadata.generation ?? -1) >= appliedGeneration;
        if (observation.serving && isCurrent) return { kind: 'ready' };

        context.progress(progressOf(observation));
        const { failure } = observation;
        if (failure !== undefined && failure.message !== lastFailure?.message) {
          context.event(workspace, 'Warning', failure.cause, `${failure.message} ${remedyOf(failure)}`);
        }
        lastFailure = failure;
        return undefined;
      };

      // A workload that is up at once is told once.
      const following = context.follow(workspace, () => ({ ...told, message: SERVING_MESSAGE }), { lazily: true });
      const outcome = await deps.world
        .until(ref, look, { signal: context.signal, recheckMs: MISSING_FOR_MS / 2 })
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

function whatIsMissing(
  { machines }: Observation,
  { statefulSet }: OwnedObjects,
  nodeCount: number,
): string | undefined {
  if (statefulSet === undefined) return 'the StatefulSet is gone';
  const provided = machines.filter(({ provider, phase }) => provider !== 'own-nodes' && phase !== 'Lost');
  const own = machines.some(({ provider }) => provider === 'own-nodes');
  if (own || provided.length >= nodeCount) return undefined;
  return `${nodeCount - provided.length} of ${nodeCount} machines are gone`;
}

/** A machine on its way out that nothing has replaced yet. Once it is replaced, however long it takes to go is of no concern. */
function whatIsLeaving({ machines }: Observation, nodeCount: number): string | undefined {
  const bought = machines.filter(({ provider }) => provider !== 'own-nodes');
  const leaving = bought.filter(({ phase }) => phase === 'Deleting');
  return bought.length - leaving.length < nodeCount ? leaving[0]?.name : undefined;
}

/** A machine that was bought and has not been ready for longer than one may take to become so is replaced by the machines step. */
function deadMachine(
  { deadlines, now }: Dependencies,
  { machines }: Observation,
  objects: OwnedObjects,
): string | undefined {
  const dead = machines.find(({ provider, phase, nodeName = '' }) => {
    if (provider === 'own-nodes' || phase !== 'NotReady') return false;
    const since = notReadySince(objects.nodeNamed(nodeName));
    return since !== undefined && now().getTime() - since >= deadlines.gpusAllocatableMs;
  });
  return dead && `${dead.name}: ${dead.message ?? 'node is not ready'}`;
}

function progressOf({ conditions }: Observation): string {
  const first = conditions.find(({ status }) => status === 'False');
  return first === undefined ? SERVING_MESSAGE : `${first.type}: ${first.message}`;
}
