import { turnsAfter, type Orphan, type OwnedMachines } from '../../../../api/sweep';
import type { Machines, Sweeping } from '../../../../activities/machines/provider';
import type { SweepDependencies } from '../../../../activities/sweep/dependencies';
import { findOrphans } from '../../../../activities/sweep/find-orphans';
import { releaseOrphan } from '../../../../activities/sweep/release-orphan';
import { reportOrphans } from '../../../../activities/sweep/report-orphans';
import { SILENT_LOGGER } from '../../../../kubernetes/logger';

const signal = new AbortController().signal;
const firstLook = (deps: SweepDependencies) => findOrphans(deps, turnsAfter([]), signal);
const context = { signal, progress: () => undefined };

function machines(name: string, uid: string, over: Partial<OwnedMachines> = {}): OwnedMachines {
  return {
    provider: 'karpenter',
    kind: 'NodeClaim',
    name,
    identity: `id-${name}`,
    workspace: { namespace: 'team', name: 'phi', uid },
    instanceType: 'A100',
    count: 2,
    isSpot: false,
    createdTime: '2026-01-01T00:00:00.000Z',
    ...over,
  };
}

interface Setting {
  readonly owned?: readonly OwnedMachines[] | Error;
  /** UID of the Workspace team/phi; undefined: there is none. */
  readonly uid?: string;
  readonly isRunning?: boolean | Error;
  readonly price?: number;
}

function setting({ owned = [], uid, isRunning = false, price }: Setting) {
  const removed: string[] = [];
  const events: string[] = [];
  const told: (readonly Orphan[])[] = [];
  const sweeping: Sweeping = {
    owned: async () => {
      if (owned instanceof Error) throw owned;
      return owned;
    },
    pricePerHour: async ({ count }) => (price === undefined ? undefined : price * count),
    remove: async ({ name }) => {
      removed.push(name);
      return 'gone';
    },
  };
  const workspaces = uid === undefined ? [] : [{ metadata: { namespace: 'team', name: 'phi', uid } }];
  const deps: SweepDependencies = {
    client: {
      list: async () => ({ items: workspaces, resourceVersion: '1' }),
      get: async () => workspaces[0],
    } as unknown as SweepDependencies['client'],
    events: {
      record: ({ kind, namespace, name }, { reason, message }) =>
        events.push(`${kind} ${namespace ?? '-'}/${name} ${reason}: ${message}`),
    },
    logger: SILENT_LOGGER,
    providers: [{ name: 'own-nodes' } as Machines, { name: 'karpenter', sweeping } as unknown as Machines],
    isWorkflowRunning: async () => {
      if (isRunning instanceof Error) throw isRunning;
      return isRunning;
    },
    onOrphans: (orphans) => told.push(orphans),
    now: () => new Date('2026-01-01T10:00:00Z'),
  };
  return { deps, removed, events, told };
}

describe('a look', () => {
  test('tells of the oldest when there are more than it may tell of: the next look tells of the same', async () => {
    const owned = Array.from({ length: 600 }, (_, i) =>
      machines(`m${i}`, 'dead', { createdTime: new Date(Date.UTC(2026, 0, 1, 0, 0, 600 - i)).toISOString() }),
    );
    const { owned: count, orphans } = await firstLook(setting({ owned }).deps);
    expect(count).toBe(600);
    expect(orphans.length).toBeGreaterThan(50);
    expect(orphans.map(({ name }) => name)).toEqual(Array.from(orphans, (_, i) => `m${599 - i}`));
  });

  test('finds what was bought for a Workspace that is gone, with its price', async () => {
    const { deps } = setting({ owned: [machines('a', 'dead')], price: 3.5 });
    expect(await firstLook(deps)).toEqual({
      owned: 1,
      orphans: [{ ...machines('a', 'dead'), pricePerHour: 7 }],
    });
  });

  test('finds nothing where the Workspace is there, whatever its workflow does', async () => {
    const { deps } = setting({ owned: [machines('a', 'living')], uid: 'living' });
    expect(await firstLook(deps)).toEqual({ owned: 1, orphans: [] });
  });

  test('leaves to a workflow that still runs what it has yet to release', async () => {
    const { deps } = setting({ owned: [machines('a', 'dead')], isRunning: true });
    expect((await firstLook(deps)).orphans).toEqual([]);
  });

  test('finds what an earlier life of the name left behind, though the workflow of the present one runs', async () => {
    const owned = [machines('a', 'earlier'), machines('b', 'living')];
    const { deps } = setting({ owned, uid: 'living', isRunning: true });
    expect((await firstLook(deps)).orphans.map(({ name }) => name)).toEqual(['a']);
  });

  test.each([
    ['machines', { owned: new Error('page 2 of 3 failed') }],
    ['workflows', { owned: [machines('a', 'dead')], isRunning: new Error('Temporal does not answer') }],
  ])('fails as a whole when its %s are not all known', async (_, incomplete) => {
    await expect(firstLook(setting(incomplete).deps)).rejects.toThrow(/failed|does not answer/);
  });
});

