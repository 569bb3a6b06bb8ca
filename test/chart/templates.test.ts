import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { workspaceCrd } from '../../api/crd';
import { workspacePolicy, workspacePolicyBinding } from '../../api/policy';
import { ROOT } from '../../local/defaults';
import { configurationSchema } from '../../workers/configuration';
import { CHART, VALUE_SETS, manifests, only, useTools, type Values } from './support';

const tools = useTools({ withCluster: false });

function read(...names: readonly string[]): string {
  return readFileSync(path.join(...names), 'utf8');
}

async function render(values: Values, ...more: readonly string[]) {
  return manifests(await tools().helm(['template', 'kt', CHART, '--namespace', 'kaito-system', ...more], values));
}

describe('the chart', () => {
  it('has the version of the product', () => {
    const { version } = JSON.parse(read(ROOT, 'package.json')) as { version: string };

    expect(parse(read(CHART, 'Chart.yaml'))).toMatchObject({ version, appVersion: version });
  });

  it('knows every variable of the configuration', () => {
    const schema = JSON.parse(read(CHART, 'values.schema.json')) as {
      properties: { config: { properties: Record<string, unknown> } };
    };

    expect(Object.keys(schema.properties.config.properties)).toEqual(Object.keys(configurationSchema.shape));
  });

  it.each(Object.entries(VALUE_SETS))('passes helm lint --strict: %s', async (_, values) => {
    expect(await tools().helm(['lint', '--strict', CHART], values)).toContain('0 chart(s) failed');
  });

  it('ships the definition and the policies as they are generated', async () => {
    const all = await render({});

    const crd = workspaceCrd() as { metadata: object };
    expect(only(all, 'CustomResourceDefinition', 'workspaces.kaito.sh')).toEqual({
      ...JSON.parse(JSON.stringify(crd)),
      metadata: {
        ...crd.metadata,
        annotations: { 'helm.sh/resource-policy': 'keep' },
        labels: expect.objectContaining({ 'app.kubernetes.io/part-of': 'kaito-temporal' }) as unknown,
      },
    });
    for (const object of [workspacePolicy(), workspacePolicyBinding()] as { kind: string; metadata: object }[]) {
      expect(only(all, object.kind, 'workspaces.kaito.sh')).toMatchObject(JSON.parse(JSON.stringify(object)));
    }
  });

  it('gives the definition up with the release only if told to', async () => {
    const all = await render({ crds: { keep: false } });

    expect(only(all, 'CustomResourceDefinition', 'workspaces.kaito.sh').metadata.annotations).toBeUndefined();
  });

  it('writes numbers and truth values as the program reads them', async () => {
    const all = await render({ config: { KAITO_CACHED_WORKFLOWS: 2_000_000, KAITO_IMAGE_VOLUMES: true } });

    expect(only(all, 'ConfigMap', 'kt-config').data).toEqual({
      KAITO_HTTP_PORT: '9090',
      KAITO_CACHED_WORKFLOWS: '2000000',
      KAITO_IMAGE_VOLUMES: 'true',
    });
  });

  it('starts pods anew when the configuration changes', async () => {
    const checksums = await Promise.all(
      ['info', 'debug'].map(async (KAITO_LOG_LEVEL) => {
        const { spec } = only(await render({ config: { KAITO_LOG_LEVEL } }), 'Deployment', 'kt-worker') as never as {
          spec: { template: { metadata: { annotations: Record<string, string> } } };
        };
        return spec.template.metadata.annotations['checksum/config'];
      }),
    );

    expect(new Set(checksums).size).toBe(2);
  });

  it('gives Azure’s identity to the worker alone', async () => {
    const all = await render(VALUE_SETS['machines from Azure'] ?? {});

    const identities = all
      .filter(({ kind }) => kind === 'ServiceAccount')
      .map(({ metadata }) => [metadata.name, metadata.annotations?.['azure.workload.identity/client-id']]);
    expect(Object.fromEntries(identities)).toEqual({
      'kt-worker': '11111111-2222-3333-4444-555555555555',
      'kt-bridge': undefined,
    });
    const uses = ['kt-worker', 'kt-bridge'].map((name) => {
      const { spec } = only(all, 'Deployment', name) as never as {
        spec: { template: { metadata: { labels: object } } };
      };
      return 'azure.workload.identity/use' in spec.template.metadata.labels;
    });
    expect(uses).toEqual([true, false]);
  });

  it('keeps secrets out of what is rendered: they are referred to', async () => {
    const all = await render(VALUE_SETS['Temporal Cloud'] ?? {});

    const text = JSON.stringify(only(all, 'Deployment', 'kt-worker'));
    expect(text).toContain('{"name":"KAITO_TEMPORAL_API_KEY_FILE","value":"/etc/kaito/temporal-api-key/api-key"}');
    expect(text).toContain('{"name":"temporal-api-key","secret":{"secretName":"temporal-api-key","defaultMode":288}}');
    expect(text).toContain('{"name":"KAITO_PAYLOAD_KEYS","value":"/etc/kaito/payload-keys"}');
    expect(text).toContain('{"name":"payload-keys","secret":{"secretName":"payload-keys","defaultMode":288}}');
    expect(all.map(({ kind }) => kind)).not.toContain('Secret');
  });
});

