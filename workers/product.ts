/**
 * The processes' insides: what a worker and a bridge need, opened and closed in order. `start.ts` is the command around it; tests and the
 * benchmark call it directly.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { Client } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import {
  DefaultLogger,
  Worker,
  bundleWorkflowCode,
  type WorkflowBundleOption,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { createActivities } from '../activities';
import type { Dependencies } from '../activities/dependencies';
import { describeModel } from '../activities/huggingface/hub';
import { openWorld } from '../activities/observe/world';
import { openQuotas } from '../activities/quotas/limits';
import { createStatusWriter } from '../activities/status/status-writer';
import { startBridge, type Bridge } from '../bridge/bridge';
import { createWorkflows } from '../bridge/workflows';
import { toError } from '../api/to-error';
import { connect, type KubernetesClient } from '../kubernetes/client';
import { EventRecorder } from '../kubernetes/events';
import type { Logger } from '../kubernetes/logger';
import { RESOURCES } from '../kubernetes/resources';
import { openAzureProvider, type AzureAccess } from './azure-provider';
import type { Telemetry } from '../telemetry/telemetry';
import { closeAfter, closeAll } from './close-all';
import type { Configuration } from './configuration';
import { openDataConverter } from './encryption/data-converter';
import { observeBridge, observeKubernetes, observeTemporal, observeWorker, observeWorld } from './observability';
import { registerSearchAttributes } from './search-attributes';
import { createSweeper } from './sweeper';
import { connectTemporal } from './temporal-connections';
import { deploymentOptions, watchVersion, workerVersion } from './versioning';

export type Role = 'worker' | 'bridge';

export interface Product {
  readonly client: KubernetesClient;
  /** Rejects when the worker fails; resolves after {@link stop}. */
  readonly running: Promise<void>;
  /** Hands over what is at work, closes everything. */
  stop(): Promise<void>;
}

export interface ProductOptions {
  readonly configuration: Configuration;
  readonly logger: Logger;
  readonly roles: readonly Role[];
  /** Default: as kubectl finds it. */
  readonly kubeconfig?: string;
  /** Default: `TEMPORAL_*`. */
  readonly temporal?: { readonly address: string; readonly namespace: string };
  /** Default: Azure's usual order of credentials; in a cluster, workload identity. */
  readonly azure?: AzureAccess;
  /** Default: nothing is counted or traced, and nobody asks for health. */
  readonly telemetry?: Telemetry;
  /** Default: the file that the configuration names, else bundled at start. */
  readonly workflowBundle?: WorkflowBundleWithSourceMap;
}

/** The workflow code as the worker loads it. */
export function bundleWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({
    workflowsPath: require.resolve('../workflows/index'),
    workflowInterceptorModules: [require.resolve('../workflows/trace-context')],
    logger: new DefaultLogger('WARN'),
  });
}

/** @throws where the file can't be read, naming the variable: the SDK would only say so once the worker runs. */
export async function workflowBundle({ workflowBundle: codePath }: Configuration): Promise<WorkflowBundleOption> {
  if (codePath === undefined) return bundleWorkflows();
  try {
    await access(codePath, constants.R_OK);
  } catch (error) {
    const reason = toError(error).message;
    throw new Error(
      `KAITO_WORKFLOW_BUNDLE: ${reason}; make it by npm run build:workflows, or leave the variable unset`,
      {
        cause: error,
      },
    );
  }
  return { codePath };
}

