import type { AgentPool } from '@azure/arm-containerservice';

import { POOL_PROPERTIES } from '../../fakes/arm/api-description';
import type { ErrorBody } from '../../fakes/arm/errors';
import { SIZES } from '../../fakes/arm/sizes';
import type { FakeArmOptions, PoolProperties } from '../../fakes/arm/types';
import { ask, at, clientOf, poolPath, useArm } from './arm-support';

/** What the fake refuses, and what it tells of the region. */
const start = useArm();

const GOOD: PoolProperties = { vmSize: 'Standard_NC24ads_A100_v4' };
const FAMILY = 'StandardNCADSA100v4Family';

interface Case {
  readonly properties?: PoolProperties;
  readonly name?: string;
  readonly options?: FakeArmOptions;
  readonly code: string;
  readonly says: RegExp;
}

const SUBNET = '/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v/subnets/s';
const REFUSED: Readonly<Record<string, Case>> = {
  'a name of 13 characters': { name: 'abcdefghijklm', code: 'InvalidParameter', says: /max length of 12/ },
  'a property that the API does not have': { properties: { gpuCount: 1 }, code: 'UnmarshalError', says: /"gpuCount"/ },
  'a text for a number': { properties: { count: '1' as never }, code: 'UnmarshalError', says: /properties.count/ },
  'an unknown word': { properties: { osSKU: 'Debian' }, code: 'InvalidParameter', says: /osSKU.*Debian/ },
  'no size': { properties: { vmSize: undefined as never }, code: 'InvalidParameter', says: /vmSize is missing/ },
  'a retired size': { properties: { vmSize: 'Standard_NC6s_v3' }, code: 'VMSizeNotSupported', says: /NC6s_v3/ },
  'a size that the subscription may not use': {
    options: { sizes: SIZES.map((size) => ({ ...size, ...(size.gpus === 1 && { restricted: 'location' as const }) })) },
    code: 'BadRequest',
    says: /not allowed in your subscription in location 'eastus'/,
  },
  'a zone that the size is not in': {
    properties: { vmSize: 'Standard_ND96isr_H100_v5', availabilityZones: ['1'] },
    code: 'AvailabilityZoneNotSupported',
    says: /zone\(s\) '1'/,
  },
  'a disk that is too large': { properties: { osDiskSizeGB: 4_096 }, code: 'InvalidParameter', says: /osDiskSizeGB/ },
  'an ephemeral disk that does not fit': {
    properties: { osDiskSizeGB: 1_024, osDiskType: 'Ephemeral' },
    code: 'VMCacheSizeTooSmall',
    says: /disable ephemeral OS/,
  },
  'a reserved label': {
    properties: { nodeLabels: { 'kubernetes.azure.com/mode': 'user' } },
    code: 'InvalidParameter',
    says: /reserved/,
  },
  'a label whose value is too long': {
    properties: { nodeLabels: { a: 'x'.repeat(64) } },
    code: 'InvalidParameter',
    says: /at most 63/,
  },
  'a taint without an effect': { properties: { nodeTaints: ['sku=gpu'] }, code: 'InvalidParameter', says: /sku=gpu/ },
  'a tag with a slash': {
    properties: { tags: { 'kaito.sh/owner': 'us' } },
    code: 'InvalidTagNameCharacters',
    says: /kaito\.sh\/owner/,
  },
  'a spot price for a pool that is not spot': {
    properties: { spotMaxPrice: -1 },
    code: 'InvalidParameter',
    says: /spotMaxPrice/,
  },
  'a subnet in a cluster without': {
    properties: { vnetSubnetID: SUBNET },
    code: 'InvalidParameter',
    says: /omit the vnetSubnetID/,
  },
  'no subnet in a cluster with one': {
    options: { clusters: [{ name: 'aks', resourceGroup: 'kaito', location: 'eastus', subnetId: SUBNET }] },
    code: 'InvalidParameter',
    says: /does not have subnet defined/,
  },
};

it.each(Object.entries(REFUSED))('refuses %s', async (_, { properties, name = 'gpu1', options, code, says }) => {
  const arm = await start(options);
  const answer = await ask(arm, 'PUT', poolPath(arm, name), { body: { properties: { ...GOOD, ...properties } } });
  const { error, ...bare } = answer.body as { readonly error?: ErrorBody };
  expect({ status: answer.status, ...(error ?? bare) }).toMatchObject({
    status: 400,
    code,
    message: expect.stringMatching(says) as string,
  });
  expect(arm.pool(name)).toBeUndefined();
});

