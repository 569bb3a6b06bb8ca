import { workspaceCrd } from '../../api/crd';
import { workspacePolicy, workspacePolicyBinding } from '../../api/policy';
import type { KubernetesObject } from '../../kubernetes/objects';
import { defineResource, RESOURCES, type Resource } from '../../kubernetes/resources';
import type { ClusterAccess } from '../cluster';
import { toldOf } from '../failure';
import { fail, ok, warn, type Finding } from './finding';
import { differences } from './differences';

/** ValidatingAdmissionPolicy is v1 from here on. */
const OLDEST_MINOR = 30;
const APPLY =
  'Apply this version’s: helm upgrade, or kubectl apply --server-side --force-conflicts -f charts/kaito-temporal/definitions -f charts/kaito-temporal/policies.';

const POLICIES = admission('validatingadmissionpolicies', 'ValidatingAdmissionPolicy');
const BINDINGS = admission('validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding');

function admission(plural: string, kind: string): Resource {
  return defineResource({ group: 'admissionregistration.k8s.io', version: 'v1', plural, kind, namespaced: false });
}

/** Whether the cluster answers (without, no other check of it makes sense), and is new enough. */
export async function checkServer(
  cluster: ClusterAccess,
  signal: AbortSignal,
): Promise<{ readonly finding: Finding; readonly isReachable: boolean }> {
  const check = 'cluster';
  try {
    const { major, minor, gitVersion } = await cluster.json<{ major: string; minor: string; gitVersion: string }>(
      { method: 'GET', path: '/version', description: 'get /version' },
      signal,
    );
    const where = `${cluster.client.server}, Kubernetes ${gitVersion}`;
    // Some clouds write "30+".
    const isOld = Number(major) === 1 && Number.parseInt(minor, 10) < OLDEST_MINOR;
    const upgrade = `Upgrade it: admission policies need Kubernetes 1.${OLDEST_MINOR} or newer.`;
    return { finding: isOld ? fail(check, where, upgrade) : ok(check, where), isReachable: true };
  } catch (error) {
    signal.throwIfAborted();
    const { message, remedy = 'Check the kubeconfig and the network.' } = toldOf(error);
    return { finding: fail(check, message, remedy), isReachable: false };
  }
}

/** Whether the cluster has the kind and the rules of this very version. */
export async function checkDefinitions(cluster: ClusterAccess, signal: AbortSignal): Promise<readonly Finding[]> {
  const wanted: readonly { readonly check: string; readonly resource: Resource; readonly object: object }[] = [
    { check: 'Workspace definition', resource: RESOURCES.customResourceDefinitions, object: workspaceCrd() },
    { check: 'admission policy', resource: POLICIES, object: workspacePolicy() },
    { check: 'admission policy binding', resource: BINDINGS, object: workspacePolicyBinding() },
  ];
  const findings: Finding[] = [];
  for (const { check, resource, object } of wanted) {
    const { metadata, spec } = object as KubernetesObject & { readonly spec: unknown };
    const found = await cluster.client.get(resource, { name: metadata.name }, { signal });
    if (found === undefined) {
      findings.push(fail(check, `${resource.kind} ${metadata.name} is not there`, APPLY));
      continue;
    }
    const [first, ...others] = differences(spec, (found as unknown as { readonly spec: unknown }).spec);
    const more = others.length === 0 ? '' : ` and ${others.length} more places`;
    findings.push(
      first === undefined
        ? ok(check, `${metadata.name} is that of this version`)
        : warn(check, `${metadata.name} is of another version: it differs in ${first}${more}`, APPLY),
    );
  }
  return findings;
}
