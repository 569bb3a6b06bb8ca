import * as answers from '../fakes/arm/errors';
import * as failures from '../fakes/arm/failures';
import { A100, bodies, failureOf, FAMILY, H100, useScenarios } from './support';

const start = useScenarios();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** How long a failure is remembered for others, in minutes. */
function minutesAvoided(report: { avoided: readonly { since: string; until: string }[] }): readonly number[] {
  return report.avoided.map(({ since, until }) => Math.round((Date.parse(until) - Date.parse(since)) / MINUTE));
}

describe('what Azure does not have', () => {
  test.each(['azure-asyncoperation', 'none'] as const)(
    'scenarios 6, 7: a failed pool says why, is gone, and is told to others (%s)',
    async (operationHeader) => {
      const { arm, worker, claim, coordinator } = await start({ arm: { operationHeader } });
      arm.operations.on('create', /./).fails(failures.allocationFailed());
      const one = worker();
      const failure = failureOf(await one.ensure(claim()));
      expect(failure.cause).toBe('Capacity');
      expect(failure.message).toContain('AllocationFailed: Allocation failed. We do not have sufficient capacity');
      expect(arm.requestsOf('PUT')).toHaveLength(1);
      arm.assertInvariants({ nothingLeft: true });

      // The second Workspace does not burn the same attempt.
      const second = failureOf(await worker().ensure(claim({}, {}, 'other')));
      expect(second.message).toContain('not tried again before');
      expect(minutesAvoided(coordinator.report())).toEqual([60]);
      expect(arm.requestsOf('PUT')).toHaveLength(1);
    },
  );

  test('scenario 8: a creation that somebody cancels is begun anew', async () => {
    const { arm, worker, claim } = await start();
    arm.operations.on('create', /./, 1).cancels();
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true, comparable: () => '' });
  });

  test('scenario 9: quota that is found short at once ends the size, without a loop', async () => {
    const { arm, worker, claim } = await start();
    arm.script.on('PUT', /agentPools/).answer(answers.insufficientFamilyQuota(24, 0, FAMILY, 'eastus'));
    const failure = failureOf(await worker().ensure(claim()));
    expect(failure.cause).toBe('Quota');
    expect(failure.message).toContain(`requested 24, remaining 0 for family ${FAMILY}`);
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    arm.assertInvariants({ nothingLeft: true });
  });

  const figures = { location: 'eastus', limit: 24, used: 24, need: 24 };
  test.each([
    ['family', FAMILY, ['on-demand'], 10],
    ['region', 'Total Regional', ['on-demand'], 10],
  ])('scenario 10: quota of the %s that shows later', async (_, what, __, minutes) => {
    const { arm, worker, claim, coordinator } = await start();
    arm.operations.on('create', /./).fails(failures.quotaExceeded(what, figures));
    const failure = failureOf(await worker().ensure(claim()));
    expect(failure).toMatchObject({ cause: 'Quota' });
    expect(failure.message).toContain('Additional Required: 24');
    expect(minutesAvoided(coordinator.report())).toEqual([minutes]);
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 10: without quota for spot machines, on-demand ones are bought', async () => {
    const { arm, worker, claim, coordinator } = await start();
    const isSpot = (pool: { properties: { scaleSetPriority?: string } }) => pool.properties.scaleSetPriority === 'Spot';
    arm.operations.on('create', isSpot).fails(failures.quotaExceeded('LowPriorityCores', figures));
    const one = worker();
    expect(await one.ensure(claim({}, { capacityType: 'spot-then-on-demand' }))).toEqual({
      kind: 'acquired',
    });
    expect(bodies(arm).map(({ properties }) => properties['scaleSetPriority'])).toEqual(['Spot', undefined]);
    expect(minutesAvoided(coordinator.report())).toEqual([60]);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 11: no quota at all is remembered for an hour', async () => {
    const { arm, worker, claim, coordinator } = await start();
    arm.operations.on('create', /./).fails(failures.quotaExceeded(FAMILY, { ...figures, limit: 0, used: 0 }));
    failureOf(await worker().ensure(claim()));
    expect(minutesAvoided(coordinator.report())).toEqual([HOUR / MINUTE]);
  });

  test('scenario 14: a size that is short, as JSON within a message, is no failed precondition', async () => {
    const { arm, worker, claim, coordinator } = await start();
    arm.script.on('PUT', /agentPools/).answer(answers.skuNotAvailableInside(A100, 'eastus'));
    const failure = failureOf(await worker().ensure(claim()));
    expect(failure.cause).toBe('Capacity');
    expect(failure.message).toContain('SkuNotAvailable');
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    expect(minutesAvoided(coordinator.report())).toEqual([23 * 60]);
  });

  test('scenario 15: a message of 40 KB is not passed on as it is', async () => {
    const { arm, worker, claim, coordinator } = await start();
    arm.script.on('PUT', /agentPools/).answer(answers.sizeNotSupported(A100, 's', 'eastus', 40_000));
    const { message } = failureOf(await worker().ensure(claim()));
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1_024);
    expect(JSON.stringify(coordinator.report()).length).toBeLessThan(4_096);
  });

  test('scenario 16: the zone that is full is left for the next one, by others too', async () => {
    const { arm, worker, claim } = await start({ configuration: { zones: ['1', '2'] } });
    const inZone1 = (pool: { properties: { availabilityZones?: string[] } }) =>
      pool.properties.availabilityZones?.[0] === '1';
    arm.operations.on('create', inZone1).fails(failures.zonalAllocationFailed());
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    expect(await one.ensure(claim({}, {}, 'other'))).toMatchObject({ kind: 'acquired' });
    expect(bodies(arm).map(({ properties }) => properties['availabilityZones'])).toEqual([['1'], ['2'], ['2']]);
    await one.release(claim());
    await one.release(claim({}, {}, 'other'));
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 34: three of four machines are not enough: they go, and the next place is tried', async () => {
    const { arm, worker, claim } = await start({ configuration: { zones: ['1'] } });
    arm.operations.on('create', /./, 1).fails(failures.zonalAllocationFailed(), { nodes: 3 });
    const one = worker();
    expect(await one.ensure(claim({ nodeCount: 4 }))).toMatchObject({ kind: 'acquired' });
    expect(bodies(arm).map(({ properties }) => properties['availabilityZones'])).toEqual([['1'], undefined]);
    const bought = arm.pools().filter(({ origin }) => origin === 'client');
    expect(bought.map(({ nodes }) => nodes.length)).toEqual([4]);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 17: where the ephemeral disk is in the way, a managed one is tried before the size is given up', async () => {
    const { arm, worker, claim } = await start();
    const constraints = ['Differencing (Ephemeral) Disks', 'VM Size'];
    arm.operations.on('create', /./, 1).fails(failures.overconstrained(constraints));
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    expect(bodies(arm).map(({ properties }) => properties['osDiskType'])).toEqual([undefined, 'Managed']);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 35: a pool outside of the cluster’s subnet is never asked for', async () => {
    const { arm, worker, claim } = await start({ configuration: { subnetId: '/subnets/elsewhere' } });
    await expect(worker().ensure(claim())).rejects.toMatchObject({ failure: { cause: 'InvalidInput' } });
    expect(arm.requestsOf('PUT')).toEqual([]);
  });

  test('scenario 35: in a network of one’s own the pool is in the system pool’s subnet, one at a time', async () => {
    const subnetId = '/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v/subnets/n';
    const cluster = { name: 'aks', resourceGroup: 'kaito', location: 'eastus', subnetId, vnetIsSerial: true };
    const { arm, worker, claim } = await start({ arm: { clusters: [cluster] } });
    const one = worker();
    const [a, b] = [claim({}, {}, 'a'), claim({}, {}, 'b')];
    expect(await Promise.all([one.ensure(a), one.ensure(b)])).toEqual([{ kind: 'acquired' }, { kind: 'acquired' }]);
    expect(bodies(arm).every(({ properties }) => properties['vnetSubnetID'] === subnetId)).toBe(true);
    await Promise.all([one.release(a), one.release(b)]);
    arm.assertInvariants({ nothingLeft: true, comparable: () => '' });
  });

  test.each([true, false])(
    'scenario 36: whether the reservation is used is told (%s)',
    async (associatesReservations) => {
      const group = '/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/capacityReservationGroups/g';
      const { arm, worker, claim } = await start({
        arm: { associatesReservations },
        configuration: { capacityReservations: { [H100]: group } },
      });
      const one = worker();
      expect(await one.ensure(claim({ instanceType: H100 }))).toMatchObject({ kind: 'acquired' });
      expect(bodies(arm)[0]?.properties['capacityReservationGroupID']).toBe(group);
      expect(one.events.some((event) => event.includes('ReservationNotUsed'))).toBe(!associatesReservations);
      await one.release(claim());
      arm.assertInvariants({ nothingLeft: true });
    },
  );
});
