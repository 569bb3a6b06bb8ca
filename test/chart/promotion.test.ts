import { CHART, VALUE_SETS, manifests, only, useTools, type Manifest, type Values } from './support';

/** The Job that gives the work to the workers of a release, where these have versions. */
const tools = useTools({ withCluster: false });

interface PodSpec {
  readonly [field: string]: unknown;
  readonly containers: readonly {
    readonly [field: string]: unknown;
    readonly env: readonly { readonly name: string }[];
    readonly volumeMounts: readonly { readonly name: string }[];
  }[];
  readonly volumes: readonly { readonly name: string }[];
}

const ON = { config: { KAITO_WORKER_VERSIONING: true } };

async function render(values: Values): Promise<readonly Manifest[]> {
  return manifests(await tools().helm(['template', 'kt', CHART, '--namespace', 'kaito-system'], values));
}

function podOf(all: readonly Manifest[], kind: string, name: string): PodSpec {
  return (only(all, kind, name).spec as { readonly template: { readonly spec: PodSpec } }).template.spec;
}

const jobs = (all: readonly Manifest[]) =>
  all.filter(({ kind }) => kind === 'Job').map(({ metadata }) => metadata.name);

it.each<readonly [string, Values, readonly string[]]>([
  ['by default', {}, []],
  ['versions are off', { config: { KAITO_WORKER_VERSIONING: 'false' } }, []],
  ['versions are on', ON, ['kt-promotion']],
  ['versions are on, as text', { config: { KAITO_WORKER_VERSIONING: 'true' } }, ['kt-promotion']],
  ['operators promote', { ...ON, promotion: { enabled: false } }, []],
])('is there only with worker versions: %s', async (_, values, expected) => {
  expect(jobs(await render(values))).toEqual(expected);
});

it('runs after the release’s objects are there, waits within limits, and goes when it succeeded', async () => {
  const job = only(await render({ ...ON, promotion: { timeoutSeconds: 90 } }), 'Job', 'kt-promotion');

  expect(job).toMatchObject({
    metadata: {
      annotations: {
        'helm.sh/hook': 'post-install,post-upgrade,post-rollback',
        'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded',
      },
    },
    spec: { backoffLimit: 2, activeDeadlineSeconds: 120, ttlSecondsAfterFinished: 86_400 },
  });
  expect(podOf([job], 'Job', 'kt-promotion')).toMatchObject({
    restartPolicy: 'Never',
    containers: [{ command: ['node', '/app/dist/workers/promote.js'], args: ['--wait', '90'] }],
  });
});

it.each(Object.entries(VALUE_SETS))(
  'is at Temporal who the worker is, and nobody in the cluster: %s',
  async (_, set) => {
    const { config, ...values } = set as { readonly config?: Values };
    const all = await render({ ...values, config: { ...config, ...ON.config }, promotion: { enabled: true } });
    const { metadata } = all.find(({ kind }) => kind === 'Job') as Manifest;
    const prefix = metadata.name.replace(/-promotion$/, '');
    const job = podOf(all, 'Job', metadata.name);
    const worker = podOf(all, 'Deployment', `${prefix}-worker`);

    const same = ['securityContext', 'imagePullSecrets', 'hostAliases', 'nodeSelector', 'tolerations', 'affinity'];
    for (const field of [...same, 'priorityClassName', 'enableServiceLinks'])
      expect([field, job[field]]).toEqual([field, worker[field]]);
    for (const field of ['image', 'imagePullPolicy', 'securityContext', 'envFrom', 'env']) {
      expect([field, job.containers[0]?.[field]]).toEqual([field, worker.containers[0]?.[field]]);
    }
    // It has no use for what the worker does its work with.
    const unused = ['payload-keys', 'presets', 'quotas'];
    const used = <T extends { readonly name: string }>(list: readonly T[] = []) =>
      list.filter(({ name }) => !unused.includes(name));
    expect(job.volumes).toEqual(used(worker.volumes));
    expect(job.containers[0]?.volumeMounts).toEqual(used(worker.containers[0]?.volumeMounts));

    expect(job).toMatchObject({ automountServiceAccountToken: false });
    expect(job).not.toHaveProperty('serviceAccountName');
  },
);

it('reaches Temporal and nothing else where traffic is limited', async () => {
  const all = await render(VALUE_SETS['worker versions'] ?? {});

  const label = { 'app.kubernetes.io/component': 'promotion' };
  expect(only(all, 'Job', 'kt-promotion')).toMatchObject({ spec: { template: { metadata: { labels: label } } } });
  const { spec } = only(all, 'NetworkPolicy', 'kt-promotion') as Manifest & { spec: { egress: readonly object[] } };
  expect(spec).toMatchObject({ podSelector: { matchLabels: label }, policyTypes: ['Ingress', 'Egress'], ingress: [] });
  expect(spec.egress).toMatchObject([
    { ports: [{ port: 53 }, { port: 53 }] },
    {
      to: [{ podSelector: { matchLabels: { 'app.kubernetes.io/component': 'temporal' } } }],
      ports: [{ port: 'grpc' }],
    },
  ]);
  const temporal = only(all, 'NetworkPolicy', 'kt-temporal') as Manifest & {
    spec: { ingress: readonly { from: readonly { podSelector: { matchLabels: Record<string, string> } }[] }[] };
  };
  const callers = temporal.spec.ingress[0]?.from.map(({ podSelector }) => podSelector.matchLabels);
  expect(callers?.map((labels) => labels['app.kubernetes.io/component'])).toEqual(['worker', 'bridge', 'promotion']);

  const unlimited = await render({ ...ON, networkPolicy: { enabled: true }, promotion: { enabled: false } });
  expect(
    unlimited.filter(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'kt-promotion'),
  ).toEqual([]);
});
