import { text } from 'node:stream/consumers';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Workspace } from '../api/workspace';
import type { WorkspaceRef } from '../api/workflow';
import { toError } from '../api/to-error';
import { connect, type KubernetesClient } from '../kubernetes/client';
import { loadCluster, loadKubeConfig } from '../kubernetes/kubeconfig';
import { RESOURCES } from '../kubernetes/resources';
import { Transport, type HttpRequest } from '../kubernetes/transport';
import type { GlobalFlags } from './flags';
import { CliError } from './failure';

export const USER_AGENT = 'kaito-cli';
/** Without an answer for so long, the cluster counts as unreachable. */
const PATIENCE_MS = 15_000;

/** The cluster of the kubeconfig. */
export interface ClusterAccess {
  readonly client: KubernetesClient;
  readonly config: KubeConfig;
  readonly context: string;
  readonly namespace: string;
  /** One request that the client has no method for; the answer's JSON. */
  json<T>(request: Omit<HttpRequest, 'accept' | 'body'> & { readonly body?: object }, signal: AbortSignal): Promise<T>;
  /** The answer's body as it comes; ends with `signal`. */
  stream(path: string, description: string, signal: AbortSignal): Promise<AsyncIterable<Buffer>>;
  close(): Promise<void>;
}

/** Reads the kubeconfig; contacts nobody yet. */
export function openCluster({ kubeconfig, context }: GlobalFlags): ClusterAccess {
  const options = { ...(kubeconfig !== undefined && { kubeconfig }), ...(context !== undefined && { context }) };
  try {
    const config = loadKubeConfig(options);
    const transport = new Transport(loadCluster(options), USER_AGENT);
    const client = connect({ ...options, userAgent: USER_AGENT });
    const current = config.getCurrentContext();
    return {
      client,
      config,
      context: current,
      namespace: config.getContextObject(current)?.namespace ?? 'default',
      async json<T>(request: Omit<HttpRequest, 'accept' | 'body'> & { readonly body?: object }, signal: AbortSignal) {
        const { body, ...rest } = request;
        const response = await transport.send(
          {
            ...rest,
            accept: 'application/json',
            ...(body !== undefined && {
              contentType: rest.contentType ?? 'application/json',
              body: JSON.stringify(body),
            }),
          },
          { signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]) },
        );
        return JSON.parse(await text(response.body)) as T;
      },
      async stream(path, description, signal) {
        const request: HttpRequest = { method: 'GET', path, accept: '*/*', description };
        return (await transport.send(request, { signal, pool: 'stream' })).body;
      },
      async close() {
        await Promise.all([client.close(), transport.close()]);
      },
    };
  } catch (error) {
    const remedy = 'Name a kubeconfig with --kubeconfig or KUBECONFIG, and one of its contexts with --context.';
    throw new CliError({ exit: 'usage', message: toError(error).message, remedy }, { cause: error });
  }
}

/** The Workspace, or a failure that says how to find it. */
export async function theWorkspace(
  { client }: ClusterAccess,
  ref: WorkspaceRef,
  signal: AbortSignal,
): Promise<Workspace> {
  const workspace = await client.get(RESOURCES.workspaces, ref, { signal, timeoutMs: PATIENCE_MS });
  if (workspace !== undefined) return workspace;
  throw new CliError({
    exit: 'notFound',
    message: `no Workspace '${ref.name}' in namespace '${ref.namespace}'`,
    remedy: `See all with kaito get -A; what a deleted one went through: kaito history ${ref.name} -n ${ref.namespace}.`,
  });
}
