/**
 * How often steps say that they are alive. Each beat is a write of Temporal's; a worker that dies is missed after a time-out, so both are
 * weighed against each other: however many Workspaces wait at once, their steps beat at most {@link MOST_BEATS_PER_SECOND} times a second.
 */
import { isRest } from '../api/status';
import { BEATS_PER_TIMEOUT } from '../api/workflow';
import type { Workspace } from '../api/workspace';

const MOST_BEATS_PER_SECOND = 100;
const BEAT_MS = { least: 5_000, most: 60_000 };

/** Heartbeat time-out of steps that begin now, milliseconds: 20 seconds for up to 500 Workspaces that are not at rest, then in proportion, at most 4 minutes. */
export function heartbeatTimeoutMs(workspaces: Iterable<Workspace>): number {
  let underWay = 0;
  for (const { status, metadata } of workspaces) {
    const rests = metadata.deletionTimestamp === undefined && status?.step !== undefined && isRest(status.step.name);
    if (!rests) underWay += 1;
  }
  const beatMs = (underWay / MOST_BEATS_PER_SECOND) * 1_000;
  return Math.min(Math.max(beatMs, BEAT_MS.least), BEAT_MS.most) * BEATS_PER_TIMEOUT;
}