it('takes every property that the SDK can send, and no property that it cannot', async () => {
  const arm = await start({ clock: 'manual' });
  // The SDK says on the wire what it is told under its own names: every word of the description, with the few that differ.
  const OWN_NAMES: Readonly<Record<string, string>> = { type: 'typePropertiesType', enableFIPS: 'enableFips' };
  const all = Object.fromEntries(
    Object.entries(POOL_PROPERTIES)
      .filter(([, shape]) => shape !== 'readOnly')
      .map(([name, shape]) => [OWN_NAMES[name] ?? name, valueOf(shape)]),
  );
  const wire = await sentBody(arm, { ...all, type: 'VirtualMachineScaleSets' });
  const named = Object.keys(POOL_PROPERTIES).filter((name) => POOL_PROPERTIES[name] !== 'readOnly');
  expect(Object.keys(wire).sort()).toEqual(named.sort());
});

async function sentBody(arm: Awaited<ReturnType<typeof start>>, pool: AgentPool): Promise<Record<string, unknown>> {
  arm.script.on('PUT', 'gpu1').answer({ status: 400, body: { code: 'Seen', message: 'seen' } });
  await clientOf(arm)
    .agentPools.createOrUpdate(...at(arm, 'gpu1'), pool)
    .submitted()
    .catch(() => undefined);
  return (arm.requestsOf('PUT')[0]?.body as { properties: Record<string, unknown> }).properties;
}

function valueOf(shape: unknown): unknown {
  if (shape === 'integer' || shape === 'number') return 1;
  if (shape === 'boolean') return true;
  if (shape === 'strings') return ['a'];
  if (shape === 'texts') return { a: 'b' };
  return shape === 'string' || (typeof shape === 'object' && shape !== null && 'oneOf' in shape) ? 'a' : {};
}

describe('quota', () => {
  it('of a family refuses at once and counts what pools hold', async () => {
    const arm = await start({ clock: 'manual' });
    arm.quota.set(FAMILY, { limit: 60, used: 12 });
    const first = await ask(arm, 'PUT', poolPath(arm, 'gpu1'), { body: { properties: GOOD } });
    const second = await ask(arm, 'PUT', poolPath(arm, 'gpu2'), { body: { properties: { ...GOOD, count: 2 } } });
    expect([first.status, second.status, arm.quota.get(FAMILY).used]).toEqual([201, 400, 36]);
    expect((second.body as ErrorBody).message).toContain(
      `Insufficient vcpu quota requested 48, remaining 24 for family ${FAMILY} for region eastus`,
    );
  });

  it.each([
    ['cores', {}, 'Total Regional Cores quota'],
    ['lowPriorityCores', { scaleSetPriority: 'Spot' }, 'LowPriorityCores quota'],
  ])('of %s fails the operation', async (name, properties, words) => {
    const arm = await start({ clock: 'manual' });
    arm.quota.set(name, { limit: 10 });
    await ask(arm, 'PUT', poolPath(arm, 'gpu1'), { body: { properties: { ...GOOD, ...properties } } });
    await arm.clock.advance(1_000);
    const error = arm.pool('gpu1')?.properties.status?.provisioningError;
    expect(error).toMatchObject({ code: 'QuotaExceeded', details: [{ code: 'OperationNotAllowed' }] });
    expect(error?.message).toContain(words);
  });

  it('and sizes are told by Compute, page by page', async () => {
    const arm = await start({ pageSize: 5 });
    arm.quota.set(FAMILY, { limit: 24, used: 24 });
    const base = `/subscriptions/${arm.subscriptionId}/providers/Microsoft.Compute`;
    const usages = await all(arm, `${base}/locations/eastus/usages?api-version=2024-07-01`);
    expect(usages).toContainEqual(
      expect.objectContaining({
        currentValue: 24,
        limit: 24,
        name: { value: FAMILY, localizedValue: `${FAMILY} vCPUs` },
      }),
    );
    const filter = encodeURIComponent("location eq 'eastus'");
    const skus = await all(arm, `${base}/skus?api-version=2021-07-01&$filter=${filter}`);
    expect(skus).toHaveLength(SIZES.length + 1);
  });
});

