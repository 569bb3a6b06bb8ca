import type { OwnedObjects } from '../../../activities/observe/observation';
import { pushDeadline, trainingDeadline } from '../../../activities/tuning/deadlines';
import type { Workspace } from '../../../api/workspace';
import { LAUNCHED, nodeClaim, owned, workspace } from './objects';

const STARTED = '2026-11-22T12:00:00Z';
const tuning = (activeDeadlineSeconds?: number): Workspace =>
  workspace({ tuning: { activeDeadlineSeconds } as never, inference: undefined as never });

/** With a Job of that owner that began then. */
const withJob = (uid: string, startTime?: string): OwnedObjects => ({
  ...owned({}),
  jobs: [
    {
      metadata: { name: 'w', ownerReferences: [{ apiVersion: 'kaito.sh/v1beta1', kind: 'Workspace', name: 'w', uid }] },
      status: { ...(startTime !== undefined && { startTime }) },
    },
  ] as never,
});

test('a training ends so long after its Job began', () => {
  expect(trainingDeadline(tuning(3_600), withJob('uid-w', STARTED))?.toISOString()).toBe('2026-11-22T13:00:00.000Z');
});

test.each([
  ['it may take as long as it likes', tuning(), withJob('uid-w', STARTED)],
  ['its Job has not begun', tuning(60), withJob('uid-w')],
  ['its Job is not there', tuning(60), owned({})],
  ['the Job is another’s', tuning(60), withJob('uid-other', STARTED)],
])('no end is told where %s', (_, of, seen) => {
  expect(trainingDeadline(of, seen)).toBeUndefined();
});

const bought = owned({ nodeClaims: [nodeClaim('c', LAUNCHED)] });
const UNTIL = '2026-11-22T12:05:00.000Z';

test('a push says until when machines are kept for it, where some are let go of then', () => {
  expect(pushDeadline(tuning(), bought, UNTIL)).toEqual(new Date(UNTIL));
});

test.each<readonly [string, Workspace, OwnedObjects, string | undefined]>([
  ['the workflow does not let go of them', tuning(), bought, undefined],
  ['they are gone', tuning(), owned({}), UNTIL],
  ['they are the user’s own', { ...tuning(), resource: { labelSelector: {} } as never }, bought, UNTIL],
  ['the user wants to keep them', workspace({}, { annotations: { 'kaito.sh/keep-machines': 'true' } }), bought, UNTIL],
])('a push says nothing where %s', (_, of, seen, until) => {
  expect(pushDeadline(of, seen, until)).toBeUndefined();
});
