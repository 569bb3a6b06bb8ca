import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { openPayloadKeys, type PayloadKeysOptions } from '../../../../workers/encryption/keys';
import { CODEC_WITHOUT_KEYS, encryptingCodec } from '../../../../workers/encryption/payload-codec';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-payload-keys-'));
});

afterEach(() => rm(folder, { recursive: true }));

const newKey = (): string => randomBytes(32).toString('base64');
const put = (id: string, text = newKey()): Promise<void> => writeFile(path.join(folder, id), `${text}\n`);
const codec = async (options: Partial<PayloadKeysOptions> = {}) => {
  const opened = encryptingCodec(await openPayloadKeys({ folder, ...options }));
  return {
    encode: (payloads: Payload[]) => opened.encode(payloads),
    decode: (payloads: Payload[]) => opened.decode(payloads),
  };
};
const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value);
const valueOf = (payload: Payload | undefined): unknown => defaultPayloadConverter.fromPayload(payload as Payload);

describe('the codec', () => {
  it('gives back what it was given, and shows nothing of it meanwhile', async () => {
    await put('2026-01');
    const { encode, decode } = await codec();
    const [encrypted] = await encode([payloadOf({ secret: 'planted' })]);

    const bytes = [encrypted?.data, ...Object.values(encrypted?.metadata ?? {})].map((one) => Buffer.from(one ?? []));
    expect(bytes.some((one) => one.includes('planted') || one.includes('json'))).toBe(false);
    expect(valueOf((await decode([encrypted as Payload]))[0])).toEqual({ secret: 'planted' });
  });

  it('encrypts the same twice to different bytes', async () => {
    await put('2026-01');
    const { encode } = await codec();
    const [a, b] = await encode([payloadOf('same'), payloadOf('same')]);
    expect(Buffer.from(a?.data ?? []).equals(Buffer.from(b?.data ?? []))).toBe(false);
  });

  it('passes on what was never encrypted', async () => {
    await put('2026-01');
    const { decode } = await codec();
    expect(await decode([payloadOf('plain')])).toEqual([payloadOf('plain')]);
  });

  it('reads what former keys encrypted, and writes with the current one', async () => {
    await put('old');
    const [before] = await (await codec()).encode([payloadOf('before')]);
    await put('new');
    const rotated = await codec({ current: 'new' });

    expect(valueOf((await rotated.decode([before as Payload]))[0])).toBe('before');
    const [after] = await rotated.encode([payloadOf('after')]);
    expect(String(Buffer.from(after?.metadata?.['encryption-key-id'] ?? []))).toBe('new');
  });

  it('finds a key that was added while it runs', async () => {
    await put('old');
    const running = await codec();
    await put('new');
    const [written] = await (await codec({ current: 'new' })).encode([payloadOf('by another')]);

    expect(valueOf((await running.decode([written as Payload]))[0])).toBe('by another');
  });

  it('reads and no longer encrypts with the key none', async () => {
    await put('old');
    const [before] = await (await codec()).encode([payloadOf('before')]);
    const off = await codec({ current: 'none' });

    expect(valueOf((await off.decode([before as Payload]))[0])).toBe('before');
    expect(await off.encode([payloadOf('after')])).toEqual([payloadOf('after')]);
  });
});

describe('what cannot be read', () => {
  it('names the key that is missing, and where to put it', async () => {
    await put('lost');
    const [written] = await (await codec()).encode([payloadOf('x')]);
    await rm(path.join(folder, 'lost'));
    await put('other');

    await expect((await codec()).decode([written as Payload])).rejects.toThrow(
      `a payload is encrypted with the key 'lost', and ${folder} (KAITO_PAYLOAD_KEYS) holds 'other': put 'lost' back there`,
    );
  });

  it('names the key whose file holds another one', async () => {
    await put('mine');
    const [written] = await (await codec()).encode([payloadOf('x')]);
    await put('mine');

    await expect((await codec()).decode([written as Payload])).rejects.toThrow("a payload of the key 'mine'");
  });

  it.each([
    ['its bytes', (payload: Payload): Payload => ({ ...payload, data: flipped(payload.data) })],
    ['its key’s name', (payload: Payload): Payload => renamed(payload, 'twin')],
    [
      'its length',
      (payload: Payload): Payload => ({ ...payload, data: Buffer.from(payload.data ?? []).subarray(0, 5) }),
    ],
  ])('is a payload that was changed: %s', async (_, change) => {
    const key = newKey();
    await put('mine', key);
    await put('twin', key);
    const { encode, decode } = await codec({ current: 'mine' });
    const [written] = await encode([payloadOf('x')]);

    await expect(decode([change(written as Payload)])).rejects.toThrow('or the payload was changed');
  });
});

describe('without keys', () => {
  it('names the key of an encrypted payload, and the variable that is not set', async () => {
    await put('2026-01');
    const [encrypted] = await (await codec()).encode([payloadOf('x')]);

    await expect(CODEC_WITHOUT_KEYS.decode([payloadOf('plain'), encrypted as Payload])).rejects.toThrow(
      "a payload is encrypted with the key '2026-01', and KAITO_PAYLOAD_KEYS is not set: name the folder that holds '2026-01' there",
    );
  });

  it('leaves all others as they are', async () => {
    const payloads = [payloadOf('plain'), payloadOf(undefined)];
    expect(await CODEC_WITHOUT_KEYS.decode(await CODEC_WITHOUT_KEYS.encode(payloads))).toEqual(payloads);
  });
});

function flipped(data: Uint8Array | null | undefined): Uint8Array {
  const bytes = Buffer.from(data ?? []);
  bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
  return bytes;
}

function renamed(payload: Payload, id: string): Payload {
  return { ...payload, metadata: { ...payload.metadata, 'encryption-key-id': Buffer.from(id) } };
}

describe('keys', () => {
  it.each([
    ['no base64', 'not a key!', 'holds no base64'],
    ['too short', Buffer.alloc(16).toString('base64'), 'holds 16 bytes'],
  ])('are refused when they are %s, and never shown', async (_, text, message) => {
    await put('bad', text);
    const opened = openPayloadKeys({ folder });
    await expect(opened).rejects.toThrow(`KAITO_PAYLOAD_KEYS: ${path.join(folder, 'bad')} ${message}`);
    await expect(opened).rejects.not.toThrow(text);
  });

  it('have to be chosen where there are several', async () => {
    await put('a');
    await put('b');
    await expect(openPayloadKeys({ folder })).rejects.toThrow(
      `KAITO_PAYLOAD_KEY: ${folder} holds 'a', 'b'; name the one to encrypt with`,
    );
    await expect(openPayloadKeys({ folder, current: 'c' })).rejects.toThrow(
      `KAITO_PAYLOAD_KEY: 'c' is not in ${folder}, which holds 'a', 'b'; name one of them`,
    );
  });

  it('have to be there', async () => {
    await expect(openPayloadKeys({ folder })).rejects.toThrow(`KAITO_PAYLOAD_KEY: ${folder} holds no key`);
    await expect(openPayloadKeys({ folder: path.join(folder, 'nowhere') })).rejects.toThrow(
      'KAITO_PAYLOAD_KEYS: Error: ENOENT',
    );
  });

  it('do not include what a mounted Secret’s folder has of its own', async () => {
    await put('..data');
    await put('2026-01');
    expect((await openPayloadKeys({ folder })).current?.id).toBe('2026-01');
  });
});
