import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import type { StepFailure } from '../api/workflow';

/** A failure that no further try mends: an activity gave up, and waits for the user. Everything else is a defect or a cancellation. */
export function isFinalFailure(error: unknown): error is ActivityFailure {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure;
}

/** What the step said of its failure. */
export function stepFailureOf(error: ActivityFailure): StepFailure {
  const { cause } = error;
  const [details] = (cause instanceof ApplicationFailure ? (cause.details ?? []) : []) as StepFailure[];
  return details ?? { failure: { cause: 'Internal', message: cause?.message ?? error.message } };
}
