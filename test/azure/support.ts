/**
 * The provider of agent pools against the fake Resource Manager, the real SDK, the real API server (nodes by KWOK) and the coordinator's real logic; what
 * a scenario does not care about is quick.
 */
import type { Failure } from '../../api/causes';
import type { Candidate } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';
import type { AzureConfiguration } from '../../activities/machines/azure/configuration';
import { openCoordinator } from '../../activities/machines/azure/coordination/open-coordinator';
import type { Transport } from '../../activities/machines/azure/coordination/transport';
import { openAzure } from '../../activities/machines/azure/open-azure';
import { openWorld, type World } from '../../activities/observe/world';
import type { Acquisition, AcquisitionContext, FailedVariant, Sweeping } from '../../activities/machines/provider';
import { connect, type KubernetesClient } from '../../kubernetes/client';
import { SILENT_LOGGER as logger } from '../../kubernetes/logger';
import { RESOURCES } from '../../kubernetes/resources';
import { answerFor, reportOf } from '../../workflows/coordinator/answer';
import { NOTHING_YET, told } from '../../workflows/coordinator/state';
import { useEnvironment } from '../environment';
import { startFakeArm } from '../fakes/arm/fake-arm';
import { kwokNodes } from '../fakes/arm/kwok-nodes';
import type { FakeArm, FakeArmOptions, InvariantOptions } from '../fakes/arm/types';
import { workspace } from '../unit/manifests/fixtures';

export const A100 = 'Standard_NC24ads_A100_v4';
export const H100 = 'Standard_NC40ads_H100_v5';
export const FAMILY = 'StandardNCADSA100v4Family';

export const DEADLINES = { acceptedMs: 5_000, poolMs: 20_000, registeredMs: 10_000, gpusMs: 10_000, drainMs: 60_000 };

export interface ScenarioOptions {
  readonly arm?: FakeArmOptions;
  readonly configuration?: Partial<AzureConfiguration>;
}

/** One worker process: what dies with it is here, what outlives it is in the fake. */
export interface Worker {
  readonly ensure: (claim: Claim) => Promise<Acquisition>;
  /** Asks until nothing is left. */
  readonly release: (claim: Claim) => Promise<void>;
  /** Ends it as a kill would: what it waits for is given up. */
  readonly kill: () => void;
  /** What the sweeper uses of it. */
  readonly sweeping: Sweeping;
  readonly progress: readonly string[];
  readonly events: readonly string[];
  /** The list of attempts. */
  readonly failed: readonly FailedVariant[];
}

export interface Claim {
  readonly workspace: Workspace;
  readonly candidate: Candidate;
  readonly diskGiB: number;
}

export interface Scenario {
  readonly arm: FakeArm;
  readonly worker: () => Worker;
  readonly claim: (over?: Partial<Candidate>, resource?: object, name?: string) => Claim;
  readonly coordinator: { report(): ReturnType<typeof reportOf> };
  readonly world: World;
  readonly client: KubernetesClient;
}

let shared: { readonly client: KubernetesClient; readonly world: World } | undefined;
let open: { arm: FakeArm; ends: (() => Promise<unknown> | void)[] } | undefined;
let scenarios = 0;

/** Registers the hooks of a file. After each test the fake's invariants hold. */
export function useScenarios(): (options?: ScenarioOptions) => Promise<Scenario> {
  beforeAll(async () => {
    const client = connect({ kubeconfig: useEnvironment().kubeconfig });
    shared = { client, world: await openWorld(client, logger, { nodeClaims: false }) };
  });
  afterAll(async () => {
    await shared?.world.stop();
    await shared?.client.close();
  });
  afterEach(async () => {
    const ended = open;
    open = undefined;
    for (const end of ended?.ends ?? []) await end();
    for (const pool of ended?.arm.pools() ?? []) {
      for (const name of pool.nodes) await shared?.client.delete(RESOURCES.nodes, { name });
    }
    await ended?.arm.stop();
  });
  return start;
}

