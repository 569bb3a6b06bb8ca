import { defineResource, RESOURCES } from '../../kubernetes/resources';
import type { KubernetesObject } from '../../kubernetes/objects';
import type { ClusterAccess } from '../cluster';

/** Label of everything that the chart installs. */
const PART_OF = 'app.kubernetes.io/part-of=kaito-temporal';
const COMPONENT = 'app.kubernetes.io/component';

export type Role = 'worker' | 'bridge';
export const ROLES: readonly Role[] = ['worker', 'bridge'];

interface Deployment extends KubernetesObject {
  readonly spec: {
    readonly replicas?: number;
    readonly template: {
      readonly spec: {
        readonly serviceAccountName?: string;
        readonly containers: readonly {
          readonly env?: readonly { readonly name: string; readonly value?: string }[];
          readonly envFrom?: readonly { readonly configMapRef?: { readonly name: string } }[];
        }[];
      };
    };
  };
  readonly status?: { readonly readyReplicas?: number };
}

const DEPLOYMENTS = defineResource<Deployment>({
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
});

/** A process of the product, as it is installed in the cluster. */
export interface InstalledRole {
  readonly role: Role;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly replicas: number;
  readonly readyReplicas: number;
  /** Its environment, as far as it is no secret. */
  readonly variables: Readonly<Record<string, string>>;
}

/** The roles that the chart installed, in whatever namespace; empty where the product runs elsewhere. */
export async function installedRoles(
  { client }: ClusterAccess,
  signal: AbortSignal,
): Promise<readonly InstalledRole[]> {
  const { items } = await client.list(DEPLOYMENTS, { labelSelector: PART_OF }, { signal });
  const roles: InstalledRole[] = [];
  for (const { metadata, spec, status } of items) {
    const role = ROLES.find((one) => one === metadata.labels?.[COMPONENT]);
    if (role === undefined) continue;
    const { namespace = 'default', name } = metadata;
    const [container] = spec.template.spec.containers;
    const variables: Record<string, string> = {};
    for (const { configMapRef } of container?.envFrom ?? []) {
      if (configMapRef === undefined) continue;
      const configMap = await client.get(RESOURCES.configMaps, { namespace, name: configMapRef.name }, { signal });
      Object.assign(variables, configMap?.data);
    }
    for (const { name: variable, value } of container?.env ?? []) if (value !== undefined) variables[variable] = value;
    roles.push({
      role,
      namespace,
      name,
      serviceAccount: spec.template.spec.serviceAccountName ?? 'default',
      replicas: spec.replicas ?? 1,
      readyReplicas: status?.readyReplicas ?? 0,
      variables,
    });
  }
  return roles;
}
