/** What belongs to others, beside what is the product's: it must be as it was when all is over. */
import { LABEL_WORKSPACE } from '../../api/labels';
import type { KubernetesClient } from '../../kubernetes/client';
import { isAlreadyExists } from '../../kubernetes/errors';
import type { KubernetesObject, Manifest } from '../../kubernetes/objects';
import { RESOURCES, type Resource } from '../../kubernetes/resources';
import { NODE_CLASS, NODE_POOL } from '../../local/environment';
import { insist, USERS } from './scene';

/** A text that is in every Secret of the run, and must be nowhere else. */
export const SECRET_TEXT = 'c2VjcmV0IG9mIGNoYW9z';

const NAME = 'bystander';

interface Bystander {
  readonly resource: Resource;
  readonly manifest: Manifest & { readonly metadata: { readonly name: string } };
}

/** Others' objects in a namespace; those of no namespace are the same for all. */
function bystanders(namespace: string): readonly Bystander[] {
  const metadata = { namespace, name: NAME, labels: { [USERS]: '', app: NAME } };
  const template = {
    metadata: { labels: { app: NAME } },
    spec: { restartPolicy: 'Never', containers: [{ name: 'one', image: 'x' }] },
  };
  return [
    {
      resource: RESOURCES.services,
      manifest: { apiVersion: 'v1', kind: 'Service', metadata, ...{ spec: { ports: [{ port: 80 }] } } },
    },
    {
      resource: RESOURCES.configMaps,
      manifest: { apiVersion: 'v1', kind: 'ConfigMap', metadata, ...{ data: { of: 'others' } } },
    },
    {
      resource: RESOURCES.jobs,
      manifest: { apiVersion: 'batch/v1', kind: 'Job', metadata, ...{ spec: { suspend: true, template } } },
    },
    {
      resource: RESOURCES.nodeClaims,
      manifest: {
        apiVersion: 'karpenter.sh/v1',
        kind: 'NodeClaim',
        // As a machine of somebody who uses the same label, and has no Workspace of that name here.
        metadata: { name: NAME, labels: { 'karpenter.sh/nodepool': NODE_POOL, [LABEL_WORKSPACE]: NAME } },
        ...{
          spec: {
            nodeClassRef: NODE_CLASS,
            requirements: [
              { key: 'node.kubernetes.io/instance-type', operator: 'In', values: ['Standard_NC24ads_A100_v4'] },
            ],
          },
        },
      },
    },
  ];
}

/** Makes the namespace, them, and the Secret that adapters are pushed with. */
export async function makeBystanders(
  client: KubernetesClient,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly KubernetesObject[]> {
  const auth = { auths: { 'registry.example.com': { auth: SECRET_TEXT } } };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: 'push' },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': JSON.stringify(auth) },
  };
  await make(
    client,
    RESOURCES.namespaces,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    signal,
  );
  await make(client, RESOURCES.secrets, secret, signal);
  return Promise.all(bystanders(namespace).map(({ resource, manifest }) => make(client, resource, manifest, signal)));
}

async function make(
  client: KubernetesClient,
  resource: Resource,
  manifest: Bystander['manifest'] & { readonly metadata: { readonly namespace?: string } },
  signal: AbortSignal,
): Promise<KubernetesObject> {
  return insist(async () => {
    try {
      return await client.create(resource, manifest);
    } catch (error) {
      const existing = isAlreadyExists(error) ? await client.get(resource, manifest.metadata) : undefined;
      if (existing === undefined) throw error;
      return existing;
    }
  }, signal);
}

/** Those that are not as they were: gone, made anew, edited or being deleted. */
export async function harmed(
  client: KubernetesClient,
  before: readonly KubernetesObject[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const looks = before.map(async ({ kind, metadata }) => {
    const resource = Object.values(RESOURCES).find((one) => one.kind === kind) as Resource;
    const now = await insist(() => client.get(resource, metadata), signal);
    const isAsBefore =
      now?.metadata.uid === metadata.uid &&
      now.metadata.deletionTimestamp === undefined &&
      versionOf(now) === versionOf({ metadata });
    return isAsBefore ? [] : [`${kind} ${metadata.name}`];
  });
  return (await Promise.all(looks)).flat();
}

/** Of kinds that have no generation nobody changes the rest. */
function versionOf({ metadata }: Pick<KubernetesObject, 'metadata'>): string {
  return String(metadata.generation ?? metadata.resourceVersion);
}
