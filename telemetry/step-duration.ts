import { isRest } from '../api/status';
import type { WorkspaceStatus } from '../api/workspace';
import type { Metrics } from './metrics';

/**
 * Observes how long a Workspace stayed in a step, when a status was written that leaves it: by the worker that wrote it, and so once, however many
 * bridges and workers there are.
 */
export function observeStepDuration(
  metrics: Metrics,
  before: WorkspaceStatus | undefined,
  written: WorkspaceStatus,
  /** Milliseconds since the epoch. */
  now: number,
): void {
  const left = before?.step;
  if (left?.startedTime === undefined || left.name === written.step?.name || isRest(left.name)) return;
  const seconds = (now - Date.parse(left.startedTime)) / 1000;
  if (Number.isFinite(seconds)) metrics.stepDuration.observe({ step: left.name }, Math.max(0, seconds));
}
