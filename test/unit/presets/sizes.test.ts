import { findSize, gpuSizes, migProfile, retiredSizeMessage } from '../../../presets/sizes';

const GIB = 2 ** 30;

test.each([
  ['Standard_NC24ads_A100_v4', 'azure', 1, 80, 'NVIDIA A100', true],
  ['standard_nv72ads_a10_V5', 'azure', 2, 24, 'NVIDIA A10', false],
  ['Standard_NC80adis_H100_v5', 'azure', 2, 94, 'NVIDIA H100', true],
  ['p5en.48xlarge', 'aws', 8, 141, 'NVIDIA H200', true],
  ['Standard_NC16_A2', 'arc', 2, 16, 'NVIDIA A2', false],
  ['Standard_NC6s_v3', 'azure', 1, 16, 'NVIDIA V100', false],
  ['Standard_NC24s_v3', 'azure', 4, 16, 'NVIDIA V100', false],
] as const)('%s is known', (name, cloud, count, gib, product, nvme) => {
  expect(findSize(name)).toMatchObject({
    cloud,
    nvme,
    gpus: { count, memoryBytes: gib * GIB, product, resourceName: 'nvidia.com/gpu' },
  });
});

test('has KAITO’s 57 sizes, the ones it dropped, and no size twice', () => {
  const names = gpuSizes().map((size) => size.instanceType.toLowerCase());
  expect(new Set(names).size).toBe(names.length);
  expect(gpuSizes().filter((size) => size.gpus.product?.startsWith('NVIDIA')).length).toBeGreaterThanOrEqual(90);
});

test('knows that GPUs of other makers are another resource', () => {
  expect(findSize('Standard_NG32ads_V620_v1')?.gpus.resourceName).toBe('amd.com/gpu');
  expect(findSize('trn1.2xlarge')?.gpus.resourceName).toBe('aws.amazon.com/neuron');
});

test('says plainly that a size is retired, and offers sizes that aren’t', () => {
  const size = findSize('Standard_NC6s_v3');
  expect(size && retiredSizeMessage(size)).toBe(
    'Azure retired Standard_NC6s_v3 on 2025-09-30; use Standard_NV36ads_A10_v5 or Standard_NC24ads_A100_v4 instead',
  );
  const offers = gpuSizes().flatMap((retired) => retired.retired?.instead ?? []);
  expect(offers.filter((name) => findSize(name) === undefined || findSize(name)?.retired !== undefined)).toEqual([]);
});

test('a MIG profile is one GPU of its own resource', () => {
  expect(migProfile('1g.12gb')).toEqual({ count: 1, memoryBytes: 12 * GIB, resourceName: 'nvidia.com/mig-1g.12gb' });
  expect(migProfile('9g.1gb')).toBeUndefined();
});
