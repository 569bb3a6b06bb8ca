import type { DataConverter } from '@temporalio/common';
import { openPayloadKeys, type PayloadKeysOptions } from './keys';
import { CODEC_WITHOUT_KEYS, encryptingCodec } from './payload-codec';

/**
 * How everything of the product that speaks with Temporal writes and reads payloads: workers, the bridge, the command line. Without keys they are written as
 * they are, and an encrypted one is an error that says what to set.
 *
 * Workflow code needs no other bundle for it: codecs work outside of its sandbox, and it reads failures of either kind.
 *
 * @throws Error naming the variable when a key is missing or is none.
 */
export async function openDataConverter(options: PayloadKeysOptions | undefined): Promise<DataConverter> {
  if (options === undefined) return { payloadCodecs: [CODEC_WITHOUT_KEYS] };
  const keys = await openPayloadKeys(options);
  return {
    payloadCodecs: [encryptingCodec(keys)],
    ...(keys.current !== undefined && { failureConverterPath: require.resolve('./failure-converter') }),
  };
}
