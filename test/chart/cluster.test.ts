import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CHART, VALUE_SETS, eventually, manifests, useTools, type Manifest, type Values } from './support';

/** The chart on a real API server, with real controllers; the pods are simulated, and so always healthy. */
const tools = useTools({ withCluster: true });

const NAMESPACE = 'kaito-system';
const CRD = 'workspaces.kaito.sh';
const INSTALLED = { temporal: { dev: { persistence: { storageClassName: 'simulated' } } } };

const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: 'simulated',
    annotations: { 'kwok.x-k8s.io/node': 'fake' },
    labels: { 'kubernetes.io/hostname': 'simulated', 'kubernetes.io/os': 'linux' },
  },
  status: {
    capacity: { cpu: '16', memory: '64Gi', pods: '100' },
    allocatable: { cpu: '16', memory: '64Gi', pods: '100' },
  },
};
const VOLUME = {
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'temporal' },
  spec: {
    capacity: { storage: '10Gi' },
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'simulated',
    persistentVolumeReclaimPolicy: 'Retain',
    hostPath: { path: '/nowhere' },
  },
};
const NAMESPACES = [NAMESPACE, 'kaito-workspace'].map((name) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  // The strictest of Kubernetes' own standards: its admission would refuse our pods if they asked for more.
  metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
}));
/** Of Prometheus' operator: that there are such kinds. */
const MONITORING = ['PodMonitor', 'PrometheusRule'].map((kind) => {
  const plural = `${kind.toLowerCase()}s`;
  const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.monitoring.coreos.com` },
    spec: {
      group: 'monitoring.coreos.com',
      names: { kind, plural },
      scope: 'Namespaced',
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  };
});
const WORKSPACE = {
  apiVersion: 'kaito.sh/v1beta1',
  kind: 'Workspace',
  metadata: { name: 'kept', namespace: 'default' },
  resource: { instanceType: 'Standard_NC24ads_A100_v4', labelSelector: { matchLabels: { apps: 'kept' } } },
  inference: { preset: { name: 'phi-4-mini-instruct' } },
};

function apply(objects: readonly object[], ...more: readonly string[]): Promise<string> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  return tools().kubectl(['apply', ...more, '-f', '-'], JSON.stringify(list));
}

async function get<T = Manifest>(...args: readonly string[]): Promise<T> {
  return JSON.parse(await tools().kubectl(['get', ...args, '--output', 'json'])) as T;
}

/** Names of the pods that are there to stay. */
async function pods(): Promise<readonly string[]> {
  const { items } = await get<{ items: readonly Manifest[] }>('pods', '--namespace', NAMESPACE);
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map(({ metadata }) => metadata.name);
}

function helm(verb: 'install' | 'upgrade', values: Values, ...more: readonly string[]): Promise<string> {
  const args = [verb, 'kt', CHART, '--namespace', NAMESPACE, '--wait', '--timeout', '60s', ...more];
  return tools().helm(args, values);
}

beforeAll(async () => {
  await apply([...NAMESPACES, NODE, VOLUME, ...MONITORING]);
  const names = MONITORING.map(({ metadata }) => metadata.name);
  await tools().kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', ...names]);
});

describe('what is rendered', () => {
  it.each(Object.entries(VALUE_SETS))('is valid for the API server, field by field: %s', async (_, values) => {
    const rendered = await tools().helm(['template', 'kt', CHART, '--namespace', NAMESPACE], values);

    const answer = await tools().kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], rendered);
    const accepted = answer.split('\n').filter((line) => line.endsWith('(server dry run)'));
    expect(accepted).toHaveLength(manifests(rendered).length);
  });
});

describe('a release', () => {
  it('comes up, and says what to do next', async () => {
    const said = await helm('install', INSTALLED);

    expect(said).toContain('rollout status deployment/kt-worker deployment/kt-bridge');
    expect(said).toContain('! config.KAITO_RUNTIME_IMAGE is not set.');
    expect(said).toContain('Only worker and bridge reach Temporal, where');
    const deployments = await get<{ items: { metadata: { name: string }; status: { availableReplicas: number } }[] }>(
      'deployments',
      '--namespace',
      NAMESPACE,
    );
    expect(deployments.items.map(({ metadata, status }) => [metadata.name, status.availableReplicas])).toEqual([
      ['kt-bridge', 2],
      ['kt-worker', 2],
    ]);
  });

  it('lets one pod of each role be evicted at a time', async () => {
    const budgets = await get<{ items: { metadata: { name: string }; status: object }[] }>('pdb', '-n', NAMESPACE);

    expect(budgets.items).toMatchObject(
      ['kt-bridge', 'kt-worker'].map((name) => ({
        metadata: { name },
        status: { disruptionsAllowed: 1, currentHealthy: 2 },
      })),
    );
  });

  it('lets those who may edit a namespace edit its Workspaces', async () => {
    const wanted = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];
    // A controller puts the roles together.
    await eventually(async () => {
      const { rules } = await get<{ rules: { apiGroups?: string[]; verbs: string[] }[] }>('clusterrole', 'edit');
      const ours = rules.filter(({ apiGroups }) => apiGroups?.includes('kaito.sh'));
      expect(new Set(ours.flatMap(({ verbs }) => verbs))).toEqual(new Set(wanted));
    });
  });

  it('lets the worker get Secrets of all namespaces, or only of those that are named, and nobody list them', async () => {
    const may = async (verb: string, namespace: string, role = 'worker'): Promise<boolean> => {
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: `system:serviceaccount:${NAMESPACE}:kt-${role}`,
          resourceAttributes: { verb, resource: 'secrets', name: 'any', namespace },
        },
      };
      const answer = await tools().kubectl(['create', '-o', 'json', '-f', '-'], JSON.stringify(review));
      return (JSON.parse(answer) as { status: { allowed: boolean } }).status.allowed;
    };
    expect([await may('get', 'default'), await may('get', 'kaito-workspace')]).toEqual([true, true]);

    await helm('upgrade', { ...INSTALLED, rbac: { secretNamespaces: ['kaito-workspace'] } });

    // Its caches follow in a moment.
    await eventually(async () => {
      expect([await may('get', 'default'), await may('get', 'kaito-workspace')]).toEqual([false, true]);
    });
    expect([await may('list', 'kaito-workspace'), await may('get', 'kaito-workspace', 'bridge')]).toEqual([
      false,
      false,
    ]);
  });

  it('upgrades the definition, replaces pods whose configuration changed, and keeps Workspaces', async () => {
    const { kubectl } = tools();
    await apply([WORKSPACE]);
    const { metadata } = await get('workspace', 'kept');
    // As an older chart would have left it.
    await kubectl(['patch', 'crd', CRD, '--type=json', '-p', '[{"op":"remove","path":"/spec/names/shortNames"}]']);
    const before = await pods();

    await helm('upgrade', { ...INSTALLED, config: { KAITO_LOG_LEVEL: 'debug' } });

    expect(await get('crd', CRD)).toMatchObject({ spec: { names: { shortNames: ['wk', 'wks'] } } });
    expect((await get('workspace', 'kept')).metadata).toMatchObject({ ...metadata });
    const after = await pods();
    // Temporal does not read the product's configuration.
    expect(after.filter((name) => before.includes(name))).toEqual(['kt-temporal-0']);
    expect(after).toHaveLength(before.length);
  });

  it('promotes its workers where these have versions: helm waits for that, and nothing of it stays', async () => {
    const { kubectl } = tools();
    const place = ['--namespace', NAMESPACE, '--selector', 'app.kubernetes.io/component=promotion'];
    const upgrade = helm('upgrade', { ...INSTALLED, config: { KAITO_WORKER_VERSIONING: true } });
    let promoter = '';
    const simulated = eventually(async () => {
      const { items } = await get<{ items: readonly Manifest[] }>('pods', ...place);
      expect(items).toHaveLength(1);
      promoter = items[0]?.metadata.name ?? '';
      // Nothing runs in simulated pods: this one has done its work.
      const succeeded = JSON.stringify({ status: { phase: 'Succeeded' } });
      const patch = ['--subresource=status', '--type=merge', '--patch', succeeded];
      await kubectl(['patch', 'pod', promoter, '--namespace', NAMESPACE, ...patch]);
    });
    await Promise.all([upgrade, simulated]);

    expect(promoter).toMatch(/^kt-promotion-/);
    await eventually(async () => expect((await get<{ items: unknown[] }>('jobs,pods', ...place)).items).toEqual([]));
  });

  it('refuses Workspaces by its policies, and none when they are left out', async () => {
    const odd = {
      ...WORKSPACE,
      metadata: { ...WORKSPACE.metadata, name: 'odd', annotations: { 'kaito.sh/node-image-family': 'dos' } },
    };
    await expect(apply([odd], '--dry-run=server')).rejects.toThrow(/kaito.sh\/node-image-family/);

    const said = await helm('upgrade', { ...INSTALLED, policies: { enabled: false } });

    expect(said).toContain('! policies.enabled is false.');

    const policies = await get<{ items: unknown[] }>('validatingadmissionpolicies');
    expect(policies.items).toEqual([]);
  });

  it('goes without a trace, but for Workspaces, their definition and Temporal’s volume; and comes back to them', async () => {
    const { kubectl } = tools();
    await tools().helm(['uninstall', 'kt', '--namespace', NAMESPACE, '--wait', '--timeout', '60s']);

    const kinds = (await kubectl(['api-resources', '--verbs=list', '--output=name'])).trim().split('\n');
    // Helm waits for what it made; what came of that is left to the garbage collector.
    await eventually(async () => {
      const left = await kubectl([
        ...['get', kinds.join(), '--all-namespaces', '--ignore-not-found', '--output=name'],
        ...['--selector', 'app.kubernetes.io/instance=kt'],
      ]);
      expect(left.trim().split('\n').sort()).toEqual([
        `customresourcedefinition.apiextensions.k8s.io/${CRD}`,
        'persistentvolumeclaim/data-kt-temporal-0',
      ]);
    });
    const { metadata } = await get('workspace', 'kept');

    await helm('install', INSTALLED);

    expect((await get('workspace', 'kept')).metadata.uid).toBe(metadata.uid);
    expect(await get('pvc', 'data-kt-temporal-0', '-n', NAMESPACE)).toMatchObject({ status: { phase: 'Bound' } });
  });
});

describe('a cluster where KAITO’s chart is', () => {
  it('is taken over with its Workspaces, and KAITO’s chart can then be removed', async () => {
    const { helm: run, kubectl } = tools();
    await run(['uninstall', 'kt', '--namespace', NAMESPACE, '--wait', '--timeout', '60s']);
    await kubectl(['delete', 'crd', CRD]);
    await kaitoChart(path.join(tools().folder, 'kaito'));
    await run(['install', 'kaito', path.join(tools().folder, 'kaito'), '--namespace', 'kaito-workspace']);
    await kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', CRD]);
    await apply([WORKSPACE]);
    const { metadata } = await get('workspace', 'kept');

    await expect(helm('install', INSTALLED)).rejects.toThrow(`"${CRD}" in namespace "" exists and cannot be imported`);
    await helm('install', INSTALLED, '--take-ownership');
    await run(['uninstall', 'kaito', '--namespace', 'kaito-workspace', '--wait', '--timeout', '60s']);

    expect((await get('workspace', 'kept')).metadata).toMatchObject({ uid: metadata.uid });
    expect((await get('crd', CRD)).metadata.annotations).toMatchObject({
      'meta.helm.sh/release-name': 'kt',
      'helm.sh/resource-policy': 'keep',
    });
    expect(await kubectl(['get', 'configmap', 'kaito', '-n', 'kaito-workspace', '--ignore-not-found'])).toBe('');
  });
});

/** What matters of it: its definition of Workspaces is one of its templates, and goes when it goes. */
async function kaitoChart(folder: string): Promise<void> {
  const versions = ['v1alpha1', 'v1beta1'].map((name) => ({
    name,
    served: true,
    storage: name === 'v1beta1',
    subresources: { status: {} },
    schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  }));
  const names = { kind: 'Workspace', listKind: 'WorkspaceList', plural: 'workspaces', singular: 'workspace' };
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: CRD, annotations: { 'controller-gen.kubebuilder.io/version': 'v0.15.0' } },
    spec: { group: 'kaito.sh', names, scope: 'Namespaced', versions },
  };
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kaito' } };
  await mkdir(path.join(folder, 'templates'), { recursive: true });
  await writeFile(
    path.join(folder, 'Chart.yaml'),
    JSON.stringify({ apiVersion: 'v2', name: 'workspace', version: '0.1.0' }),
  );
  await writeFile(path.join(folder, 'templates', 'crd.yaml'), JSON.stringify(crd));
  await writeFile(path.join(folder, 'templates', 'config.yaml'), JSON.stringify(configMap));
}
