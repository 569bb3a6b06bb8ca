import type { DataConverter } from '@temporalio/common';
import { openPayloadKeys, type PayloadKeysOptions } from './keys';
import { encryptingCodec } from './payload-codec';

/**
 * How everything of the product that speaks with Temporal writes and reads payloads: workers, the bridge, the command line. Undefined: as they are.
 *
 * Workflow code needs no other bundle for it: codecs work outside of its sandbox, and it reads failures of either kind.
 *
 * @throws Error naming the variable when a key is missing or is none.
 */
export async function openDataConverter(options: PayloadKeysOptions | undefined): Promise<DataConverter | undefined> {
  if (options === undefined) return undefined;
  const keys = await openPayloadKeys(options);
  return {
    payloadCodecs: [encryptingCodec(keys)],
    ...(keys.current !== undefined && { failureConverterPath: require.resolve('./failure-converter') }),
  };
}