async function all(arm: Awaited<ReturnType<typeof start>>, path: string): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const { body } = await ask(arm, 'GET', next);
    const one = body as { value: unknown[]; nextLink?: string };
    found.push(...one.value);
    next = one.nextLink;
  }
  return found;
}

it('lists prices of all kinds, as the filter asks', async () => {
  const arm = await start();
  arm.prices.set('Standard_NC24ads_A100_v4', { regular: 3.67, spot: 1.2 }).set('Standard_D4s_v5', { regular: 0.2 });
  const prices = async (filter: string): Promise<readonly unknown[]> => {
    const { body } = await ask(arm, 'GET', `/api/retail/prices?$filter=${encodeURIComponent(filter)}`);
    return (body as { Items: { skuName: string; retailPrice: number }[] }).Items.map(({ skuName }) => skuName);
  };
  expect(await prices("armSkuName eq 'Standard_D4s_v5' and priceType eq 'Consumption'")).toHaveLength(3);
  expect(await prices("armRegionName eq 'westus'")).toEqual([]);
  const linuxSpot = "contains(skuName, 'Spot') and (armSkuName eq 'a' or armSkuName eq 'Standard_NC24ads_A100_v4')";
  expect(await prices(linuxSpot)).toEqual(['NC24ads A100 v4 Spot', 'NC24ads A100 v4 Spot']);
  expect((await ask(arm, 'GET', '/api/retail/prices?$filter=cheap')).status).toBe(400);
});

it('knows one token, which its endpoint gives', async () => {
  const arm = await start();
  const old = (await arm.credential.getToken()).token;
  arm.rotateToken();
  const withToken = (token: string) =>
    ask(arm, 'GET', poolPath(arm, 'system'), { headers: { authorization: `Bearer ${token}` } });
  expect((await withToken(old)).status).toBe(401);
  const form =
    'grant_type=client_credentials&client_id=c&client_assertion=j&scope=https%3A%2F%2Fmanagement.azure.com%2F.default';
  const given = await ask(arm, 'POST', '/tenant/oauth2/v2.0/token', {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form,
  });
  expect((await withToken((given.body as { access_token: string }).access_token)).status).toBe(200);
});

it('tells the cluster, its state, and what is not there', async () => {
  const arm = await start();
  arm.setCluster({ powerState: 'Stopped' });
  const cluster = await clientOf(arm).managedClusters.get(arm.cluster.resourceGroup, arm.cluster.name);
  expect(cluster).toMatchObject({ provisioningState: 'Succeeded', powerState: { code: 'Stopped' } });
  expect(cluster.agentPoolProfiles?.map(({ name }) => name)).toEqual(['system']);

  const put = await ask(arm, 'PUT', poolPath(arm, 'gpu1'), { body: { properties: GOOD } });
  expect([put.status, (put.body as ErrorBody).message]).toEqual([400, expect.stringContaining('is stopped')]);
  const other = await ask(arm, 'GET', poolPath(arm, 'gpu1').replace('/aks/', '/other/'));
  expect(other).toMatchObject({ status: 404, body: { error: { code: 'ResourceNotFound' } } });
});

describe('invariants', () => {
  it('are broken by two bodies for one name, by touching what is foreign, and by asking for what there is not', async () => {
    const arm = await start({ clock: 'manual' });
    arm.addPool('theirs');
    arm.script.on('PUT', 'gpu1', 1).answer({ status: 500 });
    await ask(arm, 'PUT', poolPath(arm, 'gpu1'), { body: { properties: GOOD } });
    await ask(arm, 'PUT', poolPath(arm, 'gpu1'), { body: { properties: { ...GOOD, count: 3 } } });
    await ask(arm, 'DELETE', poolPath(arm, 'theirs'));
    await ask(arm, 'GET', `${poolPath(arm, 'gpu1').replace('gpu1', 'gpu1/upgradeProfiles/default')}`);
    expect(() => arm.assertInvariants()).toThrow(
      /^3 invariants.*gpu1 was asked for with two bodies.*DELETE on pool theirs.*does not have/s,
    );
  });
});
