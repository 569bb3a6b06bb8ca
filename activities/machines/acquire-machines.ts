/**
 * The machines step: one candidate's machines exist and are usable, or nothing of it is left.
 */
import { CauseError, remedyOf } from '../../api/causes';
import {
  furtherAttempts,
  withAttempt,
  type AcquireOutcome,
  type Candidate,
  type Plan,
  type ProviderName,
  type StepInput,
} from '../../api/workflow';
import type { Dependencies } from '../dependencies';
import { defineStep, SupersededError } from '../step';
import { currentWorkspace } from '../current-workspace';
import { acquiring, machinesOf } from '../status/compose';
import { createKarpenter } from './karpenter/karpenter';
import { createOwnNodes } from './own-nodes/own-nodes';
import { createAdmission } from '../quotas/admission';
import type { Acquisition, FailedVariant, Machines } from './provider';

/** Those that this installation has. */
export type Providers = Readonly<Partial<Record<ProviderName, Machines>>>;

/** Every provider, side by side. */
export function createProviders(deps: Dependencies): Providers {
  return {
    karpenter: createKarpenter(deps),
    'own-nodes': createOwnNodes(deps),
    ...(deps.azure !== undefined && { azure: deps.azure }),
  };
}

const DEADLINE_NEWS_MS = 30_000;

export interface CandidateInput extends StepInput {
  readonly plan: Plan;
  readonly candidate: Candidate;
}

export function createAcquireMachines(
  deps: Dependencies,
  providers: Providers,
): (input: CandidateInput) => Promise<AcquireOutcome> {
  const admit = createAdmission(deps);
  return defineStep<CandidateInput, AcquireOutcome>(
    deps,
    { name: 'Machines', life: ({ plan }) => plan },
    async ({ ref, facts, plan, candidate }, context) => {
      const workspace = await currentWorkspace(deps, ref, plan, context.signal);
      const provider = providers[candidate.provider];
      // The plan is of a time when the installation was configured otherwise: it is made anew.
      if (provider === undefined) throw new SupersededError(`no provider ${candidate.provider} any more`);
      let attempts = furtherAttempts(facts.attempts, deps.status.latest(workspace).status?.attempts ?? []);
      const before = attempts;
      let progress: string | undefined;
      let deadline: Date | undefined;
      const told = () => ({
        plan,
        targetNodeCount: candidate.nodeCount,
        instanceType: candidate.instanceType,
        message: progress === undefined ? acquiring(candidate) : `${acquiring(candidate)}: ${progress}`,
        facts: { ...facts, attempts },
        ...(deadline !== undefined && { deadline }),
      });
      const failed = ({ variant, failure, nextAction }: Partial<FailedVariant> & Pick<FailedVariant, 'failure'>) => {
        const { code, operationID, correlationID } = failure.cloud ?? {};
        attempts = withAttempt(attempts, {
          step: 'Machines',
          cause: failure.cause,
          message: failure.message,
          remedy: remedyOf(failure),
          instanceType: candidate.instanceType,
          ...(variant !== undefined && { variant }),
          ...(code !== undefined && { code }),
          ...(operationID !== undefined && { operationID }),
          ...(correlationID !== undefined && { correlationID }),
          nextAction: nextAction ?? afterThis(plan, candidate),
          time: deps.now().toISOString(),
        });
      };

      const buy = async (): Promise<Acquisition> => {
        // The intent is on record before anything is bought.
        const telling = context.follow(workspace, told);
        await telling.first;
        return provider
          .ensure(
            { workspace, candidate, diskGiB: plan.diskGiB },
            {
              ...context,
              progress(message, until) {
                context.progress(message, until);
                if (message === progress && !hasMoved(deadline, until)) return;
                progress = message;
                deadline = until;
                telling.again();
              },
              failed(attempt) {
                failed(attempt);
                telling.again();
              },
            },
          )
          .catch(async (error: unknown) => {
            // What only the user can mend ends the step at once: what failed is on the list first.
            if (error instanceof CauseError && attempts !== before) await context.tell(workspace, told());
            throw error;
          })
          .finally(() => telling.stop());
      };
      const refused = await admit({ workspace, candidate, provider, told }, context);
      const acquisition = refused === undefined ? await buy() : ({ kind: 'unavailable', failure: refused } as const);
      if (acquisition.kind === 'acquired') {
        const { pricePerHour } = acquisition;
        if (pricePerHour !== undefined) {
          await context.tell(workspace, {
            ...told(),
            message: acquiring(candidate),
            pricePerHour: String(pricePerHour),
          });
        }
        return { kind: 'acquired', ...(attempts !== before && { attempts }) };
      }

      const { failure } = acquisition;
      if (attempts === before) failed({ failure });
      const status = await context.tell(workspace, {
        ...told(),
        message: failure.message,
        failure: { ...failure, attempt: attempts.at(-1)?.attempt ?? 1 },
      });
      return { kind: 'unavailable', attempts, status };
    },
    { kind: 'superseded' },
  );
}

/** Deadlines that follow heartbeats move a little with each of them, which is no news. */
function hasMoved(before: Date | undefined, now: Date | undefined): boolean {
  if (before === undefined || now === undefined) return before !== now;
  return Math.abs(now.getTime() - before.getTime()) >= DEADLINE_NEWS_MS;
}

/** What comes after a size that could not be had. */
function afterThis({ candidates }: Plan, candidate: Candidate): string {
  const position = candidates.findIndex(({ instanceType }) => instanceType === candidate.instanceType);
  const next = candidates[position + 1];
  return next === undefined ? 'waits, then tries all sizes again' : `tries ${machinesOf(next)}`;
}
