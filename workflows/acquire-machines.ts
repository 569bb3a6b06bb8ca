import { assertNever } from '../api/assert-never';
import type { Candidate, Plan } from '../api/workflow';
import { activities } from './activities';
import type { DesiredState } from './desired-state';
import { isLong } from './long-history';
import type { WorkspaceRecord } from './record';

/** After every candidate was unavailable: the pause before the list is tried again, doubled each time. */
const CANDIDATES_PAUSE_MS = { first: 60_000, most: 600_000 };

/** Tries the candidates in their order, again and again with growing pauses, until one's machines are usable. */
export async function acquireMachines(
  desired: DesiredState,
  record: WorkspaceRecord,
  plan: Plan,
): Promise<Candidate | 'changed'> {
  for (let round = 0; ; round += 1) {
    for (const candidate of plan.candidates) {
      const summary = `${candidate.nodeCount} × ${candidate.instanceType || 'own node'}`;
      const fromMs = Date.now();
      const acquired = await activities(record, summary).acquireMachines({ ...record.input(), plan, candidate });
      switch (acquired.kind) {
        case 'acquired':
          if (acquired.attempts !== undefined) record.tried(acquired.attempts);
          record.acquired(candidate, fromMs);
          return candidate;
        case 'superseded':
          return 'changed';
        case 'unavailable':
          record.tried(acquired.attempts);
          record.tell(acquired.status);
          break;
        default:
          assertNever(acquired);
      }
    }

    const pauseMs = Math.min(CANDIDATES_PAUSE_MS.first * 2 ** round, CANDIDATES_PAUSE_MS.most);
    const nextTryTime = new Date(Date.now() + pauseMs).toISOString();
    const reported = await activities(record, 'report next try').reportPause({ ...record.input(), plan, nextTryTime });
    record.tell(reported.status);
    if (await desired.askedAfter(desired.version, pauseMs)) return 'changed';
    if (isLong()) return 'changed';
  }
}
