import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import type { TlsSettings } from '@azure/core-rest-pipeline';
import type { Client } from '@temporalio/client';
import type { AzureConfiguration } from '../activities/machines/azure/configuration';
import { COORDINATOR_DEFAULTS, openCoordinator } from '../activities/machines/azure/coordination/open-coordinator';
import { createTransport } from '../activities/machines/azure/coordination/transport';
import { openAzure } from '../activities/machines/azure/open-azure';
import type { Machines } from '../activities/machines/provider';
import type { World } from '../activities/observe/world';
import type { Logger } from '../kubernetes/logger';

/** How the worker proves to Azure who it is; a test names its own. */
export interface AzureAccess {
  readonly credential: TokenCredential;
  readonly tls?: TlsSettings;
}

/** The provider of agent pools, with this process's part of what all Workspaces share. Close it when the worker has stopped. */
export function openAzureProvider({
  configuration,
  temporal,
  taskQueue,
  world,
  logger,
  access = { credential: new DefaultAzureCredential() },
}: {
  readonly configuration: AzureConfiguration;
  readonly temporal: Client;
  readonly taskQueue: string;
  readonly world: World;
  readonly logger: Logger;
  readonly access?: AzureAccess | undefined;
}): { readonly provider: Machines; close(): Promise<void> } {
  const { clusterId, buckets, creatingAtOnce } = configuration;
  const coordinator = openCoordinator({
    transport: createTransport(temporal, clusterId, taskQueue),
    identity: temporal.options.identity,
    settings: { ...COORDINATOR_DEFAULTS, ...buckets, creatingAtOnce },
    logger,
  });
  const provider = openAzure({ ...access, configuration, coordinator, world, logger, now: () => new Date() });
  return { provider, close: () => coordinator.close() };
}
