import { differences } from '../../../cli/doctor/differences';
import { neededPermissions } from '../../../cli/doctor/permissions';
import { run } from './io';

test('without a cluster and without Temporal each is told, with what to do', async () => {
  const { code, out } = await run(['doctor', '--kubeconfig', '/nonexistent', '--address', '127.0.0.1:9', '-o', 'json']);
  expect(code).toBe(1);
  expect(JSON.parse(out)).toEqual([
    {
      check: 'cluster',
      result: 'fail',
      message: expect.stringContaining('/nonexistent') as string,
      remedy: 'Name a kubeconfig with --kubeconfig or KUBECONFIG, and one of its contexts with --context.',
    },
    {
      check: 'Temporal',
      result: 'fail',
      message: expect.stringContaining('Temporal at 127.0.0.1:9 does not answer') as string,
      remedy: expect.stringContaining('--address or TEMPORAL_ADDRESS') as string,
    },
  ]);
}, 30_000);

test('what the API server adds is no difference, what it lacks or says otherwise is', () => {
  const wanted = { group: 'kaito.sh', versions: [{ name: 'v1', rules: ['a'] }], unset: undefined };
  expect(
    differences(wanted, { ...wanted, conversion: 'None', versions: [{ name: 'v1', rules: ['a'], more: 1 }] }),
  ).toEqual([]);
  expect(differences(wanted, { group: 'other', versions: [{ name: 'v1', rules: ['b'] }] })).toEqual([
    'spec.group',
    'spec.versions[0].rules[0]',
  ]);
  expect(differences(wanted, { group: 'kaito.sh', versions: [] })).toEqual(['spec.versions']);
  expect(differences(wanted, undefined)).toEqual(['spec']);
});

test('what the roles need is what the chart grants, one permission each', () => {
  expect(neededPermissions('bridge')).toContainEqual({ group: 'kaito.sh', resource: 'workspaces', verb: 'patch' });
  expect(neededPermissions('worker')).toContainEqual({
    group: 'kaito.sh',
    resource: 'workspaces',
    subresource: 'status',
    verb: 'patch',
  });
  expect(neededPermissions('worker')).toContainEqual({
    group: 'apiextensions.k8s.io',
    resource: 'customresourcedefinitions',
    verb: 'get',
    name: 'nodeclaims.karpenter.sh',
  });
});
