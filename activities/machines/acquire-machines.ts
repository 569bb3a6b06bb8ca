/**
 * The machines step: one candidate's machines exist and are usable, or nothing of it is left.
 */
import { remedyOf } from '../../api/causes';
import {
  withAttempt,
  type AcquireOutcome,
  type Candidate,
  type Plan,
  type ProviderName,
  type StepInput,
} from '../../api/workflow';
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
      const attempts = withAttempt(facts.attempts, {
        step: 'Machines',
        cause: failure.cause,
        message: failure.message,
        remedy: remedyOf(failure),
        instanceType: candidate.instanceType,
        time: deps.now().toISOString(),
      });
      const status = await context.tell(workspace, {
        ...told,
        message: failure.message,
        facts: { ...facts, attempts },
        failure: { ...failure, attempt: attempts.at(-1)?.attempt ?? 1 },
      });
      return { kind: 'unavailable', attempts, status };
    },
    { kind: 'superseded' },
  );
}
