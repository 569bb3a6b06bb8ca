import { failureOfVanished, overdue } from '../../../activities/machines/karpenter/life';
import { LAUNCHED, condition, node, nodeClaim } from './objects';

const CREATED_MS = Date.parse('2026-01-01T00:00:00Z');
const after = (ms: number): Date => new Date(CREATED_MS + ms);
const deadlines = { launchedMs: 1_000, registeredMs: 2_000, initializedMs: 3_000, gpusAllocatableMs: 4_000 };

describe('a NodeClaim that vanished', () => {
  const said = (message: string) =>
    failureOfVanished(nodeClaim('ws1', [condition('Launched', 'Unknown', { reason: 'LaunchFailed', message })]));
  const messages: readonly [string, string][] = [
    ['creating instance: InsufficientCapacityError: all requested instance types were unavailable', 'Capacity'],
    ['SkuNotAvailable: The requested size is currently not available', 'Capacity'],
    ['ErrCode: QuotaExceeded: exceeding approved standardNCADSA100v4Family Cores quota', 'Quota'],
    ['VcpuLimitExceeded: you have requested more vCPU capacity', 'Quota'],
    ['AuthorizationFailed: The client does not have authorization', 'Auth'],
    ['resolving NodeClass "default": not found', 'NodeClass'],
    ['something nobody has seen before', 'Capacity'],
  ];
  test.each(messages)('%s → %s', (message, cause) => {
    expect(said(message)).toEqual({
      cause,
      message: `NodeClaim ws1 was given up before launch: LaunchFailed: ${message}`,
    });
  });

  test('after launch the machine is lost', () => {
    expect(failureOfVanished(nodeClaim('ws1', LAUNCHED, { nodeName: 'n1' })).cause).toBe('MachineLost');
  });
});

describe('a NodeClaim that is overdue', () => {
  const claim = nodeClaim('ws1', LAUNCHED, { nodeName: 'n1' });
  const cases = [
    ['Pending', 1_000, 'NodeClaim ws1 was not launched within 1 s: m'],
    ['Launched', 2_000, 'NodeClaim ws1 was not registered within 2 s: m'],
    ['Registered', 3_000, 'NodeClaim ws1 was not initialized within 3 s: m'],
    ['Initialized', 4_000, 'NodeClaim ws1 was not usable within 4 s: m'],
    ['NotReady', 4_000, 'NodeClaim ws1 was not ready within 4 s: m'],
  ] as const;
  test.each(cases)('%s for %i ms', (phase, ms, message) => {
    const facts = { claim, node: node('n1', { ready: condition('Ready', 'False') }), seenSinceMs: CREATED_MS };
    expect(overdue(facts, { phase, message: 'm' }, deadlines, after(ms - 1))).toBeUndefined();
    expect(overdue(facts, { phase, message: 'm' }, deadlines, after(ms))).toEqual({ cause: 'NotReadyInTime', message });
  });

  test('a node that stopped being ready has its time from then, not from launch', () => {
    const ready = condition('Ready', 'False', { lastTransitionTime: after(1_000_000).toISOString() });
    const facts = { claim, node: node('n1', { ready }), seenSinceMs: CREATED_MS };
    expect(overdue(facts, { phase: 'NotReady' }, deadlines, after(1_003_999))).toBeUndefined();
    expect(overdue(facts, { phase: 'NotReady' }, deadlines, after(1_004_000))?.cause).toBe('NotReadyInTime');
  });

  describe('by a node whose clock is off', () => {
    const saying = (changedMs: number, heartbeatMs: number) =>
      node('n1', {
        ready: condition('Ready', 'False', {
          lastTransitionTime: after(changedMs).toISOString(),
          lastHeartbeatTime: after(heartbeatMs).toISOString(),
        }),
      });
    const overdueAt = (ms: number, said: ReturnType<typeof saying>): boolean =>
      overdue({ claim, node: said, seenSinceMs: CREATED_MS }, { phase: 'NotReady' }, deadlines, after(ms)) !==
      undefined;
    const HOUR_MS = 3_600_000;

    test.each([
      ['behind', -5 * HOUR_MS],
      ['ahead', 5 * HOUR_MS],
    ])('it has its time: %s', (_, skewMs) => {
      expect(overdueAt(3_999, saying(skewMs, skewMs))).toBe(false);
      expect(overdueAt(4_000, saying(skewMs, skewMs))).toBe(true);
    });

    test('what lay between its own times counts, so that a restart of ours does not lengthen it', () => {
      expect(overdueAt(999, saying(-HOUR_MS, -HOUR_MS + 3_000))).toBe(false);
      expect(overdueAt(1_000, saying(-HOUR_MS, -HOUR_MS + 4_000))).toBe(true);
    });
  });

  test('a launch that never happens for want of quota is called that', () => {
    const facts = { claim, node: undefined, seenSinceMs: CREATED_MS };
    expect(overdue(facts, { phase: 'Pending', message: 'QuotaExceeded' }, deadlines, after(1_000))?.cause).toBe(
      'Quota',
    );
  });
});
