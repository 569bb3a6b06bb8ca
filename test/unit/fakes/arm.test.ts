import { restorePoller, type RestError } from '@azure/arm-containerservice';

import { clusterBusy, skuNotAvailableInside, throttled } from '../../fakes/arm/errors';
import { allocationFailed, extensionTimedOut, podDrainFailure } from '../../fakes/arm/failures';
import { at, clientOf, GPU_POOL, QUICK, useArm } from './arm-support';

/** The fake, as the real SDK sees it. */
const start = useArm();

async function errorOf(promise: PromiseLike<unknown>): Promise<RestError> {
  return Promise.resolve(promise).then(
    () => {
      throw new Error('it succeeded');
    },
    (error: unknown) => error as RestError,
  );
}

describe('creating a pool', () => {
  it('answers 201 with an operation, and at its end the whole pool', async () => {
    const arm = await start({ retryAfterSeconds: 'none' });
    const client = clientOf(arm);

    const poller = client.agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, { ...QUICK, ifNoneMatch: '*' });
    await poller.submitted();
    expect(arm.pool('gpu1')?.properties.provisioningState).toBe('Creating');
    const pool = await poller;

    expect(arm.requests.map(({ method, status }) => `${method} ${status}`).slice(0, 2)).toEqual(['PUT 201', 'GET 200']);
    expect(pool).toMatchObject({
      ...GPU_POOL,
      provisioningState: 'Succeeded',
      osDiskType: 'Ephemeral',
      osSKU: 'Ubuntu',
    });
    expect(pool.eTag).toMatch(/^[0-9a-f-]{36}$/);
    expect(arm.pool('gpu1')?.nodes).toHaveLength(2);
    arm.assertInvariants();
  });

  it('lets another process finish the poll', async () => {
    const arm = await start({ clock: 'manual', retryAfterSeconds: 'none' });
    const poller = clientOf(arm).agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK);
    await poller.submitted();
    const saved = await poller.serialize();

    await arm.clock.advance(200);
    const other = clientOf(arm);
    const restored = restorePoller(other, saved, other.agentPools.createOrUpdate, QUICK);

    expect((await restored.pollUntilDone()).provisioningState).toBe('Succeeded');
    expect(arm.requestsOf('PUT')).toHaveLength(1);
  });

  it('fails with the nested cause in the pool, which stays and holds its quota', async () => {
    const arm = await start({ retryAfterSeconds: 'none' });
    arm.operations.on('create', 'gpu1').fails(allocationFailed());
    const client = clientOf(arm);
    const before = arm.quota.get('StandardNCADSA100v4Family').used;

    const error = await errorOf(client.agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK));

    expect(error.message).toMatch(/ReconcileVMSSAgentPoolFailed/);
    const pool = await client.agentPools.get(...at(arm, 'gpu1'));
    expect(pool.provisioningState).toBe('Failed');
    expect(pool.status?.provisioningError?.details?.[0]?.code).toBe('AllocationFailed');
    expect(arm.quota.get('StandardNCADSA100v4Family').used).toBe(before + 48);
    expect(() => arm.assertInvariants({ nothingLeft: true })).toThrow('pool gpu1 is left, in state Failed');

    await client.agentPools.delete(...at(arm, 'gpu1'), QUICK);
    expect(arm.quota.get('StandardNCADSA100v4Family').used).toBe(before);
    arm.assertInvariants({ nothingLeft: true });
  });

  it('tells of the failure in the pool alone, where no header names an operation', async () => {
    const arm = await start({ retryAfterSeconds: 'none', operationHeader: 'none' });
    arm.operations.on('create', /gpu/, 1).fails(extensionTimedOut());
    const client = clientOf(arm);

    await errorOf(client.agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK));
    expect(arm.requests.every(({ path }) => !path.includes('/operations/'))).toBe(true);
    expect(arm.pool('gpu1')?.properties.status?.provisioningError?.code).toBe('ReconcileVMSSAgentPoolFailed');

    expect((await client.agentPools.createOrUpdate(...at(arm, 'gpu2'), GPU_POOL, QUICK)).provisioningState).toBe(
      'Succeeded',
    );
  });

  it('forgets operations, after which their address answers 404', async () => {
    const arm = await start({ clock: 'manual', retryAfterSeconds: 'none', timings: { operationRecordMs: 1_000 } });
    const client = clientOf(arm);
    const poller = client.agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK);
    await poller.submitted();

    await arm.clock.advance(2_000);

    expect((await errorOf(poller)).statusCode).toBe(404);
    expect((await client.agentPools.get(...at(arm, 'gpu1'))).provisioningState).toBe('Succeeded');
  });
});

