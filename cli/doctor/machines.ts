import type { Node } from '../../kubernetes/objects';
import { defineResource, RESOURCES } from '../../kubernetes/resources';
import type { Configuration } from '../../workers/configuration';
import type { ClusterAccess } from '../cluster';
import { fail, ok, skip, warn, type Finding } from './finding';

const GPU = /^(nvidia\.com|amd\.com)\/(gpu|mig-)/;
const GPU_PRODUCT_LABEL = 'nvidia.com/gpu.product';
const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';

/** Whether machines can be bought as the configuration says. */
export async function checkProvider(
  { client }: ClusterAccess,
  { machines: { buyer, nodeClass, nodePool }, azure }: Pick<Configuration, 'machines' | 'azure'>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const check = 'machines';
  if (buyer === 'azure') {
    // Complete, or the configuration would have been refused. Whether Azure lets the worker in, only the worker can tell.
    const { clusterName = '', resourceGroup = '', subscriptionId = '', location = '' } = azure ?? {};
    const where = `cluster '${clusterName}' (resource group '${resourceGroup}', subscription ${subscriptionId}, ${location})`;
    return [ok(check, `the worker makes agent pools of ${where}`)];
  }
  const claims = await client.get(RESOURCES.customResourceDefinitions, { name: 'nodeclaims.karpenter.sh' }, { signal });
  if (claims === undefined) {
    return [
      warn(
        check,
        'the cluster has no NodeClaims: Workspaces run on own nodes only',
        'To have machines bought, install a provider of NodeClaims (Karpenter or gpu-provisioner).',
      ),
    ];
  }
  const { group, kind, name } = nodeClass;
  const definition = await classDefinition(client, group, kind, signal);
  if (definition === undefined) {
    return [
      fail(
        check,
        `NodeClaims would name ${kind}.${group}, but the cluster has no such kind`,
        'Install that provider, or set KAITO_NODE_CLASS_PROFILE to the one that is installed.',
      ),
    ];
  }
  const found = await client.get(definition, { name }, { signal });
  const findings = [
    found === undefined
      ? fail(check, `${kind} '${name}' is not there`, `Create it, or name another one in KAITO_NODE_CLASS_NAME.`)
      : ok(check, `NodeClaims name ${kind} '${name}'`),
  ];
  return nodePool === undefined ? findings : [...findings, await checkNodePool(client, nodePool, signal)];
}

async function checkNodePool(client: ClusterAccess['client'], name: string, signal: AbortSignal): Promise<Finding> {
  const check = 'NodePool';
  const definition = await client.get(
    RESOURCES.customResourceDefinitions,
    { name: 'nodepools.karpenter.sh' },
    { signal },
  );
  if (definition === undefined) return ok(check, 'the provider has none, and needs none');
  const pools = defineResource({
    group: 'karpenter.sh',
    version: 'v1',
    plural: 'nodepools',
    kind: 'NodePool',
    namespaced: false,
  });
  return (await client.get(pools, { name }, { signal })) === undefined
    ? fail(
        check,
        `NodePool '${name}', which NodeClaims name by label, is not there: Karpenter would not see to them`,
        'Create it with no capacity of its own (limits: cpu 0), or name another one in KAITO_NODE_POOL.',
      )
    : ok(check, `'${name}'`);
}

async function classDefinition(client: ClusterAccess['client'], group: string, kind: string, signal: AbortSignal) {
  const { items } = await client.list(RESOURCES.customResourceDefinitions, {}, { signal });
  for (const item of items) {
    const { spec } = item as unknown as {
      spec: { group: string; names: { kind: string; plural: string }; versions: { name: string; served: boolean }[] };
    };
    const version = spec.versions.find(({ served }) => served)?.name;
    if (spec.group !== group || spec.names.kind !== kind || version === undefined) continue;
    return defineResource({ group, version, plural: spec.names.plural, kind, namespaced: false });
  }
  return undefined;
}

/** Whether adapters can be kept until they are pushed. */
export async function checkStorage(
  { client }: ClusterAccess,
  { tuning: { storageClassName } }: Pick<Configuration, 'tuning'>,
  signal: AbortSignal,
): Promise<Finding> {
  const check = 'storage for tuning';
  const { items } = await client.list(RESOURCES.storageClasses, {}, { signal });
  if (storageClassName !== undefined) {
    return items.some(({ metadata }) => metadata.name === storageClassName)
      ? ok(check, `StorageClass '${storageClassName}'`)
      : fail(
          check,
          `StorageClass '${storageClassName}' is not there`,
          'Create it, or change KAITO_TUNING_STORAGE_CLASS.',
        );
  }
  const byDefault = items.find(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === 'true');
  return byDefault === undefined
    ? warn(
        check,
        'no StorageClass is the default: tunings that push wait in step Plan',
        `Annotate one with ${DEFAULT_CLASS}=true, or set KAITO_TUNING_STORAGE_CLASS.`,
      )
    : ok(check, `default StorageClass '${byDefault.metadata.name}'`);
}

/** Whether GPUs of the nodes that are there can be used. */
export async function checkGpus({ client }: ClusterAccess, signal: AbortSignal): Promise<Finding> {
  const check = 'GPU nodes';
  const { items } = await client.list(RESOURCES.nodes, {}, { signal });
  const withGpus = items.filter((node) => gpusOf(node) > 0);
  const without = items.filter((node) => gpusOf(node) === 0 && node.metadata.labels?.[GPU_PRODUCT_LABEL] !== undefined);
  if (without.length > 0) {
    return warn(
      check,
      `no GPU is allocatable on ${without.map(({ metadata }) => metadata.name).join(', ')}, which ${without.length === 1 ? 'says it has' : 'say they have'} some`,
      "Look at NVIDIA's device plugin on these nodes: kubectl describe node.",
    );
  }
  if (withGpus.length === 0) return skip(check, 'none now; machines that are bought bring theirs');
  const gpus = withGpus.reduce((sum, node) => sum + gpusOf(node), 0);
  return ok(check, `${gpus} GPUs allocatable on ${withGpus.length} of ${items.length} nodes`);
}

function gpusOf({ status }: Node): number {
  return Object.entries(status?.allocatable ?? {})
    .filter(([name]) => GPU.test(name))
    .reduce((sum, [, amount]) => sum + Number(amount), 0);
}
