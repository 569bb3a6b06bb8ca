import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';
import { METADATA_ENCODING_KEY, type Payload, type PayloadCodec } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import type { PayloadKeys } from './keys';

const { Payload: PayloadMessage } = temporal.api.common.v1;
const CIPHER = 'aes-256-gcm';
const ENCODING = 'binary/encrypted';
const METADATA_KEY_ID = 'encryption-key-id';
/** NIST SP 800-38D: 96 bits, drawn at random, are good for 2³² payloads of a key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts whole payloads, their own metadata included, with AES-256-GCM: nonce, ciphertext, tag.
 *
 * 1. Which key it was stands beside each payload, and is covered by the tag.
 * 2. What is not encrypted is passed on when decoding, so that encryption can be turned on, and off, in a running system.
 * 3. A payload that cannot be decrypted is an error that names the key.
 */
export function encryptingCodec(keys: PayloadKeys): PayloadCodec {
  return {
    async encode(payloads) {
      const { current } = keys;
      return current === undefined ? payloads : payloads.map((payload) => encrypt(payload, current.id, current.key));
    },
    decode: (payloads) => Promise.all(payloads.map((payload) => decrypt(payload, keys))),
  };
}

/** For processes without keys: an encrypted payload is an error that says what to set, not one about an unknown encoding. */
export const CODEC_WITHOUT_KEYS: PayloadCodec = {
  encode: (payloads) => Promise.resolve(payloads),
  async decode(payloads) {
    const encrypted = payloads.find(isEncrypted);
    if (encrypted === undefined) return payloads;
    const id = keyIdOf(encrypted);
    throw new Error(
      `a payload is encrypted with the key '${id}', and KAITO_PAYLOAD_KEYS is not set: name the folder that holds '${id}' there`,
    );
  },
};

function encrypt(payload: Payload, id: string, key: KeyObject): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(id));
  const encrypted = cipher.update(PayloadMessage.encode(payload).finish());
  return {
    metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING), [METADATA_KEY_ID]: Buffer.from(id) },
    data: Buffer.concat([nonce, encrypted, cipher.final(), cipher.getAuthTag()]),
  };
}

async function decrypt(payload: Payload, keys: PayloadKeys): Promise<Payload> {
  if (!isEncrypted(payload)) return payload;
  const id = keyIdOf(payload);
  const key = await keys.key(id);
  const data = Buffer.from(payload.data ?? []);
  try {
    const decipher = createDecipheriv(CIPHER, key, data.subarray(0, NONCE_BYTES))
      .setAAD(Buffer.from(id))
      .setAuthTag(data.subarray(-TAG_BYTES));
    const plain = Buffer.concat([decipher.update(data.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    return PayloadMessage.decode(plain);
  } catch (error) {
    throw new Error(
      `a payload of the key '${id}' cannot be decrypted: the file '${id}' of KAITO_PAYLOAD_KEYS holds another key than the one it was encrypted with, or the payload was changed`,
      { cause: error },
    );
  }
}

function isEncrypted({ metadata }: Payload): boolean {
  return textOf(metadata?.[METADATA_ENCODING_KEY]) === ENCODING;
}

function keyIdOf({ metadata }: Payload): string {
  return textOf(metadata?.[METADATA_KEY_ID]);
}

function textOf(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('utf8');
}
