import * as answers from '../fakes/arm/errors';
import * as failures from '../fakes/arm/failures';
import { A100, bodies, failureOf, useScenarios, WITHOUT_TIME } from './support';

const start = useScenarios();

describe('an agent pool', () => {
  test.each([1, 4])('scenario 1: %d machines are one pool, and usable when all their GPUs are', async (nodeCount) => {
    const { arm, worker, claim, world } = await start();
    const one = worker();
    const wanted = claim({ nodeCount });
    expect(await one.ensure(wanted)).toMatchObject({ kind: 'acquired' });

    const [body] = bodies(arm);
    const { tags, nodeLabels, ...properties } = body?.properties ?? {};
    expect(properties).toEqual({
      type: 'VirtualMachineScaleSets',
      mode: 'User',
      vmSize: A100,
      count: nodeCount,
      osType: 'Linux',
      osSKU: 'Ubuntu',
      osDiskSizeGB: 64,
      nodeTaints: ['sku=gpu:NoSchedule'],
    });
    expect(tags).toMatchObject({
      'kaito-owner': 'kaito-temporal',
      'kaito-workspace-uid': wanted.workspace.metadata.uid,
    });
    expect(nodeLabels).toMatchObject({ 'kaito.sh/workspace': 'phi', 'kaito.sh/machine-type': 'gpu', apps: 'phi' });
    expect(arm.requestsOf('PUT')[0]?.headers).toMatchObject({ 'if-none-match': '*' });
    const { namespace, name } = wanted.workspace.metadata;
    const nodes = world
      .owned({ namespace, name })
      .nodes()
      .filter(({ metadata }) => metadata.labels?.['kaito.sh/workspace-uid'] === wanted.workspace.metadata.uid);
    expect(nodes.map(({ status }) => status?.allocatable?.['nvidia.com/gpu'])).toEqual(Array(nodeCount).fill('1'));

    // What is there already is not bought again.
    expect(await worker().ensure(wanted)).toMatchObject({ kind: 'acquired' });
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    await one.release(wanted);
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 2: the pool of a worker that died after the PUT is taken over', async () => {
    const { arm, worker, claim } = await start({ arm: { timings: { createMs: 600 } } });
    const dead = worker();
    const dying = dead.ensure(claim());
    await arm.until('the PUT is answered', () => arm.requestsOf('PUT').some(({ status }) => status === 201));
    dead.kill();
    await expect(dying).rejects.toThrow('the worker was killed');
    const next = worker();
    expect(await next.ensure(claim())).toMatchObject({ kind: 'acquired' });
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    await next.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test.each([true, false])(
    'scenario 3: an answer that got lost does not buy twice (If-None-Match heeded: %s)',
    async (honoursIfNoneMatch) => {
      const { arm, worker, claim } = await start({ arm: { honoursIfNoneMatch } });
      const lost = arm.script.on('PUT', /agentPools/, 1).resetAfterEffect();
      const one = worker();
      expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
      expect(lost.hits).toBe(1);
      expect(arm.requestsOf('PUT')).toHaveLength(1);
      await one.release(claim());
      arm.assertInvariants({ nothingLeft: true });
    },
  );

  test('scenario 3: a request that never arrived is sent again', async () => {
    const { arm, worker, claim } = await start();
    arm.script.on('PUT', /agentPools/, 1).reset();
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    expect(arm.requestsOf('PUT')).toHaveLength(2);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 4: a worker that dies while it follows the operation is replaced without another PUT', async () => {
    const { arm, worker, claim } = await start({ arm: { timings: { createMs: 600 } } });
    const dead = worker();
    const dying = dead.ensure(claim());
    await arm.until('the operation was read twice', () => arm.requestsOf('GET', /operations/).length >= 2);
    dead.kill();
    await expect(dying).rejects.toThrow('the worker was killed');
    const next = worker();
    expect(await next.ensure(claim())).toMatchObject({ kind: 'acquired' });
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    await next.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 5: an operation whose record is gone is concluded from the pool', async () => {
    const { arm, worker, claim } = await start({ arm: { timings: { createMs: 400 } } });
    arm.script.on('GET', /\/operations\//).answer(answers.notFound('NotFound', 'The entity was not found.'));
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 5: … and so is one that failed', async () => {
    const { arm, worker, claim } = await start();
    arm.operations.on('create', /./).fails(failures.allocationFailed());
    arm.script.on('GET', /\/operations\//).answer(answers.notFound('NotFound', 'The entity was not found.'));
    expect(failureOf(await worker().ensure(claim())).message).toContain('AllocationFailed');
    arm.assertInvariants({ nothingLeft: true });
  });

  test.each(['location', 'none'] as const)('progress is told by %s', async (operationHeader) => {
    const { arm, worker, claim } = await start({ arm: { operationHeader } });
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test('scenario 22: two workers that begin the same buy one pool', async () => {
    const { arm, worker, claim } = await start();
    const [one, other] = [worker(), worker()];
    const ends = await Promise.allSettled([one.ensure(claim()), other.ensure(claim())]);
    // Whoever asks later takes the former's place over; what was bought is one pool all the same.
    expect(ends.some((end) => end.status === 'fulfilled' && end.value.kind === 'acquired')).toBe(true);
    expect(arm.pools().filter(({ origin }) => origin === 'client')).toHaveLength(1);
    await other.release(claim());
    arm.assertInvariants({ nothingLeft: true, ...WITHOUT_TIME });
  });

  test('scenario 23: a pool of somebody else that has the name is left alone', async () => {
    const { arm, worker, claim } = await start();
    const first = worker();
    await first.ensure(claim());
    const [name = ''] = arm
      .pools()
      .filter(({ origin }) => origin === 'client')
      .map((pool) => pool.name);
    await first.release(claim());
    arm.addPool(name, { vmSize: A100, count: 1, nodeLabels: { 'kaito.sh/workspace': 'phi' } });

    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    const bought = arm.pools().filter(({ origin }) => origin === 'client');
    expect(bought.map((pool) => pool.name)).not.toContain(name);
    await one.release(claim());
    expect(arm.pool(name)).toBeDefined();
  });

  test('scenario 24: a pool with our labels but without our tags is never released', async () => {
    const { arm, worker, claim } = await start();
    const wanted = claim();
    arm.addPool('copied', {
      vmSize: A100,
      count: 1,
      nodeLabels: { 'kaito.sh/workspace': 'phi', 'kaito.sh/workspace-uid': wanted.workspace.metadata.uid },
    });
    await worker().release(wanted);
    expect(arm.pool('copied')).toBeDefined();
    arm.assertInvariants();
  });

  test('scenario 34: the number of nodes follows, whoever changes the pool meanwhile', async () => {
    const { arm, worker, claim } = await start();
    const one = worker();
    await one.ensure(claim({ nodeCount: 2 }));
    arm.script.on('PUT', /agentPools/, 1).answer(answers.preconditionFailed('the etag differs'));
    expect(await one.ensure(claim({ nodeCount: 4 }))).toMatchObject({ kind: 'acquired' });
    const [pool] = arm.pools().filter(({ origin }) => origin === 'client');
    expect(pool?.properties.count).toBe(4);
    expect(pool?.properties.tags).toMatchObject({ 'kaito-workspace-name': 'phi' });
    expect(
      arm
        .requestsOf('PUT')
        .slice(1)
        .map(({ headers }) => headers['if-match']),
    ).not.toContain(undefined);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });

  test.each(['Failed', 'Upgrading'])(
    'a pool whose machines are usable is kept, though Azure calls it %s',
    async (state) => {
      const { arm, worker, claim } = await start();
      const one = worker();
      await one.ensure(claim());
      const [pool] = arm.pools().filter(({ origin }) => origin === 'client');
      arm.changePool(pool?.name ?? '', { provisioningState: state });
      expect(await worker().ensure(claim())).toMatchObject({ kind: 'acquired' });
      expect(arm.requests.filter(({ method }) => method !== 'GET')).toHaveLength(1);
      await one.release(claim());
      arm.assertInvariants({ nothingLeft: true });
    },
  );

  test('scenario 41: states that nobody has heard of mean that Azure is at it', async () => {
    const { arm, worker, claim } = await start({ arm: { operationHeader: 'none', timings: { createMs: 600 } } });
    const odd: (string | null)[] = ['Migrating', null, 'creating'];
    arm.script.on('GET', /agentPools\/[^/]+$/).alter((answer) => {
      if (odd.length === 0 || answer.status !== 200) return answer;
      const body = answer.body as { properties: object };
      return { ...answer, body: { ...body, properties: { ...body.properties, provisioningState: odd.shift() } } };
    });
    const one = worker();
    expect(await one.ensure(claim())).toMatchObject({ kind: 'acquired' });
    expect(odd).toEqual([]);
    await one.release(claim());
    arm.assertInvariants({ nothingLeft: true });
  });
});
