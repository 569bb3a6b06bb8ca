import type { Finding } from '../../cli/doctor/finding';
import { neededPermissions } from '../../cli/doctor/permissions';
import { defineResource, RESOURCES } from '../../kubernetes/resources';
import { kaito } from './cli-support';
import { useStage } from './support';

/** What the doctor says of a running product, and of an installation with faults. */
const stage = useStage('cli-doctor');

const cluster = (plural: string, kind: string) =>
  defineResource({ group: 'rbac.authorization.k8s.io', version: 'v1', plural, kind, namespaced: false });
const ROLES = cluster('clusterroles', 'ClusterRole');
const BINDINGS = cluster('clusterrolebindings', 'ClusterRoleBinding');
const DEPLOYMENTS = defineResource({
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
});

async function examined(namespace: string): Promise<{ code: number; findings: readonly Finding[] }> {
  const { code, out } = await kaito(namespace, ['doctor', '-o', 'json']);
  return { code, findings: JSON.parse(out) as readonly Finding[] };
}

const of = (findings: readonly Finding[], check: string) => findings.filter((one) => one.check === check);

it('finds the running product well, line by line', async () => {
  const namespace = await stage().namespace();
  const { code, findings } = await examined(namespace);

  for (const check of [
    'cluster',
    'Workspace definition',
    'admission policy',
    'admission policy binding',
    'your permissions',
    'search attributes',
    'worker',
  ]) {
    expect([check, of(findings, check).map(({ result }) => result)]).toEqual([check, ['ok']]);
  }
  // It runs in this process, not in the cluster, and so its configuration is not there to be judged.
  expect(of(findings, 'installation')).toMatchObject([{ result: 'skip' }]);
  expect(of(findings, 'machines')).toMatchObject([
    { result: 'fail', message: expect.stringContaining('KaitoNodeClass.kaito.sh') as string },
  ]);
  expect(code).toBe(1);

  const { out } = await kaito(namespace, ['doctor']);
  expect(out).toMatch(/^ok {4}cluster: https:\/\/127\.0\.0\.1:\d+\/, Kubernetes v1\./);
  expect(out).toContain(
    '\n      Install that provider, or set KAITO_NODE_CLASS_PROFILE to the one that is installed.\n',
  );
});

it('judges an installation of the chart: its pods, its permissions, its configuration', async () => {
  const namespace = await stage().namespace();
  const serviceAccount = `system:serviceaccount:${namespace}:kaito-worker`;
  const rules = (neededPermissions('worker') ?? [])
    .filter(({ resource }) => resource !== 'controllerrevisions')
    .map(({ group, resource, subresource, verb, name }) => ({
      apiGroups: [group],
      resources: [subresource === undefined ? resource : `${resource}/${subresource}`],
      verbs: [verb],
      ...(name !== undefined && { resourceNames: [name] }),
    }));
  const named = { metadata: { name: namespace } };
  for (const resource of [BINDINGS, ROLES]) stage().defer(() => stage().client.delete(resource, { name: namespace }));
  await stage().create(ROLES, { ...named, rules });
  await stage().create(BINDINGS, {
    ...named,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: namespace },
    subjects: [{ kind: 'ServiceAccount', name: 'kaito-worker', namespace }],
  });
  await stage().create(RESOURCES.configMaps, {
    metadata: { namespace, name: 'kaito-config' },
    data: { KAITO_NODE_CLASS_PROFILE: 'kwok', KAITO_TASK_QUEUE: 'nobody-here', KAITO_TUNING_STORAGE_CLASS: 'none' },
  });
  const labels = { 'app.kubernetes.io/part-of': 'kaito-temporal', 'app.kubernetes.io/component': 'worker' };
  stage().defer(() => stage().client.delete(DEPLOYMENTS, { namespace, name: 'kaito-worker' }));
  await stage().create(DEPLOYMENTS, {
    metadata: { namespace, name: 'kaito-worker', labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: 'kaito-worker',
          nodeSelector: { nowhere: 'true' },
          containers: [
            {
              name: 'worker',
              image: 'example.com/kaito:1',
              envFrom: [{ configMapRef: { name: 'kaito-config' } }],
              env: [{ name: 'KAITO_NODE_CLASS_NAME', value: 'missing' }],
            },
          ],
        },
      },
    },
  });

  const { code, findings } = await examined(namespace);

  expect(code).toBe(1);
  expect([
    ...of(findings, 'worker'),
    ...of(findings, 'bridge'),
    ...of(findings, 'permissions of the worker'),
    ...of(findings, 'machines'),
    ...of(findings, 'storage for tuning'),
  ]).toMatchObject([
    { result: 'fail', message: `none of 2 pods of ${namespace}/kaito-worker is ready` },
    { result: 'fail', message: "nobody takes tasks from task queue 'nobody-here': nothing goes on" },
    { result: 'fail', message: 'no Deployment of the bridge' },
    {
      result: 'fail',
      message: `${serviceAccount} may not ${['list', 'create', 'delete'].map((verb) => `${verb} controllerrevisions.apps`).join(', ')}`,
    },
    { result: 'fail', message: "KWOKNodeClass 'missing' is not there" },
    { result: 'fail', message: "StorageClass 'none' is not there" },
  ]);
  expect(findings.filter(({ result, remedy }) => result === 'fail' && remedy === undefined)).toEqual([]);
});
