import { temporal } from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { GRPC, grpcCodeOf } from '../api/grpc';
import { SEARCH_ATTRIBUTES } from '../api/workflow';
import type { Logger } from '../kubernetes/logger';

const { IndexedValueType } = temporal.api.enums.v1;

/**
 * Registers the product's search attributes where they are missing. On Temporal Cloud that is the account's business: then the log says which
 * ones to create there.
 */
export async function registerSearchAttributes(
  connection: NativeConnection,
  namespace: string,
  logger: Logger,
): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.keys(SEARCH_ATTRIBUTES).filter((name) => customAttributes?.[name] === undefined);
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD])),
    });
    logger.info('registered search attributes', { namespace, missing });
  } catch (error) {
    const code = grpcCodeOf(error);
    // Another worker was quicker.
    if (code === GRPC.ALREADY_EXISTS) return;
    if (code !== GRPC.UNIMPLEMENTED && code !== GRPC.PERMISSION_DENIED) throw error;
    throw new Error(
      `search attributes ${missing.join(', ')} (type Keyword) are missing in namespace '${namespace}', and this connection may not add them: create them with your Temporal administrator`,
      { cause: error },
    );
  }
}
