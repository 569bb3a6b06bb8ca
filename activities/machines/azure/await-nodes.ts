/**
 * From a pool that is there until its machines are usable: all nodes registered, Ready, and with as many GPUs as the size has.
 */
import { findCondition, type Node } from '../../../kubernetes/objects';
import type { MachineClaim } from '../provider';
import { notReadySince } from '../karpenter/life';
import type { StepContext } from '../../step';
import type { AzureDependencies } from './dependencies';
import type { Verdict } from './errors';
import { lifeOf, nodesOfPool } from './observe';

/** Deadlines pass without any object changing. */
const RECHECK_MS = 5_000;

/** What is wrong with a pool's machines. */
export type NodesVerdict = Verdict & {
  /** The node that it is about, where it is one. */
  readonly node?: string;
};

/** More than this share of the cluster's nodes NotReady at once is no defect of a machine: nothing is replaced then. */
const BRAKE = 0.2;

/** Undefined when all machines of the pool are usable; else what is wrong, once that has lasted too long. */
export async function awaitNodes(
  { world, now, configuration }: AzureDependencies,
  { workspace, candidate }: MachineClaim,
  name: string,
  context: Pick<StepContext, 'signal' | 'progress'>,
): Promise<NodesVerdict | undefined> {
  const { namespace, name: workspaceName } = workspace.metadata;
  const ref = { namespace, name: workspaceName };
  const { deadlines } = configuration;
  const { nodeCount, gpus } = candidate;
  const startedMs = now().getTime();
  let registeredMs: number | undefined;
  let widespreadMs = 0;
  const end = await world.until<NodesVerdict | 'usable'>(
    ref,
    () => {
      const all = world.owned(ref).nodes();
      const nodes = nodesOfPool(name, all);
      const atMs = now().getTime();
      if (nodes.length < nodeCount) {
        registeredMs = undefined;
        const message = `${nodes.length} of ${nodeCount} nodes of agent pool ${name} have registered`;
        context.progress(message, new Date(startedMs + deadlines.registeredMs));
        return atMs - startedMs >= deadlines.registeredMs ? unregistered(message, deadlines.registeredMs) : undefined;
      }
      registeredMs ??= atMs;
      const lives = nodes.map((node) => ({ node, life: lifeOf(node, gpus) }));
      const waiting = lives.find(({ life }) => life.phase !== 'Ready');
      if (waiting === undefined) return 'usable';
      const { node, life } = waiting;
      const usable = lives.filter(({ life: { phase } }) => phase === 'Ready').length;
      if (life.phase === 'NotReady' && isWidespread(all)) {
        // Nodes come back one by one: the last of them has its time from then on.
        widespreadMs = atMs;
        context.progress(`${life.message}; so are many others: nothing is replaced before that is over`);
        return undefined;
      }
      const notReadyMs = life.phase === 'NotReady' ? notReadySince(node, registeredMs, new Date(atMs)) : 0;
      const sinceMs = Math.max(registeredMs, widespreadMs, notReadyMs);
      const waitsFor = `${usable} of ${nodeCount} machines usable; ${life.message ?? life.phase}`;
      context.progress(waitsFor, new Date(sinceMs + deadlines.gpusMs));
      return atMs - sinceMs >= deadlines.gpusMs
        ? {
            ...unusable(name, life.message ?? life.phase, life.phase === 'Initialized', deadlines.gpusMs),
            node: node.metadata.name,
          }
        : undefined;
    },
    { signal: context.signal, recheckMs: Math.min(RECHECK_MS, deadlines.registeredMs, deadlines.gpusMs) },
  );
  return end === 'usable' ? undefined : end;
}

/** Whether all machines of a pool are usable now, whatever Azure says of the pool: an upgrade that failed takes no machine away. */
export function areUsable(
  { world }: Pick<AzureDependencies, 'world'>,
  { workspace: { metadata }, candidate }: MachineClaim,
  pool: string,
): boolean {
  const nodes = nodesOfPool(pool, world.owned({ namespace: metadata.namespace, name: metadata.name }).nodes());
  return nodes.length === candidate.nodeCount && nodes.every((node) => lifeOf(node, candidate.gpus).phase === 'Ready');
}

/** Whether nodes are NotReady all over the cluster, as they are when its API server or network was away. */
function isWidespread(nodes: readonly Node[]): boolean {
  const notReady = nodes.filter((node) => findCondition(node, 'Ready')?.status !== 'True').length;
  return notReady > 1 && notReady > nodes.length * BRAKE;
}

function unregistered(what: string, allowedMs: number): Verdict {
  return lateMachines(
    'NodesNotRegistered',
    `${what} within ${Math.round(allowedMs / 1_000)} s after Azure had created it`,
    'Look at the machines’ outbound access and the subnet’s rules: nodes that cannot reach the API server never register.',
  );
}

function unusable(name: string, what: string, lacksGpus: boolean, allowedMs: number): Verdict {
  const within = `within ${Math.round(allowedMs / 1_000)} s`;
  return lacksGpus
    ? lateMachines(
        'GpusNotAllocatable',
        `agent pool ${name}: ${what} ${within}: the NVIDIA device plugin does not run there, or the driver is not installed`,
        'Look at the device plugin (kubectl get pods -A -l name=nvidia-device-plugin-ds -o wide): it has to tolerate sku=gpu:NoSchedule.',
      )
    : lateMachines(
        'NodesNotReady',
        `agent pool ${name}: ${what}; not mended ${within}`,
        'Look at the node: kubectl describe node.',
      );
}

function lateMachines(code: string, message: string, remedy: string): Verdict {
  return {
    class: 'internal',
    scope: 'request',
    code,
    ttlMs: 0,
    failure: { cause: 'NotReadyInTime', message, remedy },
  };
}
