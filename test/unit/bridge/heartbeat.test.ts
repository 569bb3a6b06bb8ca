import { heartbeatTimeoutMs } from '../../../bridge/heartbeat';
import type { Workspace } from '../../../api/workspace';

const workspaces = (count: number, step?: string, metadata = {}): Workspace[] =>
  Array.from({ length: count }, (_, index) => ({
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { name: `w-${index}`, namespace: 'default', uid: String(index), generation: 1, ...metadata },
    resource: {},
    ...(step !== undefined && { status: { step: { name: step } } }),
  })) as Workspace[];

describe('the heartbeat time-out', () => {
  test.each([
    ['nothing is under way', 0, 20_000],
    ['few are', 500, 20_000],
    ['more are: no more beats a second than with 500', 1_000, 40_000],
    ['thousands are', 5_000, 200_000],
    ['it has an end: a dead worker is missed', 100_000, 240_000],
  ])('%s', (_, count, expected) => {
    expect(heartbeatTimeoutMs(workspaces(count, 'Machines'))).toBe(expected);
  });

  test('a Workspace without a status is about to be under way', () => {
    expect(heartbeatTimeoutMs(workspaces(1_000))).toBe(40_000);
  });

  test('one that is to be deleted is about to be, too', () => {
    expect(heartbeatTimeoutMs(workspaces(1_000, 'Ready', { deletionTimestamp: '2026-01-01T00:00:00Z' }))).toBe(40_000);
  });

  test.each(['Ready', 'Succeeded', 'Failed', 'Cancelled'])('%s beats nothing', (step) => {
    expect(heartbeatTimeoutMs(workspaces(5_000, step))).toBe(20_000);
  });
});
