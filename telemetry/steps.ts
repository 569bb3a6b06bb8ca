/**
 * What is counted, logged and traced of each attempt at a step: around the activity, so that no step has to know.
 */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { CAUSES } from '../api/causes';
import { TRACE_HEADER } from '../api/trace';
import { STEP_OF, type StepInput, type WorkspaceActivities, type WorkspaceRef } from '../api/workflow';
import type { LogFields, Logger } from '../kubernetes/logger';
import { headerOf } from './headers';
import type { Metrics } from './metrics';
import type { Tracing } from './tracing';

/** How an attempt ended. */
interface Ending {
  readonly outcome:
    | 'done'
    /** This size could not be had; the next one may be tried. */
    | 'unavailable'
    /** What was waited for went away, or the Workspace changed: the workflow converges again. */
    | 'lost'
    | 'superseded'
    | 'cancelled'
    /** The worker stops; another one goes on. */
    | 'handed-over'
    /** Failed, and tried again. */
    | 'retried'
    /** Failed for good: only the user, or time, can help. */
    | 'failed';
  readonly cause: string;
}

export interface StepTelemetry {
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly logger: Logger;
  /** UID of the Workspace that has the name now, as far as the caches know. */
  readonly uidOf: (ref: WorkspaceRef) => string | undefined;
  /** Milliseconds; only differences count. */
  readonly clock?: () => number;
}

export function stepInterceptors({
  metrics,
  tracing,
  logger,
  uidOf,
  clock = () => performance.now(),
}: StepTelemetry): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const step = stepOf(info.activityType);
        const fields = fieldsOf(info, step, input.args[0], uidOf);
        const options = {
          kind: 'CONSUMER',
          parent: headerOf(input.headers, TRACE_HEADER),
          attributes: Object.fromEntries(Object.entries(fields).map(([name, value]) => [`kaito.${name}`, value])),
          isFailure: (error: unknown) => ['retried', 'failed'].includes(endingOfError(error).outcome),
        } as const;
        return tracing.span(info.activityType, options, fields, async () => {
          const startedAt = clock();
          metrics.running.inc({ step });
          const end = ({ outcome, cause }: Ending): void => {
            const seconds = (clock() - startedAt) / 1000;
            metrics.running.dec({ step });
            metrics.attempts.inc({ step, outcome, cause });
            metrics.attemptDuration.observe({ step, outcome }, seconds);
            logger.info('attempt ended', {
              outcome,
              ...(cause !== '' && { cause }),
              seconds: Number(seconds.toFixed(3)),
            });
          };
          let result: unknown;
          try {
            result = await next(input);
          } catch (error) {
            end(endingOfError(error));
            throw error;
          }
          end(endingOfResult(result));
          return result;
        });
      },
    },
  });
}

/** Activities that are no step of a Workspace go by their own names. */
function stepOf(activityType: string): string {
  return activityType in STEP_OF ? STEP_OF[activityType as keyof WorkspaceActivities] : activityType;
}

type Info = Parameters<ActivityInterceptorsFactory>[0]['info'];

function fieldsOf(
  info: Info,
  step: string,
  input: unknown,
  uidOf: StepTelemetry['uidOf'],
): LogFields & Readonly<Record<string, string | number>> {
  const { ref, plan } = (input ?? {}) as Partial<StepInput> & { readonly plan?: { readonly uid?: string } };
  const uid = plan?.uid ?? (ref && uidOf(ref));
  const { workflowId, runId } = info.workflowExecution ?? {};
  return {
    ...(ref !== undefined && { workspace: `${ref.namespace}/${ref.name}` }),
    ...(uid !== undefined && { uid }),
    ...(workflowId !== undefined && { workflowId }),
    ...(runId !== undefined && { runId }),
    step,
    activity: info.activityType,
    attempt: info.attempt,
  };
}

function endingOfResult(result: unknown): Ending {
  const { kind, attempts } = (result ?? {}) as {
    readonly kind?: string;
    readonly attempts?: readonly { readonly cause: string }[];
  };
  if (kind === 'unavailable') return { outcome: kind, cause: known(attempts?.at(-1)?.cause) };
  return { outcome: kind === 'superseded' || kind === 'lost' ? kind : 'done', cause: '' };
}

function endingOfError(error: unknown): Ending {
  if (error instanceof CancelledFailure || (error instanceof Error && error.name === 'AbortError')) {
    return { outcome: 'cancelled', cause: '' };
  }
  if (!(error instanceof ApplicationFailure)) return { outcome: 'retried', cause: 'Internal' };
  if (error.type === 'WorkerShutdown') return { outcome: 'handed-over', cause: '' };
  return { outcome: error.nonRetryable === true ? 'failed' : 'retried', cause: known(error.type) };
}

/** Only causes of the vocabulary, so that labels stay few. */
function known(cause: string | null | undefined): string {
  return cause !== null && cause !== undefined && cause in CAUSES ? cause : 'Internal';
}
