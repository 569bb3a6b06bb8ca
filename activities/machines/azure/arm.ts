/**
 * Azure Resource Manager as this provider uses it, over the service's own SDK. The SDK never retries: it would send a change again that had its
 * effect, and wait inside of a request for what has to be waited for in order.
 */
import { ContainerServiceClient, type AgentPool, type ManagedCluster } from '@azure/arm-containerservice';
import type { TokenCredential } from '@azure/identity';
import {
  createDefaultHttpClient,
  createPipelineFromOptions,
  createPipelineRequest,
  type TlsSettings,
} from '@azure/core-rest-pipeline';
import type { AzureConfiguration } from './configuration';
import { AzureError, leavesOf, type ErrorReport } from './error-tree';
import { errorOf, parsed, patiently, refusalOf, retryAfterOf, unanswered, type Answer } from './http';

/** Of agent pools and clusters; the SDK's newest, pinned so that an update of the SDK changes nothing by itself. */
const API_VERSION = '2026-06-01';

/** Instead of an etag: there must be no pool of that name. */
export const ABSENT = 'absent';

/** A change that Azure has taken on. */
export interface Accepted {
  /** Where its progress is told; absent where only the pool itself tells. Opaque, and not to be told to people: it may be signed. */
  readonly operationUrl?: string;
  /** For people and for support. */
  readonly operationId?: string;
  readonly retryAfterMs?: number;
}

export type OperationState =
  | { readonly kind: 'running'; readonly retryAfterMs?: number }
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly report: ErrorReport }
  /** Its record has expired, or its address tells nothing: the pool has to be asked. */
  | { readonly kind: 'unknown' };

export interface Arm {
  /** Undefined when there is none. Reads repeat by themselves what passes. */
  pool(name: string, signal: AbortSignal): Promise<AgentPool | undefined>;
  /** All pools of the cluster: complete, or an error. */
  pools(signal: AbortSignal): Promise<readonly AgentPool[]>;
  cluster(signal: AbortSignal): Promise<ManagedCluster>;
  /** One request, never repeated; `etag`: of what it changes, or {@link ABSENT}. An AzureError without status means that its effect is unknown. */
  put(name: string, body: AgentPool, match: { readonly etag: string }, signal: AbortSignal): Promise<Accepted>;
  /** One request. `absent`: there was nothing to delete. */
  remove(
    name: string,
    options: { readonly ignoresBudgets: boolean; readonly etag?: string },
    signal: AbortSignal,
  ): Promise<Accepted | 'absent'>;
  /** Takes single machines out of a pool, whose count goes down with them. */
  removeMachines(name: string, machines: readonly string[], signal: AbortSignal): Promise<Accepted>;
  /** Ends what Azure does to a pool just now, as far as that can be ended. */
  abort(name: string, signal: AbortSignal): Promise<void>;
  operation(asked: string, accepted: Accepted, signal: AbortSignal): Promise<OperationState>;
  /** JSON of all pages below `path` of the subscription. */
  list(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<readonly unknown[]>;
  /** JSON of an address that everybody may read; no token is sent. */
  publicJson(url: string, signal: AbortSignal): Promise<unknown>;
}

export interface ArmOptions {
  readonly configuration: AzureConfiguration;
  readonly credential: TokenCredential;
  /** Certificates to trust instead of the usual ones. */
  readonly tls?: TlsSettings;
}

export function connectArm({ configuration, credential, tls }: ArmOptions): Arm {
  const { subscriptionId, resourceGroup, clusterName, endpoint, audience } = configuration;
  const http = createDefaultHttpClient();
  const connect = (): ContainerServiceClient =>
    new ContainerServiceClient(credential, subscriptionId, {
      endpoint,
      apiVersion: API_VERSION,
      credentials: { scopes: [`${audience.replace(/\/$/, '')}/.default`] },
      retryOptions: { maxRetries: 0 },
      userAgentOptions: { userAgentPrefix: 'kaito-temporal' },
      ...(tls !== undefined && { tlsOptions: tls }),
    });
  let client = connect();
  const open = createPipelineFromOptions({
    retryOptions: { maxRetries: 0 },
    ...(tls !== undefined && { tlsOptions: tls }),
  });

  /** Makes one request and keeps all that the answer said. A token that is refused is replaced, once. */
  async function send<T>(
    asked: string,
    signal: AbortSignal,
    request: (client: ContainerServiceClient, onResponse: (answer: Answer) => void) => Promise<T>,
  ): Promise<{ readonly value: T; readonly answer: Answer | undefined }> {
    for (let isSecond = false; ; isSecond = true) {
      let answer: Answer | undefined;
      const used = client;
      try {
        const value = await request(used, (one) => (answer = one));
        return { value, answer };
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof AzureError) throw error;
        if (isCredentialError(error)) throw credentialError(asked, error);
        const refusal = refusalOf(error, answer);
        if (refusal === undefined) throw unanswered(asked, error);
        if (refusal.status !== 401 || isSecond) throw errorOf(asked, refusal, error);
        // The SDK keeps a token until it expires, whatever the service says of it; a new client asks for a new one.
        if (client === used) client = connect();
      }
    }
  }

