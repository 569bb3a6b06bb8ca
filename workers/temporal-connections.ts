/** The connections to Temporal: one for the worker, one for the client. With an API key from a file, both follow the file. */
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Connection, type ConnectionOptions } from '@temporalio/client';
import { NativeConnection, type NativeConnectionOptions } from '@temporalio/worker';
import { toError } from '../api/to-error';
import type { Logger } from '../kubernetes/logger';

export interface TemporalConnections {
  readonly worker: NativeConnection;
  readonly client: Connection;
  close(): Promise<void>;
}

export interface TemporalConnectionOptions {
  /** As `@temporalio/envconfig` reads them. */
  readonly connection: NativeConnectionOptions & ConnectionOptions;
  /** Holds the API key; goes before one in `connection`. */
  readonly apiKeyFile?: string;
  readonly logger: Logger;
}

/** A mounted Secret changes a minute or so after the Secret; a look costs one `stat`. */
const LOOK_EVERY_MS = 2_000;

/** Connects both; throws when the server does not answer, or refuses. */
export async function connectTemporal(options: TemporalConnectionOptions): Promise<TemporalConnections> {
  const { connection, apiKeyFile: file } = options;
  if (file === undefined) return connectBoth(connection);
  let apiKey = await readApiKey(file);
  // Keys are for servers with TLS, unless the environment says expressly that there is none.
  const connections = await connectBoth({ ...connection, apiKey, tls: connection.tls ?? true });
  connections.client.setApiKey(() => apiKey);

  const renew = async (): Promise<void> => {
    try {
      const read = await readApiKey(file);
      if (read === apiKey) return;
      apiKey = read;
      await connections.worker.setApiKey(read);
      options.logger.info('the API key of Temporal was renewed', { file });
    } catch (error) {
      options.logger.warn('the API key of Temporal could not be renewed; the one before stays', { file, error });
    }
  };
  const changed = (): void => void renew();
  watchFile(file, { interval: LOOK_EVERY_MS, persistent: false }, changed);
  return {
    ...connections,
    async close() {
      unwatchFile(file, changed);
      await connections.close();
    },
  };
}

async function connectBoth(options: NativeConnectionOptions & ConnectionOptions): Promise<TemporalConnections> {
  const worker = await NativeConnection.connect(options).catch((error: unknown) => {
    const at = options.address ?? 'localhost:7233';
    const where = 'TEMPORAL_ADDRESS and TEMPORAL_TLS… say where it is and how it is reached';
    throw new Error(`Temporal at ${at} cannot be reached: ${toError(error).message}; ${where}`, { cause: error });
  });
  try {
    const client = await Connection.connect(options);
    return {
      worker,
      client,
      async close() {
        await client.close();
        await worker.close();
      },
    };
  } catch (error) {
    await worker.close();
    throw error;
  }
}

/** @throws Error naming the variable when the file can't be read, or is empty. */
export async function readApiKey(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`KAITO_TEMPORAL_API_KEY_FILE: ${toError(error).message}; name the file that holds the API key`);
  });
  const key = text.trim();
  if (key === '') throw new Error(`KAITO_TEMPORAL_API_KEY_FILE: ${file} is empty; it should hold the API key`);
  return key;
}
