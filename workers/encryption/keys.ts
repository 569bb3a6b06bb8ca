/**
 * The keys that payloads are encrypted with: a folder with one file for each, as a mounted Secret is one. The file's name is the key's ID, and stands
 * beside each payload that was encrypted with it.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** Where keys are, and which one new payloads are encrypted with. */
export interface PayloadKeysOptions {
  readonly folder: string;
  /** ID of the key; `none`: new payloads are not encrypted any more. Default: the only key of the folder. */
  readonly current?: string;
}

export interface PayloadKeys {
  /** Undefined: new payloads are left as they are. */
  readonly current: { readonly id: string; readonly key: KeyObject } | undefined;
  /** The key of that ID; a file that was added since is found. */
  key(id: string): Promise<KeyObject>;
}

/** What turns encryption off for new payloads, while old ones can still be read. */
export const NO_KEY = 'none';

const KEY_BYTES = 32;
const HOW_TO_MAKE = 'write 32 random bytes in base64: openssl rand -base64 32';

/**
 * Reads the keys.
 *
 * @throws Error naming the variable when the folder or a key cannot be read, is no key, or none or several could be the current one.
 */
export async function openPayloadKeys({ folder, current }: PayloadKeysOptions): Promise<PayloadKeys> {
  let keys = await readKeys(folder);
  const ids = (): string => [...keys.keys()].map((id) => `'${id}'`).join(', ') || 'no key';

  const chosen = current ?? (keys.size === 1 ? [...keys.keys()][0] : undefined);
  if (chosen === undefined) {
    throw new Error(
      `KAITO_PAYLOAD_KEY: ${folder} holds ${ids()}; name the one to encrypt with${keys.size === 0 ? ', after you put one there' : ''}`,
    );
  }
  const key = keys.get(chosen);
  if (chosen !== NO_KEY && key === undefined) {
    throw new Error(`KAITO_PAYLOAD_KEY: '${chosen}' is not in ${folder}, which holds ${ids()}; name one of them`);
  }

  return {
    current: key === undefined ? undefined : { id: chosen, key },
    async key(id) {
      if (!keys.has(id)) keys = await readKeys(folder);
      const found = keys.get(id);
      if (found !== undefined) return found;
      throw new Error(
        `a payload is encrypted with the key '${id}', and ${folder} (KAITO_PAYLOAD_KEYS) holds ${ids()}: put '${id}' back there`,
      );
    },
  };
}

async function readKeys(folder: string): Promise<ReadonlyMap<string, KeyObject>> {
  // A mounted Secret's folder also has links that begin with a dot, for its own purposes.
  const names = (await list(folder)).filter((name) => !name.startsWith('.')).sort();
  const keys = await Promise.all(names.map(async (name) => [name, await readKey(path.join(folder, name))] as const));
  return new Map(keys);
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    throw new Error(`KAITO_PAYLOAD_KEYS: ${String(error)}; name a folder with one file for each key`, { cause: error });
  }
}

async function readKey(file: string): Promise<KeyObject> {
  const text = (await readFile(file, 'utf8')).trim();
  const bytes = Buffer.from(text, 'base64');
  const isBase64 = bytes.toString('base64') === text;
  if (!isBase64 || bytes.length !== KEY_BYTES) {
    const what = isBase64 ? `${bytes.length} bytes` : 'no base64';
    throw new Error(`KAITO_PAYLOAD_KEYS: ${file} holds ${what}; ${HOW_TO_MAKE}`);
  }
  return createSecretKey(bytes);
}