it.each([
  [undefined, 9090],
  ['', 9090],
  [8080, 8080],
  ['8081', 8081],
])('asks the process where it answers: KAITO_HTTP_PORT %j', async (port, answers) => {
  const all = await render({ config: port === undefined ? {} : { KAITO_HTTP_PORT: port } });

  expect(only(all, 'ConfigMap', 'kt-config').data).toEqual({ KAITO_HTTP_PORT: String(answers) });
  const probe = { httpGet: { port: 'http' } };
  const ports = [{ name: 'http', containerPort: answers }];
  const container = { ports, startupProbe: probe, livenessProbe: probe, readinessProbe: probe };
  for (const name of ['kt-worker', 'kt-bridge']) {
    expect(only(all, 'Deployment', name)).toMatchObject({ spec: { template: { spec: { containers: [container] } } } });
  }
});

it.each(['temporal:7233', 'temporal-frontend.temporal.svc.cluster.local:7233', '10.0.0.7:443', '[fd00::7]:7233'])(
  'hands an address of Temporal on as it is: %s',
  async (address) => {
    const all = await render({ temporal: { address, dev: { enabled: false } } });

    for (const name of ['kt-worker', 'kt-bridge']) {
      expect(JSON.stringify(only(all, 'Deployment', name))).toContain(
        `{"name":"TEMPORAL_ADDRESS","value":"${address}"}`,
      );
    }
  },
);

it.each(['k', 'kaito-2', 'k'.repeat(50)])('names objects as it is told: %s', async (fullnameOverride) => {
  const names = (await render({ fullnameOverride }))
    .filter(({ kind }) => kind === 'Deployment')
    .map(({ metadata }) => metadata.name);

  expect(names.toSorted()).toEqual([`${fullnameOverride}-bridge`, `${fullnameOverride}-worker`]);
});

it('writes labels as text, whatever they look like', async () => {
  const all = await render({ nameOverride: '1e3', fullnameOverride: 'kt', commonLabels: { cost: '42', on: 'true' } });

  for (const { metadata } of all) {
    expect(Object.values(metadata.labels ?? {}).filter((value) => typeof value !== 'string')).toEqual([]);
    if (metadata.labels !== undefined) expect(metadata.labels).toMatchObject({ cost: '42', on: 'true' });
  }
  expect(new Set(all.flatMap(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] ?? []))).toEqual(
    new Set(['1e3']),
  );
});

