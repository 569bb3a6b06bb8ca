import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { ScheduleNotFoundError } from '@temporalio/client';

import { coordinatorIdOf } from '../../api/coordination';
import { sweepScheduleIdOf } from '../../api/sweep';
import { startChild, type Child } from '../../local/demo/child';
import { connect } from '../../kubernetes/client';
import { readConfiguration } from '../../workers/configuration';
import type { Role } from '../../workers/product';
import { useEnvironment } from '../environment';
import { startFakeArm } from '../fakes/arm/fake-arm';
import { kwokNodes } from '../fakes/arm/kwok-nodes';
import type { FakeArm, FakeArmOptions } from '../fakes/arm/types';
import { WITHOUT_TIME } from '../azure/support';
import { ROOT, Stage } from './support';

export interface AzureOptions {
  readonly arm?: FakeArmOptions;
  readonly variables?: Readonly<Record<string, string>>;
  /** What runs in this process. Default: worker and bridge. */
  readonly roles?: readonly Role[];
}

export interface AzureStage {
  readonly stage: Stage;
  readonly arm: FakeArm;
  /** Starts `npm start -- --role worker` as a process of its own, which proves itself to Azure by workload identity. */
  readonly startWorker: () => Promise<Child>;
}

/**
 * Runs `test` with an Azure and a product of its own, and what is in memory of neither is shared with other tests. Whatever the test leaves is
 * deleted afterwards; then no pool is left, and the invariants of the fake hold.
 */
export async function onAzure(
  { arm: armOptions, variables: over, roles = ['worker', 'bridge'] }: AzureOptions,
  test: (it: AzureStage) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kaito-azure-'));
  const children: Child[] = [];
  const subscriptionId = randomUUID();
  const environment = useEnvironment();
  const client = connect({ kubeconfig: environment.kubeconfig });
  const arm = await startFakeArm({
    subscriptionId,
    nodes: kwokNodes(client),
    retryAfterSeconds: 'none',
    ...armOptions,
  });
  const { url, caFile } = arm;
  const variables = {
    KAITO_MACHINES: 'azure',
    KAITO_AZURE_SUBSCRIPTION_ID: subscriptionId,
    KAITO_AZURE_RESOURCE_GROUP: 'kaito',
    KAITO_AZURE_CLUSTER_NAME: 'aks',
    KAITO_AZURE_LOCATION: 'eastus',
    KAITO_AZURE_ENDPOINT: url,
    KAITO_AZURE_AUDIENCE: url,
    KAITO_AZURE_PRICE_ENDPOINT: url,
    KAITO_AZURE_POLL: '50ms',
    ...over,
  };
  const clusterId = readConfiguration(variables).azure?.clusterId ?? '';
  const stage = await Stage.open('azure', variables, []);

  stage.defer(async () => {
    // Where no worker came up there is none.
    await stage.temporal.schedule
      .getHandle(sweepScheduleIdOf(clusterId))
      .delete()
      .catch((error: unknown) => {
        if (!(error instanceof ScheduleNotFoundError)) throw error;
      });
    const coordinator = stage.temporal.workflow.getHandle(coordinatorIdOf(clusterId));
    // Where nothing was ever asked of Azure there is none.
    await coordinator.terminate('end of test').catch(() => undefined);
  });
  try {
    if (roles.length > 0) await stage.start(roles, { azure: { credential: arm.credential, tls: { ca: arm.ca } } });
    await test({
      stage,
      arm,
      async startWorker() {
        const tokenFile = path.join(folder, 'token');
        await writeFile(tokenFile, 'federated');
        const child = await startChild({
          name: 'worker',
          entry: path.join(ROOT, 'workers', 'start.ts'),
          args: ['--role', 'worker'],
          env: {
            ...environment.variables,
            ...variables,
            KAITO_HTTP_PORT: '0',
            KAITO_RETRY_FIRST: '200ms',
            KAITO_RETRY_MOST: '1s',
            NODE_EXTRA_CA_CERTS: caFile,
            AZURE_AUTHORITY_HOST: url,
            AZURE_TENANT_ID: 'tenant',
            AZURE_CLIENT_ID: randomUUID(),
            AZURE_FEDERATED_TOKEN_FILE: tokenFile,
          },
          logFile: path.join(folder, 'worker.log'),
          signal: new AbortController().signal,
        });
        children.push(child);
        return child;
      },
    });
  } finally {
    try {
      await stage.close();
      arm.assertInvariants({ nothingLeft: true, ...WITHOUT_TIME });
    } finally {
      await Promise.all(children.map((child) => child.stop()));
      await arm.stop();
      await client.close();
      await rm(folder, { recursive: true, force: true });
    }
  }
}
