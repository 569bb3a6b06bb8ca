import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openQuotas } from '../../activities/quotas/limits';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import { rulesOf as rulesOfFile } from '../security/roles';
import { CHART, manifests, only, useTools, type Manifest, type Values } from './support';

/** What the chart has for installations that several teams share: quotas, policies of traffic, and what users may do. */
const tools = useTools({ withCluster: false });

async function render(values: Values): Promise<readonly Manifest[]> {
  return manifests(await tools().helm(['template', 'kt', CHART, '--namespace', 'kaito-system'], values));
}

interface Rule {
  readonly resources: readonly string[];
}
const rulesOf = (all: readonly Manifest[], name: string) => only(all, 'ClusterRole', name)['rules'] as readonly Rule[];

/** Names of all roles, of the cluster and of namespaces, that allow something of a resource. */
const rolesWith = (resource: string, all: readonly Manifest[]) =>
  all
    .filter(({ kind }) => ['ClusterRole', 'Role'].includes(kind))
    .filter(({ rules }) =>
      (rules as readonly Rule[]).some(({ resources }) => resources.some((one) => [resource, '*'].includes(one))),
    )
    .map(({ metadata }) => metadata.name);

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
  [{ rbac: { secretNamespaces: ['Team A'] } }, 'secretNamespaces'],
  [{ rbac: { secretNamespaces: 'team-a' } }, 'secretNamespaces'],
  [{ quotas: { default: {} }, config: { KAITO_QUOTAS_FILE: '/own' } }, 'both say what namespaces may buy'],
])('refuses %j', async (values, told) => {
  await expect(render(values)).rejects.toThrow(told);
});

it('limits traffic only where that is asked for, and lets the worker make policies only then', async () => {
  const without = await render({ temporal: { dev: { networkPolicy: false } } });
  expect(kinds(without, 'NetworkPolicy')).toEqual([]);
  expect(rolesWith('networkpolicies', without)).toEqual([]);

  const all = await render({ networkPolicy: { enabled: true }, config: { KAITO_NETWORK_POLICIES: true } });
  expect(kinds(all, 'NetworkPolicy')).toEqual(['kt-worker', 'kt-bridge', 'kt-temporal']);
  expect(rolesWith('networkpolicies', all)).toEqual(['kt-worker']);
  const outside = { temporal: { address: 'temporal:7233', dev: { enabled: false } }, networkPolicy: { enabled: true } };
  expect(kinds(await render(outside), 'NetworkPolicy')).toEqual(['kt-worker', 'kt-bridge']);
});

it('lets only its own pods reach the Temporal server that asks nobody who they are, unless told otherwise', async () => {
  const all = await render({});
  expect(kinds(all, 'NetworkPolicy')).toEqual(['kt-temporal']);
  const { spec } = only(all, 'NetworkPolicy', 'kt-temporal') as unknown as {
    spec: { policyTypes: unknown; ingress: { from?: { podSelector: { matchLabels: Record<string, string> } }[] }[] };
  };
  expect(spec).toMatchObject({
    podSelector: { matchLabels: { 'app.kubernetes.io/component': 'temporal', 'app.kubernetes.io/instance': 'kt' } },
    policyTypes: ['Ingress'],
    ingress: [{ ports: [{ port: 'grpc' }] }, { ports: [{ port: 'metrics' }] }],
  });
  expect('egress' in spec).toBe(false);
  expect(
    spec.ingress[0]?.from?.map(({ podSelector }) => podSelector.matchLabels['app.kubernetes.io/component']),
  ).toEqual(['worker', 'bridge']);

  const outside = { temporal: { address: 'temporal:7233', dev: { enabled: false } } };
  expect(kinds(await render(outside), 'NetworkPolicy')).toEqual([]);
});

it('grants the worker and the bridge exactly the rules of their files where nothing is left out', async () => {
  const all = await render({ rbac: { aggregate: false }, config: { KAITO_NETWORK_POLICIES: 'true' } });
  expect(kinds(all, 'ClusterRole').toSorted()).toEqual(['kt-bridge', 'kt-worker']);
  for (const role of ['worker', 'bridge'] as const) expect(rulesOf(all, `kt-${role}`)).toEqual(rulesOfFile(role));
});

describe('Secrets', () => {
  const secrets = { apiGroups: [''], resources: ['secrets'], verbs: ['get'] };

  it('may be read by the worker in all namespaces unless some are named', async () => {
    const all = await render({});

    expect(rulesOf(all, 'kt-worker')).toContainEqual(secrets);
    expect(kinds(all, 'RoleBinding')).toEqual([]);
  });

  it('are granted in the named namespaces alone, and nothing else changes', async () => {
    const everywhere = await render({});
    const all = await render({ rbac: { secretNamespaces: ['team-a', 'team-b', 'team-a'] } });

    expect(rulesOf(all, 'kt-worker')).toEqual(
      rulesOf(everywhere, 'kt-worker').filter(({ resources }) => !resources.includes('secrets')),
    );
    expect(rulesOf(all, 'kt-worker-secrets')).toEqual([secrets]);
    const bindings = all.filter(({ kind }) => kind === 'RoleBinding');
    expect(bindings.map(({ metadata }) => [metadata.name, metadata.namespace])).toEqual([
      ['kt-worker-secrets', 'team-a'],
      ['kt-worker-secrets', 'team-b'],
    ]);
    for (const binding of bindings) {
      expect(binding).toMatchObject({
        roleRef: { kind: 'ClusterRole', name: 'kt-worker-secrets' },
        subjects: [{ kind: 'ServiceAccount', name: 'kt-worker', namespace: 'kaito-system' }],
      });
    }
    expect(kinds(all, 'ClusterRoleBinding')).toEqual(kinds(everywhere, 'ClusterRoleBinding'));
    expect(rulesOf(all, 'kt-bridge')).toEqual(rulesOf(everywhere, 'kt-bridge'));
  });

  it('of no namespace are granted where the roles are somebody else’s', async () => {
    const all = await render({ rbac: { create: false, secretNamespaces: ['team-a'] } });

    expect(kinds(all, 'RoleBinding')).toEqual([]);
  });
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
