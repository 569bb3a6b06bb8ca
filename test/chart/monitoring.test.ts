import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { CHART, VALUE_SETS, manifests, only, useTools, type Manifest, type Values } from './support';

/** What the chart has for Prometheus and Grafana. */
const tools = useTools({ withCluster: false });

interface Pod {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly containers: readonly { readonly ports?: readonly { name: string; containerPort: number }[] }[];
  };
}

interface Selector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly { key: string; operator: string; values: readonly string[] }[];
}

interface PodMonitor extends Manifest {
  readonly spec: { readonly selector: Selector; readonly podMetricsEndpoints: readonly { readonly port: string }[] };
}

async function render(values: Values): Promise<readonly Manifest[]> {
  return manifests(await tools().helm(['template', 'kt', CHART, '--namespace', 'kaito-system'], values));
}

function read(...names: readonly string[]): string {
  return readFileSync(path.join(CHART, ...names), 'utf8');
}

/** The pods of the release, by the name of what makes them. */
function podsOf(all: readonly Manifest[]): Readonly<Record<string, Pod>> {
  const made = all.filter(({ kind }) => ['Deployment', 'StatefulSet', 'Job'].includes(kind));
  return Object.fromEntries(
    made.map(({ metadata, spec }) => [metadata.name, (spec as { readonly template: Pod }).template]),
  );
}

function selects({ matchLabels, matchExpressions }: Selector, { metadata: { labels } }: Pod): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      if (operator !== 'In') throw new Error(`unknown operator ${operator}`);
      return values.includes(labels[key] ?? '');
    })
  );
}

it('has nothing of it unless that is asked for', async () => {
  const all = await render({});

  expect(all.filter(({ apiVersion }) => apiVersion.startsWith('monitoring.coreos.com/'))).toEqual([]);
  expect(all.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'monitoring')).toEqual([]);
});

it.each<readonly [string, Values, string]>([
  ['as the release is named', {}, 'kt'],
  ['by another name', { nameOverride: 'other', fullnameOverride: 'named' }, 'named'],
  ['with a Job beside them', { config: { KAITO_WORKER_VERSIONING: true } }, 'kt'],
])('reads the metrics of every worker and bridge, and of nothing else: %s', async (_, more, name) => {
  const all = await render({ ...VALUE_SETS['monitoring'], ...more });

  const { spec } = only(all, 'PodMonitor', name) as PodMonitor;
  const pods = podsOf(all);
  const read = Object.keys(pods).filter((of) => selects(spec.selector, pods[of]!));
  expect(read.sort()).toEqual([`${name}-bridge`, `${name}-worker`]);
  expect(Object.keys(pods)).toContain(`${name}-temporal`);
  for (const { port } of spec.podMetricsEndpoints) {
    for (const of of read) {
      const found = pods[of]!.spec.containers.flatMap(({ ports = [] }) => ports).filter((one) => one.name === port);
      expect(found).toHaveLength(1);
    }
  }
});

it('says how often, where, and by which labels a Prometheus finds it', async () => {
  const all = await render(VALUE_SETS['monitoring'] ?? {});

  expect(only(all, 'PodMonitor', 'kt')).toMatchObject({
    metadata: { namespace: 'kaito-system', labels: { release: 'prometheus', 'app.kubernetes.io/instance': 'kt' } },
    spec: { podMetricsEndpoints: [{ port: 'http', path: '/metrics', interval: '15s' }] },
  });
  expect(podsOf(all)['kt-worker']?.spec.containers[0]?.ports).toEqual([{ name: 'http', containerPort: 8081 }]);
});

it('ships every alert of the file, each with the page of its runbook', async () => {
  const all = await render(VALUE_SETS['monitoring'] ?? {});

  const rule = only(all, 'PrometheusRule', 'kt') as Manifest & {
    readonly spec: { groups: readonly { rules: object[] }[] };
  };
  const file = read('alerts', 'kaito.yaml');
  const shipped = JSON.stringify(rule.spec);
  expect(rule.metadata.labels).toMatchObject({ release: 'prometheus' });
  expect(rule.spec).toEqual(parse(file.replaceAll('docs/runbooks.md', 'https://example.com/runbooks.md')));
  expect(rule.spec.groups.flatMap(({ rules }) => rules).length).toBeGreaterThan(5);
  expect(shipped).not.toContain('docs/runbooks.md');
  expect(only(await render({ monitoring: { rules: { enabled: true } } }), 'PrometheusRule', 'kt').spec).toEqual(
    parse(file),
  );
});

it('ships the dashboard as it is, where Grafana’s sidecar looks', async () => {
  const all = await render(VALUE_SETS['monitoring'] ?? {});

  const { metadata, data } = only(all, 'ConfigMap', 'kt-dashboard') as Manifest & { data: Record<string, string> };
  expect(metadata.labels).toMatchObject({ grafana_dashboard: '1' });
  expect(Object.keys(data)).toEqual(['kaito-temporal.json']);
  expect(JSON.parse(data['kaito-temporal.json'] ?? '')).toEqual(JSON.parse(read('dashboards', 'kaito.json')));
});