describe('conflicts', () => {
  it('refuses a second creation: 412 with If-None-Match, else 409', async () => {
    const arm = await start({ clock: 'manual' });
    const { agentPools } = clientOf(arm);
    await agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK).submitted();

    const again = await errorOf(
      agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, { ...QUICK, ifNoneMatch: '*' }).submitted(),
    );
    expect([again.statusCode, again.code]).toEqual([412, 'PreconditionFailed']);

    const plain = await errorOf(agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK).submitted());
    expect([plain.statusCode, plain.code]).toEqual([409, 'OperationNotAllowed']);
    expect(plain.message).toContain("there's an in progress create node pool operation");
  });

  it('locks the whole cluster, where told so, and during operations of the cluster', async () => {
    const arm = await start({ clock: 'manual', locks: 'cluster' });
    const { agentPools } = clientOf(arm);
    await agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK).submitted();
    const other = await errorOf(agentPools.createOrUpdate(...at(arm, 'gpu2'), GPU_POOL, QUICK).submitted());
    expect(other.message).toContain('Another agentpool operation (gpu1 - Creating) is in progress');
    await arm.clock.advance(200);

    const end = arm.beginClusterOperation('Updating');
    const busy = await errorOf(agentPools.createOrUpdate(...at(arm, 'gpu2'), GPU_POOL, QUICK).submitted());
    expect([busy.statusCode, busy.message]).toEqual([
      409,
      (clusterBusy('Updating').body as { message: string }).message,
    ]);
    end();
    await agentPools.createOrUpdate(...at(arm, 'gpu2'), GPU_POOL, QUICK).submitted();
    expect(arm.pool('gpu2')?.properties.provisioningState).toBe('Creating');
  });

  it('changes a pool only for who knows its etag, and not what cannot change', async () => {
    const arm = await start({ retryAfterSeconds: 'none' });
    const { agentPools } = clientOf(arm);
    const pool = await agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK);
    const ifMatch = pool.eTag ?? '';
    arm.changePool('gpu1', { count: 1 });

    const stale = await errorOf(
      agentPools.createOrUpdate(...at(arm, 'gpu1'), { ...GPU_POOL, count: 4 }, { ...QUICK, ifMatch }),
    );
    expect([stale.statusCode, stale.code]).toEqual([412, 'PreconditionFailed']);

    const current = (await agentPools.get(...at(arm, 'gpu1'))).eTag ?? '';
    const grown = { ...GPU_POOL, count: 4 };
    expect((await agentPools.createOrUpdate(...at(arm, 'gpu1'), grown, { ...QUICK, ifMatch: current })).count).toBe(4);
    expect(arm.pool('gpu1')?.nodes).toHaveLength(4);

    const resized = { ...GPU_POOL, vmSize: 'Standard_NC48ads_A100_v4' };
    expect((await errorOf(agentPools.createOrUpdate(...at(arm, 'gpu1'), resized, QUICK))).code).toBe(
      'PropertyChangeNotAllowed',
    );
  });
});

describe('throttling', () => {
  it('empties its bucket, says how long, and takes the request after that', async () => {
    const arm = await start({ buckets: { burst: 1, perMinute: 60 }, retryAfterSeconds: 'none' });
    const { agentPools } = clientOf(arm, 1);
    await agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK).submitted();
    await agentPools.createOrUpdate(...at(arm, 'gpu2'), GPU_POOL, QUICK).submitted();

    expect(arm.requestsOf('PUT').map(({ status }) => status)).toEqual([201, 429, 201]);
    expect(arm.requestsOf('PUT')[1]?.retryAfterSeconds).toBe(1);
    arm.assertInvariants({ mayBeThrottled: true });
    expect(() => arm.assertInvariants()).toThrow('was more than the bucket holds');
  });

  it.each([
    ['seconds', { seconds: 36 }, '36'],
    ['a date', { dateMsFromNow: 36_000 }, expect.stringMatching(/ GMT$/)],
    ['nothing', 'absent', undefined],
  ] as const)('can be scripted with Retry-After as %s', async (_, retryAfter, header) => {
    const arm = await start();
    const rule = arm.script.on('PUT', 'gpu1', 1).answer(throttled(retryAfter));
    const error = await errorOf(
      clientOf(arm)
        .agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK)
        .submitted(),
    );
    expect([error.statusCode, error.code, error.response?.headers.get('retry-after')]).toEqual([
      429,
      'Throttled',
      header,
    ]);
    await rule.met();
    expect(arm.pool('gpu1')).toBeUndefined();
  });

  it('knows a client that does not wait, unless its process was killed in between', async () => {
    const arm = await start();
    arm.script.on('PUT', 'gpu1', [1, 2]).answer(throttled({ seconds: 30 }));
    const { agentPools } = clientOf(arm);
    const put = () => agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK).submitted();
    await errorOf(put());
    arm.clientRestarted();
    await errorOf(put());
    arm.assertInvariants();
    await put();
    expect(() => arm.assertInvariants()).toThrow(/PUT .*gpu1 came \d+ ms before Retry-After allowed it/);
  });
});

