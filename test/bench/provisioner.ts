/**
 * Instant machines: answers every NodeClaim with a Node that is ready, as Karpenter would in minutes. KWOK then keeps the node's lease and
 * runs its pods. Run as a process of its own (`node provisioner.ts`), so that the product is measured with nothing of it.
 */
import { Cache } from '../../kubernetes/cache';
import { connect, type KubernetesClient } from '../../kubernetes/client';
import { isAlreadyExists, isNotFound } from '../../kubernetes/errors';
import type { Condition, NodeClaim, Pod } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { createLogger } from '../../workers/logging';

const FINALIZER = 'karpenter.sh/termination';
const GPU = 'nvidia.com/gpu';
const CLAIM_CONDITIONS = ['Launched', 'Registered', 'Initialized', 'Ready'];

/** What the benchmark is told when it asks: milliseconds from seeing a claim until it was answered, for each. */
export interface ProvisionerAnswer {
  readonly answers: readonly number[];
}

/** A node that is Ready from its first moment, with GPUs; KWOK plays its kubelet. */
export function readyNode(name: string, labels: Readonly<Record<string, string>>, gpus: string) {
  const now = new Date().toISOString();
  const resources = { cpu: '64', memory: '512Gi', pods: '110', 'ephemeral-storage': '2Ti', [GPU]: gpus };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64', ...labels },
      annotations: { 'kwok.x-k8s.io/node': 'fake' },
    },
    spec: { providerID: `bench://${name}` },
    status: {
      phase: 'Running',
      capacity: resources,
      allocatable: resources,
      conditions: [
        { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now, lastTransitionTime: now },
      ],
      addresses: [{ type: 'Hostname', address: name }],
    },
  };
}

/** Serves NodeClaims until stopped. */
export async function startProvisioner(client: KubernetesClient) {
  const logger = createLogger('warn');
  const answers: number[] = [];
  const provisioned = new Set<string>();
  const released = new Set<string>();

  const pods = new Cache<Pod>(client, {
    resource: RESOURCES.pods,
    logger,
    index: ({ spec: { nodeName } }) => (nodeName === undefined ? [] : [nodeName]),
  }).start();
  const claims = new Cache<NodeClaim>(client, { resource: RESOURCES.nodeClaims, logger }).start();
  const handle = (claim: NodeClaim): void => {
    const { uid, name, deletionTimestamp } = claim.metadata;
    const isNew = deletionTimestamp === undefined ? !provisioned.has(uid) : !released.has(uid);
    if (!isNew) return;
    const [done, work] = deletionTimestamp === undefined ? [provisioned, provide] : [released, release];
    done.add(uid);
    work(claim).catch((error: unknown) => {
      done.delete(uid); // its next change tries again
      logger.error('a NodeClaim could not be served', { name, error });
    });
  };
  claims.subscribe((event) => {
    if (event.type !== 'deleted') handle(event.object);
  });
  await Promise.all([claims.synced, pods.synced]);

  async function provide(claim: NodeClaim): Promise<void> {
    const seenAt = performance.now();
    const { name, labels = {}, finalizers = [] } = claim.metadata;
    if (claim.status?.nodeName !== undefined) return;
    const ready = readyNode(name, { ...labels, ...labelsWanted(claim) }, gpusWanted(claim));
    const node = { ...ready, spec: { ...ready.spec, taints: claim.spec.taints ?? [] } };
    await Promise.all([
      client.patch(RESOURCES.nodeClaims, { name }, { metadata: { finalizers: [...finalizers, FINALIZER] } }),
      client.create(RESOURCES.nodes, node).catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error;
      }),
    ]);
    const lastTransitionTime = new Date().toISOString();
    const conditions: readonly Condition[] = CLAIM_CONDITIONS.map((type) => ({
      type,
      status: 'True',
      reason: type,
      message: '',
      lastTransitionTime,
    }));
    const { providerID } = node.spec;
    const { capacity, allocatable } = node.status;
    const status = { nodeName: name, providerID, capacity, allocatable, conditions };
    await client.patchStatus(RESOURCES.nodeClaims, { name }, { status });
    answers.push(performance.now() - seenAt);
  }

  async function release({ metadata: { name, finalizers = [] } }: NodeClaim): Promise<void> {
    // As Karpenter does: pods that outlive their node wait a minute for Kubernetes' own pod garbage collector.
    await pods.waitFor(name, (left) => left.length === 0 || undefined);
    await client.delete(RESOURCES.nodes, { name });
    const left = finalizers.filter((finalizer) => finalizer !== FINALIZER);
    try {
      await client.patch(RESOURCES.nodeClaims, { name }, { metadata: { finalizers: left } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  return { answers: answers as readonly number[], stop: () => Promise.all([claims.stop(), pods.stop()]) };
}

/** What Karpenter would choose: the one value of each requirement. */
function labelsWanted({ spec }: NodeClaim): Record<string, string> {
  const single = spec.requirements.flatMap(({ key, operator, values = [] }) =>
    operator === 'In' && values[0] !== undefined ? [[key, values[0]] as const] : [],
  );
  return { ...Object.fromEntries(single), 'karpenter.sh/registered': 'true', 'karpenter.sh/initialized': 'true' };
}

function gpusWanted({ spec }: NodeClaim): string {
  return spec.resources?.requests?.[GPU] ?? '1';
}

async function main(): Promise<void> {
  const client = connect({ userAgent: 'bench-provisioner' });
  const provisioner = await startProvisioner(client);
  process.on('message', () => process.send?.({ answers: provisioner.answers } satisfies ProvisionerAnswer));
  process.stdout.write('{"msg":"started"}\n');
  await new Promise((resolve) => process.once('SIGTERM', resolve));
  await provisioner.stop();
  await client.close();
  process.exit(); // the channel is open, and nothing is left to do
}

if (require.main === module) void main();
