import type { Dependencies } from '../../../activities/dependencies';
import { readConfigMap } from '../../../activities/plan/references';
import { CauseError } from '../../../api/causes';

const at = { namespace: 'team', name: 'options', key: 'inference_config.yaml', field: 'inference.config' };

function read(data: Readonly<Record<string, string>>): Promise<unknown> {
  const client = {
    get: async () => ({ metadata: { resourceVersion: '7' }, data }),
  } as unknown as Dependencies['client'];
  return readConfigMap({ client } as Dependencies, at, new AbortController().signal);
}

test('a ConfigMap is read with its version and the hash of its text', async () => {
  expect(await read({ 'inference_config.yaml': 'vllm: {}' })).toEqual({
    text: 'vllm: {}',
    hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    source: { name: 'options', resourceVersion: '7' },
  });
});

test.each([
  [0, 'no keys'],
  [2, 'k0, k1'],
  [10_000, 'k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, 9990 more'],
])('one that lacks the key says which of its %i it has, as far as there is room', async (count, told) => {
  const keys = Array.from({ length: count }, (_, i) => [`k${i}`, '']);
  const reading = read(Object.fromEntries(keys) as Record<string, string>);
  await expect(reading).rejects.toThrow(CauseError);
  await expect(reading).rejects.toThrow(
    `inference.config: ConfigMap 'options' lacks the key inference_config.yaml; it has ${told}`,
  );
});