describe('deleting a pool', () => {
  it('takes over a creation, or refuses while it runs', async () => {
    for (const mode of ['accepted', 'refused'] as const) {
      const arm = await start({ deleteWhileCreating: mode, retryAfterSeconds: 'none' });
      const { agentPools } = clientOf(arm);
      const creation = agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK);
      await creation.submitted();
      const deletion = Promise.resolve(agentPools.delete(...at(arm, 'gpu1'), QUICK));
      if (mode === 'refused') {
        expect((await errorOf(deletion)).statusCode).toBe(409);
        expect((await creation).provisioningState).toBe('Succeeded');
        continue;
      }
      const canceled = errorOf(creation);
      await deletion;
      expect((await canceled).message).toContain('canceled');
      expect((await errorOf(agentPools.get(...at(arm, 'gpu1')))).statusCode).toBe(404);
      arm.assertInvariants({ nothingLeft: true });
    }
  });

  it('is blocked by budgets of pods until told to ignore them, and succeeds for what is gone', async () => {
    const arm = await start({ retryAfterSeconds: 'none' });
    const { agentPools } = clientOf(arm);
    await agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK);
    arm.operations.on('delete', 'gpu1').fails(podDrainFailure());

    expect((await errorOf(agentPools.delete(...at(arm, 'gpu1'), QUICK))).message).toContain(
      'DeleteVMSSAgentPoolFailed',
    );
    expect(arm.pool('gpu1')?.properties.status?.provisioningError?.details?.[0]?.code).toBe('PodDrainFailure');

    await agentPools.delete(...at(arm, 'gpu1'), { ...QUICK, ignorePodDisruptionBudget: true });
    await agentPools.delete(...at(arm, 'gpu1'), QUICK);
    expect(arm.requestsOf('DELETE').map(({ status }) => status)).toEqual([202, 202, 204]);
  });

  it('aborts what runs, and only that', async () => {
    const arm = await start({ retryAfterSeconds: 'none' });
    arm.operations.on('create', 'gpu1').neverEnds();
    const { agentPools } = clientOf(arm);
    await agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK).submitted();
    await agentPools.abortLatestOperation(...at(arm, 'gpu1'), QUICK);
    expect(arm.pool('gpu1')?.properties.provisioningState).toBe('Canceled');
    expect((await errorOf(agentPools.abortLatestOperation(...at(arm, 'gpu1'), QUICK))).statusCode).toBe(409);
  });
});

describe('scripted requests', () => {
  it('cuts the connection before or after the effect', async () => {
    const arm = await start({ clock: 'manual' });
    arm.script.on('PUT', 'before').reset();
    arm.script.on('PUT', 'after').resetAfterEffect();
    const { agentPools } = clientOf(arm);
    for (const name of ['before', 'after']) {
      const error = await errorOf(agentPools.createOrUpdate(...at(arm, name), GPU_POOL, QUICK).submitted());
      expect([error.code, error.statusCode]).toEqual(['ECONNRESET', undefined]);
    }
    expect(arm.pools().map(({ name }) => name)).toEqual(['system', 'after']);
  });

  it('answers what the service answers, with causes where they are hard to find', async () => {
    const arm = await start();
    arm.script.on('PUT', /agentPools/).answer(skuNotAvailableInside('Standard_NC24ads_A100_v4', 'eastus'));
    const error = await errorOf(
      clientOf(arm)
        .agentPools.createOrUpdate(...at(arm, 'gpu1'), GPU_POOL, QUICK)
        .submitted(),
    );
    expect([error.statusCode, error.code]).toEqual([400, 'PreconditionFailed']);
    expect(JSON.parse(error.message)).toMatchObject({ error: { code: 'SkuNotAvailable' } });
  });
});

it('lists in pages, and fails in the middle where told so', async () => {
  const arm = await start({ pageSize: 2 });
  for (let n = 1; n <= 4; n += 1) arm.addPool(`other${n}`);
  const { agentPools } = clientOf(arm);
  const list = async (): Promise<readonly (string | undefined)[]> => {
    const names: (string | undefined)[] = [];
    for await (const { name } of agentPools.list(arm.cluster.resourceGroup, arm.cluster.name)) names.push(name);
    return names;
  };
  expect(await list()).toEqual(['other1', 'other2', 'other3', 'other4', 'system']);
  expect(arm.requestsOf('GET', /agentPools$/)).toHaveLength(3);

  arm.script
    .on('GET', /agentPools$/, 2)
    .answer({ status: 500, body: { error: { code: 'InternalServerError', message: 'no' } } });
  expect((await errorOf(list())).statusCode).toBe(500);
});
