import { createSign, generateKeyPairSync, randomInt, type KeyObject } from 'node:crypto';

/** A private key and a certificate for it, both PEM. */
export interface Certified {
  readonly key: string;
  readonly certificate: string;
}

/** A certificate that says it is its own authority. */
export type SelfSigned = Certified;

export interface Authority {
  readonly certificate: string;
  /** A certificate for servers at `127.0.0.1` and `localhost`, and for clients. */
  issue(name: string): Certified;
}

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const SUBJECT_ALT_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const DAY_MS = 24 * 3_600_000;

/** Valid for `127.0.0.1` and `localhost`, for a day. */
export function selfSigned(): SelfSigned {
  const { privateKey, publicKey } = newKeys();
  const name = 'fake Azure Resource Manager';
  const extensions = [alternativeNames(), authority()];
  return {
    key: pemOf(privateKey),
    certificate: certify({ name, publicKey, issuer: name, signer: privateKey, extensions }),
  };
}

/** One that others have their certificates from; all are valid for a day. */
export function certificateAuthority(issuer: string): Authority {
  const { privateKey: signer, publicKey } = newKeys();
  return {
    certificate: certify({ name: issuer, publicKey, issuer, signer, extensions: [authority()] }),
    issue(name) {
      const { privateKey, publicKey } = newKeys();
      const certificate = certify({ name, publicKey, issuer, signer, extensions: [alternativeNames()] });
      return { key: pemOf(privateKey), certificate };
    },
  };
}

interface Certificate {
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly issuer: string;
  readonly signer: KeyObject;
  readonly extensions: readonly Buffer[];
}

/** Node can sign but not make certificates, so the few bytes around the key are made here. */
function certify({ name, publicKey, issuer, signer, extensions }: Certificate): string {
  const algorithm = sequence(objectId(ECDSA_WITH_SHA256));
  const body = sequence(
    explicit(0, integer(2)), // X.509 version 3
    integer(randomInt(1, 0x7fff_ffff)),
    algorithm,
    commonName(issuer),
    sequence(time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    commonName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions)),
  );
  const signature = createSign('sha256').update(body).sign(signer);
  const whole = sequence(body, algorithm, tagged(0x03, Buffer.concat([Buffer.of(0), signature])));
  const lines = whole.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function newKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function pemOf(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function commonName(name: string): Buffer {
  return sequence(set(sequence(objectId(COMMON_NAME), text(name))));
}

function alternativeNames(): Buffer {
  const names = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.of(127, 0, 0, 1)));
  return sequence(objectId(SUBJECT_ALT_NAME), tagged(0x04, names));
}

function authority(): Buffer {
  const yes = tagged(0x01, Buffer.of(0xff));
  return sequence(objectId(BASIC_CONSTRAINTS), yes, tagged(0x04, sequence(yes)));
}

/** Tag, length, content: DER (ITU-T X.690). */
function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function set(...parts: readonly Buffer[]): Buffer {
  return tagged(0x31, Buffer.concat(parts));
}

function explicit(number: number, content: Buffer): Buffer {
  return tagged(0xa0 + number, content);
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(value, 1);
  // Shortest form, with the sign bit clear.
  let start = 0;
  while (start < 4 && bytes[start] === 0 && (bytes[start + 1] ?? 0) < 0x80) start += 1;
  return tagged(0x02, bytes.subarray(start));
}

function text(value: string): Buffer {
  return tagged(0x0c, Buffer.from(value));
}

function time(ms: number): Buffer {
  return tagged(0x18, Buffer.from(`${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`));
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const septets = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) septets.unshift((left & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return tagged(0x06, Buffer.from(bytes));
}