  async function get(asked: string, url: string, signal: AbortSignal): Promise<Answer> {
    const { value } = await send(asked, signal, async ({ pipeline }, onResponse) => {
      const answer = await pipeline.sendRequest(http, createPipelineRequest({ url, abortSignal: signal }));
      onResponse(answer);
      if (answer.status >= 400) throw new Error(`status ${answer.status}`);
      return answer;
    });
    return value;
  }

  return {
    async pool(name, signal) {
      try {
        return await patiently(async () => {
          const { value } = await send(`read agent pool ${name}`, signal, (one, onResponse) =>
            one.agentPools.get(resourceGroup, clusterName, name, { abortSignal: signal, onResponse }),
          );
          return value;
        }, signal);
      } catch (error) {
        if (isMissingPool(error)) return undefined;
        throw error;
      }
    },

    pools: (signal) =>
      patiently(async () => {
        const { value } = await send('list the agent pools', signal, async (one, onResponse) => {
          const pools: AgentPool[] = [];
          const all = one.agentPools.list(resourceGroup, clusterName, { abortSignal: signal, onResponse });
          for await (const pool of all) pools.push(pool);
          return pools;
        });
        return value;
      }, signal),

    cluster: (signal) =>
      patiently(async () => {
        const { value } = await send(`read cluster ${clusterName}`, signal, (one, onResponse) =>
          one.managedClusters.get(resourceGroup, clusterName, { abortSignal: signal, onResponse }),
        );
        return value;
      }, signal),

    async put(name, body, { etag }, signal) {
      const { answer } = await send(`create agent pool ${name}`, signal, (one, onResponse) =>
        one.agentPools
          .createOrUpdate(resourceGroup, clusterName, name, body, {
            ...(etag === ABSENT ? { ifNoneMatch: '*' } : { ifMatch: etag }),
            abortSignal: signal,
            onResponse,
          })
          .submitted(),
      );
      return acceptedOf(answer);
    },

    async remove(name, { ignoresBudgets, etag }, signal) {
      try {
        const { answer } = await send(`delete agent pool ${name}`, signal, (one, onResponse) =>
          one.agentPools
            .delete(resourceGroup, clusterName, name, {
              ...(ignoresBudgets && { ignorePodDisruptionBudget: true }),
              ...(etag !== undefined && { ifMatch: etag }),
              abortSignal: signal,
              onResponse,
            })
            .submitted(),
        );
        return answer?.status === 204 ? 'absent' : acceptedOf(answer);
      } catch (error) {
        if (isMissingPool(error)) return 'absent';
        throw error;
      }
    },

    async removeMachines(name, machines, signal) {
      const { answer } = await send(`delete machines of agent pool ${name}`, signal, (one, onResponse) =>
        one.agentPools
          .deleteMachines(
            resourceGroup,
            clusterName,
            name,
            { machineNames: [...machines] },
            { abortSignal: signal, onResponse },
          )
          .submitted(),
      );
      return acceptedOf(answer);
    },

    async abort(name, signal) {
      await send(`abort the operation on agent pool ${name}`, signal, (one, onResponse) =>
        one.agentPools
          .abortLatestOperation(resourceGroup, clusterName, name, { abortSignal: signal, onResponse })
          .submitted(),
      );
    },

    async operation(asked, { operationUrl, operationId }, signal) {
      if (operationUrl === undefined) return { kind: 'unknown' };
      try {
        const answer = await patiently(() => get(asked, operationUrl, signal), signal);
        return operationStateOf(asked, answer, operationId);
      } catch (error) {
        const status = error instanceof AzureError ? error.report.status : undefined;
        if (status === 404 || status === 410) return { kind: 'unknown' };
        throw error;
      }
    },

    async list(path, query, signal) {
      const values: unknown[] = [];
      const first = `${endpoint}/subscriptions/${subscriptionId}${path}?${new URLSearchParams(query).toString()}`;
      for (let url: string | undefined = first; url !== undefined;) {
        const page: string = url;
        const { bodyAsText } = await patiently(() => get(`list ${path}`, page, signal), signal);
        const body = parsed(bodyAsText ?? '') as { value?: unknown[]; nextLink?: string } | undefined;
        if (!Array.isArray(body?.value)) throw new Error(`list ${path}: the answer has no list`);
        values.push(...body.value);
        url = body.nextLink;
      }
      return values;
    },

    async publicJson(url, signal) {
      const answer = await open.sendRequest(http, createPipelineRequest({ url, abortSignal: signal }));
      if (answer.status !== 200) throw errorOf(`read ${url}`, answer);
      return parsed(answer.bodyAsText ?? '');
    },
  };
}

