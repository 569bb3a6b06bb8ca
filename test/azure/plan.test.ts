import * as answers from '../fakes/arm/errors';
import { A100, bodies, failureOf, FAMILY, H100, useScenarios } from './support';

const start = useScenarios();

describe('the plan, before anything is bought', () => {
  test('scenario 12: quota that is short is told with need and remedy, and noticed when it rises', async () => {
    const { arm, worker, claim } = await start();
    arm.quota.set(FAMILY, { limit: 24, used: 12 });
    const one = worker();
    const failure = failureOf(await one.ensure(claim({ nodeCount: 2 })));
    expect(failure).toEqual({
      cause: 'Quota',
      message: `2 × ${A100} need 48 vCPUs of the quota ${FAMILY} in eastus: 12 are left (limit 24, in use 12)`,
      remedy: `Ask for a limit of 60 or more of ${FAMILY} in eastus (https://aka.ms/AzureQuota), or add a size of another family to resource.instanceTypes.`,
    });
    expect(arm.requests.every(({ method }) => method === 'GET')).toBe(true);

    arm.quota.set(FAMILY, { limit: 60, used: 12 });
    expect(await one.ensure(claim({ nodeCount: 2 }))).toMatchObject({ kind: 'acquired' });
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 12: quota of the region and of spot machines counts, too', async () => {
    const { arm, worker, claim } = await start();
    arm.quota.set('cores', { limit: 30, used: 8 });
    expect(failureOf(await worker().ensure(claim())).message).toContain('24 vCPUs of the quota Total Regional vCPUs');
    arm.quota.set('lowPriorityCores', { limit: 0 });
    const spot = failureOf(await worker().ensure(claim({}, { capacityType: 'spot' })));
    expect(spot.message).toContain('of the quota Total Regional Spot vCPUs in eastus: 0 are left');
    expect(arm.requestsOf('PUT')).toEqual([]);
  });

  test('two Workspaces that want the last machine: one gets it, the other is told', async () => {
    const { arm, worker, claim } = await start();
    arm.quota.set(FAMILY, { limit: 24 });
    const one = worker();
    const ends = await Promise.all([one.ensure(claim({}, {}, 'a')), one.ensure(claim({}, {}, 'b'))]);
    expect(ends.map(({ kind }) => kind).toSorted()).toEqual(['acquired', 'unavailable']);
    expect(arm.pools().filter(({ origin }) => origin === 'client')).toHaveLength(1);
  });

  test.each([
    ['403', answers.forbidden('Microsoft.Compute/locations/usages/read')],
    ['500', answers.internalError()],
  ])(
    'scenario 13: without the list of quotas (%s) the purchase itself tells',
    async (_, refusal) => {
      const { arm, worker, claim } = await start();
      arm.script.on('GET', /\/usages$/).answer(refusal);
      arm.script.on('GET', /\/skus$/).answer(refusal);
      const one = worker();
      expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
      await one.release(claim());
      arm.assertInvariants({ nothingLeft: true });
    },
    90_000,
  );

  test('scenario 13: a list of quotas that is slow is not waited for', async () => {
    const { arm, worker, claim } = await start();
    // Longer than the patience with lists of the region, which is ten seconds.
    const slow = arm.script.on('GET', /\/usages$/).delay(25_000);
    const startedMs = Date.now();
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    expect(slow.hits).toBe(1);
    expect(Date.now() - startedMs).toBeLessThan(20_000);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  const selecting = (matchLabels: object): object => ({ labelSelector: { matchLabels } });
  test('scenario 37: what Azure would refuse is refused before it is asked', async () => {
    const { arm, worker, claim } = await start();
    const invalid = { failure: { cause: 'InvalidInput' } };
    const reserved = claim({}, selecting({ 'kubernetes.azure.com/mode': 'user' }));
    await expect(worker().ensure(reserved)).rejects.toMatchObject(invalid);
    await expect(worker().ensure({ ...claim(), diskGiB: 4_000 })).rejects.toMatchObject(invalid);
    expect(arm.requests).toEqual([]);
  });

  test('scenario 38: a token that was replaced is asked for anew', async () => {
    const { arm, worker, claim } = await start({ arm: { timings: { createMs: 500 } } });
    const one = worker();
    const done = one.ensure(claim());
    await arm.until('the PUT is answered', () => arm.requestsOf('PUT').some(({ status }) => status === 201));
    arm.rotateToken();
    expect(await done).toMatchObject({ kind: 'acquired' });
    expect(arm.requests.filter(({ status }) => status === 401)).toHaveLength(1);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 38: a permission that is missing is named; when it is there, it goes on', async () => {
    const { arm, worker, claim } = await start();
    const action = 'Microsoft.ContainerService/managedClusters/agentPools/write';
    const rule = arm.script.on('PUT', /agentPools/).answer(answers.forbidden(action));
    const remedy: unknown = expect.stringContaining(action);
    await expect(worker().ensure(claim())).rejects.toMatchObject({ failure: { cause: 'Auth', remedy } });
    rule.remove();
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true, comparable: () => '' });
  });

  test('scenario 39: what costs more than allowed is not bought, nor what has no price', async () => {
    const { arm, worker, claim } = await start();
    arm.prices.set(A100, { regular: 3.673, spot: 1.2 });
    const capped = (maxPricePerHour: number, more: object = {}) =>
      claim({ nodeCount: 2 }, { maxPricePerHour, ...more });
    expect(failureOf(await worker().ensure(capped(7))).message).toBe(
      `2 × ${A100} in eastus costs 7.346 USD an hour; resource.maxPricePerHour is 7`,
    );
    const unknown = claim({ instanceType: H100 }, { maxPricePerHour: 100 });
    expect(failureOf(await worker().ensure(unknown)).message).toContain('is not known');
    expect(arm.requestsOf('PUT')).toEqual([]);

    const one = worker();
    const spotFirst = capped(3, { capacityType: 'spot-then-on-demand' });
    expect(await one.ensure(spotFirst)).toMatchObject({ kind: 'acquired' });
    expect(bodies(arm)[0]?.properties['scaleSetPriority']).toBe('Spot');
    await one.release(spotFirst);
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 40: a cluster that is full of pools is told so; many nodes need only one', async () => {
    const { arm, worker, claim } = await start();
    const others = arm.pools().length;
    for (let index = others; index < 99; index += 1) arm.addPool(`np${index}`, { vmSize: A100, count: 0 });
    const one = worker();
    expect(await one.ensure(claim({ nodeCount: 4 }))).toMatchObject({ kind: 'acquired' });
    await expect(one.ensure(claim({}, {}, 'other'))).rejects.toMatchObject({ failure: { cause: 'Quota' } });
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 42: retired, misspelt and oddly written sizes', async () => {
    const { arm, worker, claim } = await start();
    const retired = failureOf(await worker().ensure(claim({ instanceType: 'Standard_NC6s_v3' })));
    expect(retired.message).toMatch(/Azure retired Standard_NC6s_v3 on .*; use .* instead/);
    const misspelt = failureOf(await worker().ensure(claim({ instanceType: 'Standard_ND96asr_A100_v4' })));
    expect(misspelt.message).toContain('similar ones there: Standard_ND96asr_v4');
    expect(arm.requestsOf('PUT')).toEqual([]);
    const one = worker();
    expect(await one.ensure(claim({ instanceType: A100.toLowerCase() }))).toMatchObject({ kind: 'acquired' });
    expect(bodies(arm)[0]?.properties['vmSize']).toBe(A100);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('a cluster that is stopped takes no pools', async () => {
    const { arm, worker, claim } = await start();
    arm.setCluster({ powerState: 'Stopped' });
    await expect(worker().ensure(claim())).rejects.toThrow('cluster aks is Stopped');
    expect(arm.requestsOf('PUT')).toEqual([]);
  });
});
