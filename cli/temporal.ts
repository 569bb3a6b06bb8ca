import { hostname, userInfo } from 'node:os';
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { toError } from '../api/to-error';
import { openDataConverter } from '../workers/encryption/data-converter';
import { readApiKey } from '../workers/temporal-connections';
import type { GlobalFlags } from './flags';
import { CliError } from './failure';

const CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_ADDRESS = 'localhost:7233';

type Environment = Readonly<Record<string, string | undefined>>;

/** The Temporal server that the flags, `TEMPORAL_…` or a profile of Temporal's configuration file name. */
export interface TemporalAccess {
  readonly client: Client;
  readonly connection: Connection;
  readonly address: string;
  readonly namespace: string;
  close(): Promise<void>;
}

export async function openTemporal(
  { address, temporalNamespace, profile }: GlobalFlags,
  env: Environment,
): Promise<TemporalAccess> {
  const { connectionOptions, namespace } = settings(profile, env);
  const options: ConnectionOptions = {
    ...(connectionOptions as ConnectionOptions),
    ...(address !== undefined && { address }),
    connectTimeout: CONNECT_TIMEOUT_MS,
  };
  const dataConverter = await asConfigured(() => decoding(env));
  const key = await asConfigured(() => apiKeyFromFile(env));
  const where = options.address ?? DEFAULT_ADDRESS;
  const into = temporalNamespace ?? namespace ?? 'default';
  try {
    const connection = await Connection.connect({
      ...options,
      // Keys are for servers with TLS, unless the environment says expressly that there is none.
      ...(key !== undefined && { apiKey: key, tls: options.tls ?? true }),
    });
    const client = new Client({
      connection,
      namespace: into,
      identity: `kaito ${userInfo().username}@${hostname()}`,
      dataConverter,
    });
    return { client, connection, address: where, namespace: into, close: () => connection.close() };
  } catch (error) {
    throw new CliError(
      {
        exit: 'unreachable',
        message: `Temporal at ${where} does not answer: ${toError(error).message}`,
        remedy:
          'Set --address or TEMPORAL_ADDRESS (and TEMPORAL_TLS_…, TEMPORAL_API_KEY), or a profile with --profile.',
      },
      { cause: error },
    );
  }
}

/** Histories that the worker encrypts are read with its keys, where these are at hand; without, an encrypted one is an error that says what to set. */
function decoding(env: Environment) {
  const { KAITO_PAYLOAD_KEYS: folder = '', KAITO_PAYLOAD_KEY: current = '' } = env;
  return openDataConverter(folder === '' ? undefined : { folder, ...(current !== '' && { current }) });
}

/** As in the pods of the chart, where this program is, too. */
async function apiKeyFromFile({ KAITO_TEMPORAL_API_KEY_FILE: file = '' }: Environment): Promise<string | undefined> {
  return file === '' ? undefined : readApiKey(file);
}

/** What the environment names and can't be used is the caller's to correct. */
async function asConfigured<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new CliError({ exit: 'usage', message: toError(error).message }, { cause: error });
  }
}

function settings(profile: string | undefined, env: Environment) {
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  try {
    return loadClientConnectConfig({
      overrideEnvVars: Object.fromEntries(given),
      ...(profile !== undefined && { profile }),
    });
  } catch (error) {
    throw new CliError(
      { exit: 'usage', message: `configuration of Temporal: ${toError(error).message}` },
      { cause: error },
    );
  }
}