/** Starts the roles; resolves when they are at work. */
export async function startProduct(options: ProductOptions): Promise<Product> {
  const { configuration, logger, roles, telemetry } = options;
  const temporal = temporalConfig(options);
  const client = connect({
    ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }),
    ...(telemetry !== undefined && { onRequest: telemetry.onRequest }),
  });
  if (telemetry !== undefined) observeKubernetes(telemetry, client);
  const closing: (() => Promise<void>)[] = [() => client.close()];

  try {
    const world = await openWorld(client, logger, { nodeClaims: await hasNodeClaims(client) });
    closing.unshift(() => world.stop());
    if (telemetry !== undefined) observeWorld(telemetry, world);
    const dataConverter = await openDataConverter(configuration.payloadKeys);
    const { apiKeyFile } = configuration;
    const connections = await connectTemporal({
      connection: temporal.connectionOptions,
      logger,
      ...(apiKeyFile !== undefined && { apiKeyFile }),
    });
    closing.unshift(() => connections.close());
    const { worker: connection, client: clientConnection } = connections;
    await registerSearchAttributes(connection, temporal.namespace, logger);
    const temporalClient = new Client({
      connection: clientConnection,
      namespace: temporal.namespace,
      dataConverter,
      ...(telemetry !== undefined && { interceptors: telemetry.clientInterceptors }),
    });
    if (telemetry !== undefined) observeTemporal(telemetry, 'temporal', clientConnection);

    let worker: Worker | undefined;
    if (roles.includes('worker')) {
      const events = new EventRecorder(client, { logger });
      closing.unshift(() => events.stop());
      const azure =
        configuration.azure &&
        openAzureProvider({
          configuration: configuration.azure,
          temporal: temporalClient,
          taskQueue: configuration.taskQueue,
          world,
          logger,
          access: options.azure,
        });
      if (azure !== undefined) closing.unshift(() => azure.close());
      const deps: Dependencies = {
        client,
        world,
        events,
        logger,
        status: createStatusWriter(client, telemetry),
        describeModel,
        workload: configuration.workload,
        machines: configuration.machines,
        ...(azure !== undefined && { azure: azure.provider }),
        deadlines: configuration.deadlines,
        tuning: configuration.tuning,
        ...(configuration.quotasFile !== undefined && { quotas: openQuotas(configuration.quotasFile, logger) }),
        retryDelays: configuration.retryDelays,
        now: () => new Date(),
        ...(configuration.temporalUi !== undefined && {
          temporalUi: { address: configuration.temporalUi, namespace: temporal.namespace },
        }),
      };
      const sweeper = createSweeper(deps, {
        temporal: temporalClient,
        configuration,
        ...(telemetry !== undefined && { onOrphans: telemetry.onOrphans, onRelease: telemetry.onRelease }),
      });
      await sweeper.schedule();
      const workflows = options.workflowBundle ?? (await workflowBundle(configuration));
      const version = await workerVersion(configuration.versioning, configuration.taskQueue, workflows);
      worker = await Worker.create({
        connection,
        namespace: temporal.namespace,
        taskQueue: configuration.taskQueue,
        workflowBundle: workflows,
        dataConverter,
        ...deploymentOptions(version),
        activities: { ...createActivities(deps), ...sweeper.activities },
        // Steps mostly wait: a slot is cheap, and every Workspace that is not at rest holds one.
        maxConcurrentActivityTaskExecutions: 10_000,
        maxCachedWorkflows: configuration.cachedWorkflows,
        // Heartbeats carry cancellation to a step: at most so late.
        maxHeartbeatThrottleInterval: '5s',
        shutdownGraceTime: '1s',
        shutdownForceTime: '20s',
        ...telemetry?.workerOptions((ref) => world.workspace(ref)?.metadata.uid),
      });
      if (telemetry !== undefined) observeWorker(telemetry, worker, connection);
      const watch = watchVersion({ connection, namespace: temporal.namespace }, version, logger);
      closing.unshift(() => watch.stop());
    }

    let bridge: Bridge | undefined;
    if (roles.includes('bridge')) {
      const workflows = createWorkflows(temporalClient, configuration.taskQueue);
      const { resyncMs } = configuration;
      const around = telemetry === undefined ? {} : { aroundLook: telemetry.aroundLook };
      bridge = await startBridge({ client, world, workflows, logger, resyncMs, ...around });
      if (telemetry !== undefined) observeBridge(telemetry, world, bridge);
    }

    telemetry?.started();
    const running = worker === undefined ? new Promise<void>(() => undefined) : worker.run();
    return {
      client,
      running,
      async stop() {
        telemetry?.stopping();
        const ended = async (): Promise<void> => {
          if (worker?.getState() === 'RUNNING') worker.shutdown();
          if (worker !== undefined) await running;
        };
        await closeAll([() => bridge?.stop(), ended, ...closing]);
      },
    };
  } catch (error) {
    // A worker that was made and does not run yet keeps its connection from being closed.
    return closeAfter(error, closing, (problem) =>
      logger.warn('not all could be closed after the start failed', { error: problem }),
    );
  }
}

/** The Temporal server and namespace: as the environment names them, unless given. */
export function temporalConfig({ temporal }: Pick<ProductOptions, 'temporal'>) {
  const loaded = loadClientConnectConfig();
  if (temporal === undefined)
    return { namespace: loaded.namespace ?? 'default', connectionOptions: loaded.connectionOptions };
  return { namespace: temporal.namespace, connectionOptions: { address: temporal.address } };
}

/** Clusters with own nodes only need no Karpenter. */
async function hasNodeClaims(client: KubernetesClient): Promise<boolean> {
  return (await client.get(RESOURCES.customResourceDefinitions, { name: 'nodeclaims.karpenter.sh' })) !== undefined;
}
