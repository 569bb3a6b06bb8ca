/**
 * The machines step: one candidate's machines exist and are usable, or nothing of it is left.
 */
import { remedyOf } from '../../api/causes';
import type { AcquireOutcome, Candidate, Plan, ProviderName, StepInput } from '../../api/workflow';
import type { Dependencies } from '../dependencies';
import { defineStep } from '../step';
import { currentWorkspace } from '../current-workspace';
import { acquiring } from '../status/compose';
import { createKarpenter } from './karpenter/karpenter';
import { createOwnNodes } from './own-nodes/own-nodes';
import type { Machines } from './provider';

export type Providers = Readonly<Record<ProviderName, Machines>>;

/** Every provider, side by side. */
export function createProviders(deps: Dependencies): Providers {
  return { karpenter: createKarpenter(deps), 'own-nodes': createOwnNodes(deps) };
}

export interface CandidateInput extends StepInput {
  readonly plan: Plan;
  readonly candidate: Candidate;
}

export function createAcquireMachines(
  deps: Dependencies,
  providers: Providers,
): (input: CandidateInput) => Promise<AcquireOutcome> {
  return defineStep<CandidateInput, AcquireOutcome>(
    deps,
    { name: 'Machines', life: ({ plan }) => plan },
    async ({ ref, facts, plan, candidate }, context) => {
      const workspace = await currentWorkspace(deps, ref, plan, context.signal);
      const told = { plan, targetNodeCount: candidate.nodeCount, instanceType: candidate.instanceType };

      // The intent is on record before anything is bought.
      const telling = context.follow(workspace, () => ({ ...told, message: acquiring(candidate) }));
      await telling.first;
      const acquisition = await providers[candidate.provider]
        .ensure({ workspace, candidate, diskGiB: plan.diskGiB }, context)
        .finally(() => telling.stop());
      if (acquisition.kind === 'acquired') return { kind: 'acquired' };

      const { failure } = acquisition;
      const attempt = {
        step: 'Machines' as const,
        cause: failure.cause,
        message: failure.message,
        remedy: remedyOf(failure),
        instanceType: candidate.instanceType,
        attempt: facts.attempts.length + 1,
        time: deps.now().toISOString(),
        count: 1,
      };
      const status = await context.tell(workspace, {
        ...told,
        message: failure.message,
        facts: { ...facts, attempts: [...facts.attempts, attempt].slice(-10) },
        failure: { ...failure, attempt: attempt.attempt },
      });
      return { kind: 'unavailable', attempt, status };
    },
    { kind: 'superseded' },
  );
}