function acceptedOf(answer: Answer | undefined): Accepted {
  const operationUrl = answer?.headers.get('azure-asyncoperation') ?? answer?.headers.get('location');
  const retryAfterMs = answer && retryAfterOf(answer);
  const operationId = operationUrl === undefined ? undefined : operationIdOf(operationUrl);
  return {
    ...(operationUrl !== undefined && { operationUrl }),
    ...(operationId !== undefined && { operationId }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

function operationIdOf(url: string): string | undefined {
  return /\/(?:operations|operationresults)\/([^/?]+)/i.exec(url)?.[1];
}

function operationStateOf(asked: string, answer: Answer, operationId: string | undefined): OperationState {
  const retryAfterMs = retryAfterOf(answer);
  const running = { kind: 'running', ...(retryAfterMs !== undefined && { retryAfterMs }) } as const;
  const body = parsed(answer.bodyAsText ?? '') as { status?: string; error?: unknown } | undefined;
  const ids = operationId === undefined ? {} : { operationId };
  switch (body?.status?.toLowerCase()) {
    case undefined:
      // `location` style: 202 until it is done; whether well, the pool tells.
      return answer.status === 202 ? running : { kind: 'unknown' };
    case 'succeeded':
      return { kind: 'succeeded' };
    case 'failed':
    case 'canceled':
    case 'cancelled': {
      const otherwise = { code: body?.status ?? 'Failed', message: 'Azure gave no reason' };
      return { kind: 'failed', report: { ...ids, asked, leaves: leavesOf(body?.error, otherwise) } };
    }
    default:
      return running;
  }
}

/** 404 of the pool itself; that of the cluster or its group is an error. */
function isMissingPool(error: unknown): boolean {
  if (!(error instanceof AzureError) || error.report.status !== 404) return false;
  return !error.report.leaves.some(({ code }) =>
    /^(ResourceGroupNotFound|ParentResourceNotFound|ResourceNotFound|SubscriptionNotFound)$/i.test(code),
  );
}

/** The identity library's errors: no request was sent. */
function isCredentialError(error: unknown): error is Error {
  return (
    error instanceof Error &&
    /^(CredentialUnavailableError|AuthenticationRequiredError|AuthenticationError|AggregateAuthenticationError)$/.test(
      error.name,
    )
  );
}

function credentialError(asked: string, error: Error): AzureError {
  const leaf = { code: 'AuthenticationFailed', message: `no token could be had: ${error.message}` };
  return new AzureError({ asked, leaves: [leaf] }, { cause: error });
}
