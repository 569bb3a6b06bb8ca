import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import { connect, type KubernetesClient } from '../../kubernetes/client';
import { RESOURCES } from '../../kubernetes/resources';
import { useEnvironment } from '../environment';
import { ourPods } from '../unit/manifests/pods';

/** A namespace that enforces the "restricted" Pod Security Standard, on a real API server. */

const run = promisify(execFile);
const namespace = `restricted-${process.pid}`;
let client: KubernetesClient;

beforeAll(async () => {
  client = connect({ kubeconfig: useEnvironment().kubeconfig });
  const labels = {
    'pod-security.kubernetes.io/enforce': 'restricted',
    'pod-security.kubernetes.io/enforce-version': 'latest',
  };
  await client.create(RESOURCES.namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels },
  });
});
afterAll(async () => {
  await client.delete(RESOURCES.namespaces, { name: namespace });
  await client.close();
});

/** Has the API server judge a pod of the template without making it; throws with what it says against it. */
async function judge({ metadata, spec }: V1PodTemplateSpec): Promise<void> {
  const { variables, kubeconfig } = useEnvironment();
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'judged' }, spec };
  const running = run('kubectl', ['-n', namespace, 'create', '--dry-run=server', '-f', '-'], {
    env: { ...process.env, ...variables, KUBECONFIG: kubeconfig },
  });
  running.child.stdin?.end(JSON.stringify(pod));
  await running;
}

test.each(ourPods())('takes the pod: $name', async ({ template }) => {
  await expect(judge(template)).resolves.toBeUndefined();
});

test('refuses a pod with less', async () => {
  const template = ourPods()[0]!.template;
  const { securityContext: _, ...lax } = template.spec!;
  await expect(judge({ ...template, spec: lax })).rejects.toThrow(/violates PodSecurity "restricted:latest"/);
});
