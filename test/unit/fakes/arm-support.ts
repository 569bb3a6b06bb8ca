import { ContainerServiceClient, type AgentPool } from '@azure/arm-containerservice';
import { Agent, request } from 'undici';

import { startFakeArm } from '../../fakes/arm/fake-arm';
import type { FakeArm, FakeArmOptions } from '../../fakes/arm/types';

export const GPU_POOL: AgentPool = {
  vmSize: 'Standard_NC24ads_A100_v4',
  count: 2,
  mode: 'User',
  osDiskSizeGB: 200,
  nodeLabels: { 'kaito.sh/workspace': 'phi' },
  nodeTaints: ['sku=gpu:NoSchedule'],
  tags: { owner: 'us' },
};

/** For operations of a fake that sends no Retry-After: the SDK would wait 2 s between two looks. */
export const QUICK = { updateIntervalInMs: 20 };

/** Starts fakes that end with the test. */
export function useArm(): (options?: FakeArmOptions) => Promise<FakeArm> {
  const running: FakeArm[] = [];
  afterEach(async () => {
    for (const arm of running.splice(0)) await arm.stop();
  });
  return async (options) => {
    const arm = await startFakeArm(options);
    running.push(arm);
    return arm;
  };
}

/** The real SDK. */
export function clientOf(arm: FakeArm, maxRetries = 0): ContainerServiceClient {
  return new ContainerServiceClient(arm.credential, arm.subscriptionId, {
    endpoint: arm.url,
    tlsOptions: { ca: arm.ca },
    retryOptions: { maxRetries },
  });
}

/** What the SDK's calls of agent pools begin with. */
export function at(arm: FakeArm, pool: string): [string, string, string] {
  return [arm.cluster.resourceGroup, arm.cluster.name, pool];
}

export interface Asked {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

/** One request without the SDK; `path` as after the server's address, or a whole address. */
export async function ask(
  arm: FakeArm,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  { body, headers = {} }: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Asked> {
  const dispatcher = new Agent({ connect: { ca: arm.ca } });
  try {
    const { token } = await arm.credential.getToken();
    const answer = await request(new URL(path, arm.url), {
      dispatcher,
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    };
  } finally {
    await dispatcher.close();
  }
}

/** The path of a pool, with the version that the SDK sends. */
export function poolPath(arm: FakeArm, pool: string): string {
  const { resourceGroup, name } = arm.cluster;
  return `/subscriptions/${arm.subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.ContainerService/managedClusters/${name}/agentPools/${pool}?api-version=2026-06-01`;
}
