import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openQuotas } from '../../activities/quotas/limits';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import { CHART, manifests, only, useTools, type Manifest, type Values } from './support';

/** What the chart has for installations that several teams share: quotas, policies of traffic, and what users may do. */
const tools = useTools({ withCluster: false });

async function render(values: Values): Promise<readonly Manifest[]> {
  return manifests(await tools().helm(['template', 'kt', CHART, '--namespace', 'kaito-system'], values));
}

const kinds = (all: readonly Manifest[], kind: string) =>
  all.filter((one) => one.kind === kind).map(({ metadata }) => metadata.name);

it('hands quotas to the worker as it reads them', async () => {
  const quotas = {
    default: { maxMachines: 4 },
    namespaces: { 'team-a': { maxMachines: 1_000_000, maxPricePerHour: 12.5 }, free: {} },
  };
  const all = await render({ quotas });
  const folder = mkdtempSync(path.join(tmpdir(), 'kaito-chart-quotas-'));
  const file = path.join(folder, 'quotas.yaml');
  writeFileSync(
    file,
    (only(all, 'ConfigMap', 'kt-quotas') as unknown as { data: Record<string, string> }).data['quotas.yaml']!,
  );
  const read = openQuotas(file, SILENT_LOGGER);
  rmSync(folder, { recursive: true });

  expect(read.of('team-a')).toEqual(quotas.namespaces['team-a']);
  expect(read.of('free')).toEqual({});
  expect(read.of('other')).toEqual(quotas.default);
  expect(only(all, 'ConfigMap', 'kt-config')).toMatchObject({
    data: { KAITO_QUOTAS_FILE: '/etc/kaito/quotas/quotas.yaml' },
  });
  expect(only(all, 'Deployment', 'kt-worker')).toMatchObject({
    spec: {
      template: {
        spec: {
          containers: [
            {
              volumeMounts: expect.arrayContaining([
                { name: 'quotas', mountPath: '/etc/kaito/quotas', readOnly: true },
              ]) as unknown,
            },
          ],
          volumes: expect.arrayContaining([{ name: 'quotas', configMap: { name: 'kt-quotas' } }]) as unknown,
        },
      },
    },
  });
});

it.each<readonly [Values, string]>([
  [{ quotas: { default: { maxMachine: 4 } } }, 'maxMachine'],
  [{ quotas: { namespaces: { 'team-a': { maxMachines: -1 } } } }, 'maxMachines'],
  [{ quotas: { default: {} }, config: { KAITO_QUOTAS_FILE: '/own' } }, 'both say what namespaces may buy'],
])('refuses %j', async (values, told) => {
  await expect(render(values)).rejects.toThrow(told);
});

it('limits traffic only where that is asked for, and lets the worker make policies only then', async () => {
  const without = await render({});
  expect(kinds(without, 'NetworkPolicy')).toEqual([]);
  expect(kinds(without, 'ClusterRole')).not.toContain('kt-worker-network-policies');

  const all = await render({ networkPolicy: { enabled: true }, config: { KAITO_NETWORK_POLICIES: true } });
  expect(kinds(all, 'NetworkPolicy')).toEqual(['kt-worker', 'kt-bridge', 'kt-temporal']);
  expect(only(all, 'ClusterRole', 'kt-worker-network-policies')).toMatchObject({
    rules: [{ apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['get', 'create', 'patch'] }],
  });
  const outside = { temporal: { address: 'temporal:7233', dev: { enabled: false } }, networkPolicy: { enabled: true } };
  expect(kinds(await render(outside), 'NetworkPolicy')).toEqual(['kt-worker', 'kt-bridge']);
});

it('lets users of a namespace write Workspaces, never their status, and nothing of the cluster', async () => {
  const all = await render({});
  const ofUsers = all.filter(({ kind, metadata }) =>
    Object.keys(kind === 'ClusterRole' ? (metadata.labels ?? {}) : {}).some((label) =>
      label.startsWith('rbac.authorization.k8s.io/aggregate-to-'),
    ),
  );
  expect(ofUsers.length).toBeGreaterThan(0);
  const rules = ofUsers.flatMap((role) => role['rules'] as readonly { readonly resources: readonly string[] }[]);
  expect(new Set(rules.flatMap(({ resources }) => resources))).toEqual(new Set(['workspaces']));
});
