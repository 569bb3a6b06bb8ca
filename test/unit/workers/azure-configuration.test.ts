import { readConfiguration } from '../../../workers/configuration';

const place = {
  KAITO_AZURE_SUBSCRIPTION_ID: 'S',
  KAITO_AZURE_RESOURCE_GROUP: 'Group',
  KAITO_AZURE_CLUSTER_NAME: 'cluster',
  KAITO_AZURE_LOCATION: 'eastus',
};

test('without a cluster there is no provider of agent pools', () => {
  const { azure, machines, workload } = readConfiguration({});
  expect(azure).toBeUndefined();
  expect(machines.buyer).toBe('karpenter');
  expect(workload.cloud).toBe('other');
});

test('a cluster that is named is released from, and bought in where that is asked for', () => {
  expect(readConfiguration(place)).toMatchObject({
    azure: { clusterId: 's/group/cluster', location: 'eastus', priceEndpoint: 'https://prices.azure.com' },
    machines: { buyer: 'karpenter' },
  });
  const buying = readConfiguration({ ...place, KAITO_MACHINES: 'azure', KAITO_AZURE_PRICE_ENDPOINT: 'none' });
  expect(buying).toMatchObject({ machines: { buyer: 'azure' }, workload: { cloud: 'azure' } });
  expect(buying.azure).not.toHaveProperty('priceEndpoint');
});

test('reserved capacity is named by size', () => {
  const id = '/subscriptions/S/resourceGroups/g/providers/Microsoft.Compute/capacityReservationGroups/r';
  const { azure } = readConfiguration({
    ...place,
    KAITO_AZURE_CAPACITY_RESERVATIONS: `Standard_NC24ads_A100_v4=${id}`,
  });
  expect(azure?.capacityReservations).toEqual({ Standard_NC24ads_A100_v4: id });
  expect(() => readConfiguration({ ...place, KAITO_AZURE_CAPACITY_RESERVATIONS: 'r' })).toThrow(
    /KAITO_AZURE_CAPACITY_RESERVATIONS\S*: 'r' is not SIZE=RESOURCE-ID/,
  );
});

test.each([
  [{ KAITO_MACHINES: 'azure' }, /KAITO_AZURE_SUBSCRIPTION_ID: is not set, but KAITO_MACHINES is azure/],
  [{ KAITO_AZURE_LOCATION: 'eastus' }, /KAITO_AZURE_CLUSTER_NAME: is not set, but the others are set/],
  [{ ...place, KAITO_AZURE_PUT_PER_MINUTE: '0' }, /KAITO_AZURE_PUT_PER_MINUTE/],
])('%j is refused', (environment, problem) => {
  expect(() => readConfiguration(environment)).toThrow(problem);
});
