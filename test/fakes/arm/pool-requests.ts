/** All that is asked of agent pools but PUT. */
import { ArmRefusal, bare, invalidParameter, notFound } from './errors';
import { begin, end } from './operations';
import { preempted } from './failures';
import { checkLocks, checkPreconditions, operationHeaders } from './put-pool';
import {
  change,
  clusterPath,
  nodeResourceGroup,
  poolResource,
  type Cluster,
  type StoredPool,
  type World,
} from './state';
import type { Answer, RecordedRequest } from './types';

export function getPool({ settings }: World, cluster: Cluster, name: string): Answer {
  return { status: 200, headers: {}, body: poolResource(settings, cluster.spec, find(cluster, name)) };
}

export function listPools(world: World, cluster: Cluster, request: RecordedRequest): Answer {
  const pools = [...cluster.pools.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return page(
    world,
    request,
    pools.map((pool) => poolResource(world.settings, cluster.spec, pool)),
  );
}

export function deletePool(world: World, cluster: Cluster, name: string, request: RecordedRequest): Answer {
  const pool = cluster.pools.get(name);
  checkPreconditions(world, pool, name, request);
  if (pool === undefined) return { status: 204, headers: {} };
  if (pool.operation?.kind === 'delete') return { status: 202, headers: operationHeaders(world, pool.operation) };
  const takesOver = world.settings.deleteWhileCreating === 'accepted';
  checkLocks(world, cluster, name, (one) => one.name === name && (takesOver || one.operation?.kind !== 'create'));
  const systemPools = [...cluster.pools.values()].filter(({ properties }) => properties.mode === 'System');
  if (systemPools.length === 1 && systemPools[0] === pool) {
    throw new ArmRefusal(
      bare(400, { code: 'OperationNotAllowed', message: 'There has to be at least one system agent pool.' }),
    );
  }
  const outcome = world.outcomes.of('delete', pool);
  const isBlockedByBudget = outcome.kind === 'fails' && JSON.stringify(outcome.error).includes('PodDrainFailure');
  const ignoresBudgets = request.query.get('ignore-pod-disruption-budget') === 'true';
  const operation = begin(world, cluster, pool, {
    kind: 'delete',
    during: 'Deleting',
    ms: world.settings.timings.deleteMs,
    outcome: isBlockedByBudget && ignoresBudgets ? { kind: 'succeeds' } : outcome,
    onSuccess: async () => {
      await world.machines.removeAll(pool);
      if (cluster.pools.get(name) === pool) cluster.pools.delete(name);
    },
  });
  return { status: 202, headers: operationHeaders(world, operation) };
}

export function abortPool(world: World, cluster: Cluster, name: string): Answer {
  const pool = find(cluster, name);
  const running = pool.operation;
  if (running === undefined) {
    throw new ArmRefusal(
      bare(409, {
        code: 'OperationNotAllowed',
        message: `There is no operation in progress on the agent pool ${name} that could be aborted.`,
      }),
    );
  }
  if (running.kind === 'delete') {
    throw new ArmRefusal(
      bare(409, { code: 'OperationNotAllowed', message: `The deletion of the agent pool ${name} cannot be aborted.` }),
    );
  }
  const operation = begin(world, cluster, pool, {
    kind: 'abort',
    during: 'Canceling',
    ms: world.settings.timings.updateMs,
    onSuccess: () => {
      end(world, operation, 'Succeeded', undefined);
      change(pool, { provisioningState: 'Canceled', status: { provisioningError: preempted() } });
    },
  });
  return { status: 202, headers: operationHeaders(world, operation) };
}

export function deleteMachines(world: World, cluster: Cluster, name: string, request: RecordedRequest): Answer {
  const pool = find(cluster, name);
  const names = (request.body as { machineNames?: unknown } | undefined)?.machineNames;
  if (!Array.isArray(names) || names.length === 0) {
    throw new ArmRefusal(invalidParameter('Required parameter machineNames is missing (null).', 'machineNames'));
  }
  const unknown = names.filter((one) => !pool.nodes.includes(String(one)));
  if (unknown.length > 0) {
    throw new ArmRefusal(
      invalidParameter(`The machines ${unknown.join(', ')} are not of the agent pool ${name}.`, 'machineNames'),
    );
  }
  checkLocks(world, cluster, name);
  const operation = begin(world, cluster, pool, {
    kind: 'deleteMachines',
    during: 'DeletingMachines',
    ms: world.settings.timings.deleteMs,
    onSuccess: async () => {
      await Promise.all(names.map((one) => world.machines.remove(pool, String(one))));
      change(pool, { count: pool.nodes.length });
    },
  });
  return { status: 202, headers: operationHeaders(world, operation) };
}

export function listMachines(world: World, cluster: Cluster, name: string, request: RecordedRequest): Answer {
  const { settings } = world;
  const pool = find(cluster, name);
  const group = nodeResourceGroup(cluster.spec);
  const machines = pool.nodes.map((node) => ({
    id: `${clusterPath(settings, cluster.spec)}/agentPools/${name}/machines/${node}`,
    name: node,
    type: 'Microsoft.ContainerService/managedClusters/agentPools/machines',
    properties: {
      resourceId: `/subscriptions/${settings.subscriptionId}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachineScaleSets/${node.slice(0, -6)}/virtualMachines/${parseInt(node.slice(-6), 36)}`,
    },
  }));
  return page(world, request, machines);
}

export function getCluster({ settings }: World, { spec, state, pools }: Cluster): Answer {
  const { provisioningState, powerState, nodeProvisioning } = state;
  return {
    status: 200,
    headers: {},
    body: {
      id: clusterPath(settings, spec),
      name: spec.name,
      type: 'Microsoft.ContainerService/ManagedClusters',
      location: spec.location,
      sku: { name: 'Base', tier: 'Standard' },
      properties: {
        provisioningState,
        powerState: { code: powerState },
        kubernetesVersion: '1.34',
        currentKubernetesVersion: '1.34.2',
        nodeResourceGroup: nodeResourceGroup(spec),
        nodeProvisioningProfile: { mode: nodeProvisioning },
        agentPoolProfiles: [...pools.values()].map(({ name, properties }) => ({ name, ...properties })),
      },
    },
  };
}

function find(cluster: Cluster, name: string): StoredPool {
  const pool = cluster.pools.get(name);
  if (pool === undefined) {
    throw new ArmRefusal(
      notFound(
        'NotFound',
        `Agent Pool not found. The agent pool ${name} of managed cluster ${cluster.spec.name} does not exist.`,
      ),
    );
  }
  return pool;
}

/** One page of a list, with the address of the next. */
export function page(world: World, request: RecordedRequest, all: readonly object[]): Answer {
  const { pageSize } = world.settings;
  const token = request.query.get('$skiptoken');
  const from = token === null ? 0 : Number(Buffer.from(token, 'base64url').toString());
  if (!Number.isInteger(from) || from < 0)
    throw new ArmRefusal(invalidParameter(`The $skiptoken '${token}' is invalid.`));
  const query = new URLSearchParams(request.query);
  query.set('$skiptoken', Buffer.from(String(from + pageSize)).toString('base64url'));
  const nextLink = from + pageSize < all.length ? `${world.url()}${request.path}?${query.toString()}` : undefined;
  return {
    status: 200,
    headers: {},
    body: { value: all.slice(from, from + pageSize), ...(nextLink !== undefined && { nextLink }) },
  };
}
