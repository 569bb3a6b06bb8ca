/** The only module that loads `@kubernetes/client-node`: it reads kubeconfigs and runs their authenticators; requests are ours. */
import { createHash } from 'node:crypto';
import type { RequestOptions } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { KubeConfig } from '@kubernetes/client-node';
import { Pool, ProxyAgent, Socks5ProxyAgent, type Dispatcher } from 'undici';

export interface ClusterOptions {
  /** Path of a kubeconfig. Default: KUBECONFIG, `~/.kube/config`, then the pod's service account. */
  readonly kubeconfig?: string;
  /** Default: the kubeconfig's current context. */
  readonly context?: string;
}

/** What one connection attempt needs; `fingerprint` changes when TLS material was rotated. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
  readonly fingerprint: string;
}

/** Whom to trust, and who we are. */
export interface TlsMaterial extends Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'passphrase'> {
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
}

/** A cluster as the configuration names it. */
export interface Cluster {
  readonly server: URL;
  /** Runs exec plugins and reads token files as needed; tokens and certificates may differ from call to call. */
  credentials(): Promise<Credentials>;
  /** A new pool of connections with that TLS material, through the kubeconfig's proxy if it names one. */
  createDispatcher(credentials: Credentials, connections: number | null): Dispatcher;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** client-go's: shorter than the idle limits of common load balancers. */
const TCP_KEEPALIVE_MS = 30_000;
/** The API server closes idle connections after 90 s; we are sooner, so that no request meets a closing connection. */
const IDLE_TIMEOUT_MS = 60_000;

/** The configuration with its current context; throws if there is none. Contacts nobody. */
export function loadKubeConfig(options: ClusterOptions = {}): KubeConfig {
  const config = new KubeConfig();
  if (options.kubeconfig === undefined) {
    config.loadFromDefault();
    // client-node's last resort, http://localhost:8080, would only hide that nothing was found.
    if (config.getCurrentContext() === 'loaded-context') {
      throw new Error('No Kubernetes configuration found: set KUBECONFIG, or run in a pod with a service account.');
    }
  } else {
    config.loadFromFile(options.kubeconfig);
  }
  if (options.context !== undefined) config.setCurrentContext(options.context);
  return config;
}

/** Reads the configuration; throws if there is none or if it is unusable. Contacts nobody. */
export function loadCluster(options: ClusterOptions = {}): Cluster {
  const config = loadKubeConfig(options);
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new Error(`The kubeconfig has no context "${config.getCurrentContext()}" with a cluster.`);
  }
  const server = new URL(cluster.server);
  if (server.protocol === 'http:' && !cluster.skipTLSVerify && !isLoopback(server.hostname)) {
    throw new Error(`${cluster.server}: plain HTTP is allowed to this machine only, or with insecure-skip-tls-verify.`);
  }
  const { proxyUrl } = cluster;

  return {
    server,
    credentials: () => readCredentials(config),
    createDispatcher({ tls }, connections) {
      const pool = {
        connections,
        // One HTTP/1.1 connection per request in flight: a lost packet or a dead stream then delays one request, not all, and undici's
        // HTTP/1.1 parser costs less CPU per small request than node's http2 streams.
        allowH2: false,
        keepAliveTimeout: IDLE_TIMEOUT_MS,
        keepAliveMaxTimeout: IDLE_TIMEOUT_MS,
      };
      const connect = { keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS, timeout: CONNECT_TIMEOUT_MS };
      if (proxyUrl === undefined || proxyUrl === '') {
        return new Pool(server.origin, { ...pool, connect: { ...tls, ...connect } });
      }
      if (proxyUrl.startsWith('socks')) {
        return new Socks5ProxyAgent(proxyUrl, { ...pool, requestTls: { ...tls, ...connect } });
      }
      return new ProxyAgent({ ...pool, uri: proxyUrl, requestTls: { ...tls, ...connect } });
    },
  };
}

async function readCredentials(config: KubeConfig): Promise<Credentials> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
  if (typeof options.auth === 'string') headers.authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;

  const { ca, cert, key, passphrase, rejectUnauthorized, servername } = options;
  const given = Object.entries({ ca, cert, key, passphrase, rejectUnauthorized, servername }).filter(
    ([, value]) => value !== undefined,
  );
  const tls = Object.fromEntries(given) as TlsMaterial;
  const hash = createHash('sha256');
  for (const [name, value] of given) hash.update(name).update(Buffer.isBuffer(value) ? value : JSON.stringify(value));
  return { headers, tls, fingerprint: hash.digest('hex') };
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