describe('a release', () => {
  const orphan: Orphan = { ...machines('a', 'dead'), firstSeenTime: '2026-01-01T09:00:00.000Z' };

  test('ends the machines', async () => {
    const { deps, removed } = setting({});
    expect(await releaseOrphan(deps, orphan, context)).toEqual({ kind: 'released' });
    expect(removed).toEqual(['a']);
  });

  test.each([
    ['the Workspace', { uid: 'dead' }],
    ['its workflow', { isRunning: true }],
  ])('does nothing when %s is there again', async (_, again) => {
    const { deps, removed } = setting(again);
    expect(await releaseOrphan(deps, orphan, context)).toEqual({ kind: 'kept', why: 'its Workspace is there again' });
    expect(removed).toEqual([]);
  });

  test('does nothing when Temporal can not say whether the workflow runs', async () => {
    const { deps, removed } = setting({ isRunning: new Error('Temporal does not answer') });
    await expect(releaseOrphan(deps, orphan, context)).rejects.toThrow('Temporal does not answer');
    expect(removed).toEqual([]);
  });

  test.each([undefined, new Error('the lock stays')])(
    'is told from its begin to its end, however it ends: %s',
    async (problem) => {
      const { deps } = setting({});
      const told: string[] = [];
      const sweeping = {
        remove: async () => {
          told.push('removing');
          if (problem !== undefined) throw problem;
          return 'gone';
        },
      } as unknown as Sweeping;
      const onRelease = ({ name }: Orphan) => {
        told.push(`${name} begins`);
        return () => void told.push(`${name} ends`);
      };
      const providers = [{ name: 'karpenter', sweeping } as unknown as Machines];
      const end = releaseOrphan({ ...deps, providers, onRelease }, orphan, context);
      await (problem === undefined ? end : expect(end).rejects.toThrow(problem));
      expect(told).toEqual(['a begins', 'removing', 'a ends']);
    },
  );

  test('says that the provider is no longer in use', async () => {
    const { deps, removed } = setting({});
    const other = { ...orphan, provider: 'own-nodes' as const };
    expect(await releaseOrphan(deps, other, context)).toMatchObject({ kind: 'kept' });
    expect(removed).toEqual([]);
  });
});

describe('a report', () => {
  const orphan: Orphan = { ...machines('a', 'dead'), firstSeenTime: '2026-01-01T09:00:00.000Z', pricePerHour: 7 };

  test('tells on the NodeClaim what it is, what it costs, and when it goes', () => {
    const { deps, events, told } = setting({});
    reportOrphans(deps, { orphans: [orphan], graceMs: 15 * 60_000 });
    expect(events).toEqual([
      'NodeClaim -/a OrphanedMachines: NodeClaim a (2 × A100) was bought for Workspace team/phi (dead), which is gone; it costs about $7.00 an hour since 2026-01-01T00:00:00.000Z; it is released after 2026-01-01T09:15:00.000Z',
    ]);
    expect(told).toEqual([[orphan]]);
  });

  test('tells of a pool in the namespace of its Workspace, and why it could not be released', () => {
    const { deps, events } = setting({});
    const { pricePerHour: _, ...unpriced } = orphan;
    const pool = { ...unpriced, provider: 'azure' as const, kind: 'agent pool', failure: 'no right to delete' };
    reportOrphans(deps, { orphans: [pool], graceMs: 15 * 60_000 });
    expect(events).toEqual([
      'Workspace team/phi OrphanedMachines: agent pool a (2 × A100) was bought for Workspace team/phi (dead), which is gone; it could not be released: no right to delete',
    ]);
  });

  test('tells the metric that there are none', () => {
    const { deps, told } = setting({});
    reportOrphans(deps, { orphans: [], graceMs: 1 });
    expect(told).toEqual([[]]);
  });
});
