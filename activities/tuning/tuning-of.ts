import type { Plan, TuningPlan } from '../../api/workflow';

/** The tuning part of a plan, for the steps that only a tuning has. */
export function tuningOf({ tuning }: Plan): TuningPlan {
  if (tuning === undefined) throw new TypeError('the plan is not that of a tuning');
  return tuning;
}