describe('values that are refused', () => {
  const refusals: readonly [string, Values, string | RegExp][] = [
    ['a misspelt variable', { config: { KAITO_CLOUDS: 'azure' } }, /'\/config': additional properties 'KAITO_CLOUDS'/],
    ['a variable’s wrong value', { config: { KAITO_CLOUD: 'gcp' } }, /'\/config\/KAITO_CLOUD': value must be one of/],
    ['a misspelt value', { worker: { replica: 3 } }, /'\/worker': additional properties 'replica' not allowed/],
    ['no pods', { worker: { replicas: 0 } }, /'\/worker\/replicas': minimum: got 0, want 1/],
    [
      'less time to end than activities have',
      { worker: { terminationGracePeriodSeconds: 5 } },
      /'\/worker\/terminationGracePeriodSeconds': minimum: got 5, want 30/,
    ],
    ...['Kaito', 'kaito_temporal', '1kaito', 'kaito-', 'k'.repeat(51)].map((name): [string, Values, RegExp] => [
      `no name of objects: ${name}`,
      { fullnameOverride: name },
      /'\/fullnameOverride': '.*' does not match pattern/,
    ]),
    ...['-kaito', 'ka ito', 'k'.repeat(64)].map((name): [string, Values, RegExp] => [
      `no value of a label: ${name}`,
      { nameOverride: name },
      /'\/nameOverride': '.*' does not match pattern/,
    ]),
    ...['temporal', 'https://temporal:7233', 'temporal:', 'temporal:grpc', 'temporal :7233', '::1:7233'].map(
      (address): [string, Values, RegExp] => [
        `no address: ${address}`,
        { temporal: { address, dev: { enabled: false } } },
        /'\/temporal\/address': '.*' does not match pattern/,
      ],
    ),
    ['a digest that is none', { image: { digest: 'sha256:1' } }, /'\/image\/digest'/],
    [
      'two Temporal servers',
      { temporal: { address: 'temporal:7233' } },
      'temporal.address is "temporal:7233", and temporal.dev.enabled is true: set temporal.dev.enabled=false',
    ],
    [
      'no Temporal server',
      { temporal: { dev: { enabled: false } } },
      'temporal.address is empty, and temporal.dev.enabled is false: name the host:port',
    ],
    ...(
      [
        ['apiKey.secretName', { apiKey: { secretName: 'key' } }],
        ['tls.enabled', { tls: { enabled: true } }],
        ['tls.ca.secretName', { tls: { ca: { secretName: 'ca' } } }],
        ['tls.clientCertificateSecretName', { tls: { clientCertificateSecretName: 'client' } }],
      ] as const
    ).map(([name, temporal]): [string, Values, string] => [
      `a way to Temporal that the release’s own has not: ${name}`,
      { temporal },
      `temporal.${name} is set, and temporal.dev.enabled is true: the release's own server has neither TLS nor API keys`,
    ]),
    ...['off', false, 0, '0', 65_536, 'http'].map((port): [string, Values, string] => [
      `no port for the probes: ${JSON.stringify(port)}`,
      { config: { KAITO_HTTP_PORT: port } },
      `config.KAITO_HTTP_PORT is ${port}: the pods' probes ask there, so the chart has to know the port; name one from 1 to 65535`,
    ]),
    [
      'a port for all that the chart does not see',
      { env: [{ name: 'KAITO_HTTP_PORT', value: '8080' }] },
      'env sets KAITO_HTTP_PORT, which the chart itself has to know: set config.KAITO_HTTP_PORT instead',
    ],
    [
      'worker versions that the chart does not see',
      { worker: { env: [{ name: 'KAITO_WORKER_VERSIONING', value: 'true' }] } },
      'worker.env sets KAITO_WORKER_VERSIONING, which the chart itself has to know: set config.KAITO_WORKER_VERSIONING',
    ],
    [
      'no time for a promotion',
      { promotion: { timeoutSeconds: 5 } },
      /'\/promotion\/timeoutSeconds': minimum: got 5, want 30/,
    ],
    [
      'two folders of presets',
      { presetsConfigMap: 'presets', config: { KAITO_PRESETS_DIR: '/presets' } },
      'config.KAITO_PRESETS_DIR and presetsConfigMap both say',
    ],
  ];

  it.each(refusals)('%s', async (_, values, message) => {
    await expect(render(values)).rejects.toThrow(message);
  });
});
