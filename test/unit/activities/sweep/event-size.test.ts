import type { FindOrphansInput, Found, Orphan, OwnedMachines, SweepReport } from '../../../../api/sweep';
import { releaseFailure, turnsAfter } from '../../../../api/sweep';
import type { Machines, Sweeping } from '../../../../activities/machines/provider';
import type { SweepDependencies } from '../../../../activities/sweep/dependencies';
import { findOrphans } from '../../../../activities/sweep/find-orphans';
import { SILENT_LOGGER } from '../../../../kubernetes/logger';
import { judge } from '../../../../workflows/sweeper/judge';

/** Nothing larger may be in an event of a history. */
const MOST_EVENT_BYTES = 64 * 1024;
const bytesOf = (value: object): number => Buffer.byteLength(JSON.stringify(value));

/** As long as Kubernetes allows, which is what a NodeClaim's name and labels can be. */
const LONGEST: OwnedMachines = {
  provider: 'karpenter',
  kind: 'NodeClaim',
  name: 'n'.repeat(253),
  identity: 'i'.repeat(36),
  workspace: { namespace: 'n'.repeat(63), name: 'w'.repeat(63), uid: 'u'.repeat(63) },
  instanceType: 't'.repeat(63),
  count: 1,
  isSpot: false,
  createdTime: '2026-01-01T00:00:00.000Z',
};
/** A pool's tags, which others may write: 256 characters of whatever they like. */
const tag = '\u0001'.repeat(256);
const HOSTILE: OwnedMachines = {
  ...LONGEST,
  provider: 'azure',
  kind: 'agent pool',
  name: 'gpu123456789',
  identity: tag,
  workspace: { namespace: tag, name: tag, uid: tag },
};
const USUAL: OwnedMachines = {
  ...LONGEST,
  name: 'ws0123456789a',
  workspace: { namespace: 'team-a', name: 'phi-4', uid: 'u'.repeat(36) },
  instanceType: 'Standard_NC96ads_A100_v4',
};

const FAILURES = ['"\\'.repeat(5_000), '\u0000\n\ud800'.repeat(5_000), '漢'.repeat(5_000), '😀"'.repeat(5_000)];

async function look(owned: OwnedMachines, before: FindOrphansInput = turnsAfter([])): Promise<Found> {
  const machines = Array.from({ length: 600 }, (_, index) => ({ ...owned, identity: `${owned.identity}${index}` }));
  const sweeping = {
    owned: async () => machines,
    pricePerHour: async () => 1 / 3e21,
  } as unknown as Sweeping;
  const deps = {
    client: { list: async () => ({ items: [], resourceVersion: '1' }) } as unknown as SweepDependencies['client'],
    events: { record: () => undefined },
    logger: SILENT_LOGGER,
    providers: [{ name: owned.provider, sweeping } as unknown as Machines],
    isWorkflowRunning: async () => false,
    now: () => new Date(),
  };
  return findOrphans(deps, before, new AbortController().signal);
}

it('each has its turn, though none can be released', async () => {
  const tried = new Set<string>();
  let memory: readonly Orphan[] = [];
  let looks = 0;
  while (tried.size < 600 && looks < 100) {
    const { orphans } = await look(USUAL, turnsAfter(memory));
    const { due, waiting } = judge(orphans, memory, { nowMs: (looks += 1) * 60_000, graceMs: 60_000 });
    for (const { identity } of due) tried.add(identity);
    memory = [...due.map((orphan) => ({ ...orphan, failure: 'no right to delete' })), ...waiting];
  }
  expect(tried.size).toBe(600);
});

describe.each([
  ['names as long as can be', LONGEST, 30],
  ['hostile tags', HOSTILE, 5],
  ['usual names', USUAL, 50],
])('600 orphans with %s', (_, machines, least) => {
  let found: Found;
  let due: readonly Orphan[];
  beforeAll(async () => {
    found = await look(machines);
    const first = judge(found.orphans, [], { nowMs: Date.UTC(2026, 0, 1), graceMs: 1 });
    due = judge(found.orphans, first.waiting, { nowMs: Date.UTC(2026, 0, 2), graceMs: 1 }).due;
  });

  it('are told and released some at a time, and not too few', () => {
    expect(found.owned).toBe(600);
    expect(found.orphans.length).toBeGreaterThanOrEqual(least);
    expect(found.orphans.length).toBeLessThan(600);
    expect(due).toHaveLength(found.orphans.length);
  });

  it.each(FAILURES)('stay within an event, whatever keeps them from being released: %#', (message) => {
    const failure = releaseFailure(message);
    const failed = due.map((orphan) => ({ ...orphan, failure }));
    const report = (orphans: readonly Orphan[], released: readonly Orphan[]): SweepReport => ({
      time: new Date().toISOString(),
      owned: 1e9,
      orphans,
      released,
    });
    const half = failed.length / 2;
    expect(bytesOf(turnsAfter(failed))).toBeLessThanOrEqual(MOST_EVENT_BYTES);
    expect(bytesOf(found)).toBeLessThanOrEqual(MOST_EVENT_BYTES);
    expect(bytesOf({ orphans: failed, graceMs: Number.MAX_SAFE_INTEGER })).toBeLessThanOrEqual(MOST_EVENT_BYTES);
    expect(bytesOf(report(failed, []))).toBeLessThanOrEqual(MOST_EVENT_BYTES);
    expect(bytesOf(report([], failed))).toBeLessThanOrEqual(MOST_EVENT_BYTES);
    expect(bytesOf(report(failed.slice(0, half), failed.slice(half)))).toBeLessThanOrEqual(MOST_EVENT_BYTES);
  });
});