async function start({ arm: armOptions, configuration: over }: ScenarioOptions = {}): Promise<Scenario> {
  if (shared === undefined) throw new Error('call useScenarios in the file');
  const { client, world } = shared;
  const arm = await startFakeArm({ nodes: kwokNodes(client), retryAfterSeconds: 'none', ...armOptions });
  const configuration: AzureConfiguration = {
    subscriptionId: arm.subscriptionId,
    resourceGroup: arm.cluster.resourceGroup,
    clusterName: arm.cluster.name,
    location: arm.cluster.location,
    endpoint: arm.url,
    audience: arm.url,
    priceEndpoint: arm.url,
    clusterId: `test-${process.pid}-${(scenarios += 1)}`,
    buckets: { burst: 20, perMinute: 1 },
    creatingAtOnce: 4,
    deadlines: DEADLINES,
    pollMs: 40,
    ...over,
  };
  const memory = coordinatorInMemory();
  const ends: (() => Promise<unknown> | void)[] = [];
  open = { arm, ends };
  return {
    arm,
    client,
    world,
    coordinator: memory,
    worker() {
      const killed = new AbortController();
      const coordinator = openCoordinator({
        transport: memory.transport,
        identity: 'test',
        settings: {
          ...configuration.buckets,
          creatingAtOnce: configuration.creatingAtOnce,
          leaseMs: 60_000,
          askAgainMs: 20,
        },
        logger,
      });
      const now = (): Date => new Date();
      const tls = { ca: arm.ca };
      const provider = openAzure({ coordinator, world, configuration, logger, now, credential: arm.credential, tls });
      const progress: string[] = [];
      const events: string[] = [];
      const failed: FailedVariant[] = [];
      ends.push(
        () => killed.abort(new Error('the worker was killed')),
        () => coordinator.close(),
      );
      const unused = (): never => {
        throw new Error('a provider does not write the status');
      };
      const context: AcquisitionContext = {
        signal: killed.signal,
        progress: (message) => progress.push(message),
        event: (_, type, reason, message) => events.push(`${type} ${reason}: ${message}`),
        failed: (attempt) => failed.push(attempt),
        tell: unused,
        follow: unused,
      };
      if (provider.sweeping === undefined) throw new Error('pools can be swept');
      return {
        progress,
        events,
        sweeping: provider.sweeping,
        failed,
        ensure: (claim) => provider.ensure(claim, context),
        async release({ workspace: { metadata } }) {
          const { namespace, name, uid } = metadata;
          const owner = { namespace, name, isOwned: (one: string | undefined) => one === uid };
          while ((await provider.release(owner, killed.signal)).length > 0) {
            await new Promise((resolve) => setTimeout(resolve, configuration.pollMs));
          }
        },
        kill() {
          arm.clientRestarted();
          killed.abort(new Error('the worker was killed'));
        },
      };
    },
    claim(candidate = {}, resource = {}, name = 'phi') {
      const instanceType = candidate.instanceType ?? A100;
      const parsed = workspace(
        {
          resource: { instanceType, labelSelector: { matchLabels: { apps: name } } },
          inference: { preset: { name: 'phi-4-mini-instruct' } },
        },
        { name, namespace: configuration.clusterId, uid: `${configuration.clusterId}-${name}` },
      );
      return {
        workspace: { ...parsed, resource: { ...parsed.resource, ...resource } },
        candidate: {
          provider: 'azure',
          instanceType,
          nodeCount: 1,
          gpus: { count: 1, memoryBytes: 80 * 2 ** 30, resourceName: 'nvidia.com/gpu' },
          nvme: false,
          ...candidate,
        },
        diskGiB: 64,
      };
    },
  };
}

/** The coordinator's own logic, without Temporal between. */
function coordinatorInMemory() {
  let state = NOTHING_YET;
  const report = () => reportOf(state, Date.now());
  const transport: Transport = {
    async exchange(said) {
      const next = told(state, said, Date.now());
      if (next === undefined) return { kind: 'unknown' };
      state = next;
      return answerFor(state, said.session, Date.now());
    },
    report: async () => report(),
  };
  return { transport, report };
}

/** The failure of an acquisition that came to nothing. */
export function failureOf(acquisition: Acquisition): Failure {
  if (acquisition.kind !== 'unavailable') throw new Error('the machines were acquired');
  return acquisition.failure;
}

/** What of a PUT's body is the same whenever it is sent: all but the time. */
export const WITHOUT_TIME: InvariantOptions = {
  comparable: (body) => {
    const { properties } = body as { properties: { tags: Record<string, string>; nodeLabels: Record<string, string> } };
    const { 'kaito-created-at': _at, ...tags } = properties.tags;
    const { 'kaito.sh/creation-timestamp': _stamp, ...nodeLabels } = properties.nodeLabels;
    return { ...properties, tags, nodeLabels };
  },
};

/** The PUTs' bodies, in order. */
export function bodies(arm: FakeArm): readonly { readonly properties: Record<string, unknown> }[] {
  return arm.requestsOf('PUT').map(({ body }) => body as { properties: Record<string, unknown> });
}
