import { hostname, userInfo } from 'node:os';
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { toError } from '../api/to-error';
import { openDataConverter } from '../workers/encryption/data-converter';
import type { GlobalFlags } from './flags';
import { CliError } from './failure';

const CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_ADDRESS = 'localhost:7233';

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
  env: Readonly<Record<string, string | undefined>>,
): Promise<TemporalAccess> {
  const { connectionOptions, namespace } = settings(profile, env);
  const options: ConnectionOptions = {
    ...(connectionOptions as ConnectionOptions),
    ...(address !== undefined && { address }),
    connectTimeout: CONNECT_TIMEOUT_MS,
  };
  const dataConverter = await decoding(env);
  const where = options.address ?? DEFAULT_ADDRESS;
  const into = temporalNamespace ?? namespace ?? 'default';
  try {
    const connection = await Connection.connect(options);
    const client = new Client({
      connection,
      namespace: into,
      identity: `kaito ${userInfo().username}@${hostname()}`,
      ...(dataConverter !== undefined && { dataConverter }),
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

/** Histories that the worker encrypts are read with its keys, where these are at hand. */
async function decoding(env: Readonly<Record<string, string | undefined>>) {
  const { KAITO_PAYLOAD_KEYS: folder = '', KAITO_PAYLOAD_KEY: current = '' } = env;
  if (folder === '') return undefined;
  try {
    return await openDataConverter({ folder, ...(current !== '' && { current }) });
  } catch (error) {
    throw new CliError({ exit: 'usage', message: toError(error).message }, { cause: error });
  }
}

function settings(profile: string | undefined, env: Readonly<Record<string, string | undefined>>) {
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
