/**
 * Keeps secrets out of the log, twice: fields that are named like one are replaced whole, and whatever looks like one is replaced in the written line,
 * wherever it stands (in messages of other people's errors above all).
 */

import { types } from 'node:util';
import pino from 'pino';

/** What stands where a secret stood. */
export const REDACTED = '[redacted]';

/** Names of fields whose values are never written; compared without case, `-` and `_`. */
const SECRET_NAMES = [
  'password',
  'passwd',
  'secret',
  'clientsecret',
  'token',
  'accesstoken',
  'refreshtoken',
  'idtoken',
  'apikey',
  'authorization',
  'proxyauthorization',
  'cookie',
  'setcookie',
  'privatekey',
  'clientkey',
  'clientkeydata',
  'clientassertion',
  'dockerconfigjson',
  '.dockerconfigjson',
  'hftoken',
  'stringdata',
  'connectionstring',
  'accountkey',
];
const NAMES: ReadonlySet<string> = new Set(SECRET_NAMES);

/** Deeper than any field of ours; errors of HTTP libraries nest requests within responses without end. */
const MOST_DEPTH = 8;

/** What secrets look like in text. Each keeps its first group: the part that says what was there. */
const PATTERNS: readonly RegExp[] = [
  // Tokens of the Hugging Face hub.
  /(\bhf_)[A-Za-z0-9]{16,}/g,
  // Authorization headers.
  /(\b(?:Bearer|Basic)\s+)[A-Za-z0-9+/=._~-]{8,}/gi,
  // JSON Web Tokens: service accounts, Azure.
  /(\beyJ)[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g,
  // User and password in an address.
  /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/:@"\\]+:[^\s/@"\\]+(?=@)/gi,
  // Signatures and keys in queries and connection strings.
  /([?&;](?:sig|signature|x-amz-signature|x-goog-signature|access_token|token|key|api_key)=)[^&\s"'\\;]+/gi,
  /(\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=)[^;\s"'\\]+/gi,
  // Private keys in PEM, whole or broken into escaped lines.
  /(-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(?=-----END|"|$)/g,
  // Registry credentials as in .dockerconfigjson, perhaps within quoted JSON.
  /(\\*"(?:auth|password|identitytoken)\\*"\s*:\s*\\*")[^"\\]{4,}/gi,
];

/** The text, without what looks like a secret. */
export function redactText(text: string): string {
  return PATTERNS.reduce((redacted, pattern) => redacted.replace(pattern, `$1${REDACTED}`), text);
}

/** The fields, without the values of those that are named like a secret. The argument is left as it is. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactEach(fields, 0);
}

function redactEach(fields: Readonly<Record<string, unknown>>, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, isSecretName(name) ? REDACTED : redact(value, depth + 1)]),
  );
}

function isSecretName(name: string): boolean {
  return NAMES.has(name.toLowerCase().replaceAll(/[-_]/g, ''));
}

function redact(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MOST_DEPTH) return '[deep]';
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  if (types.isNativeError(value)) return redactEach(plainError(value), depth);
  // Dates, buffers and the like have ways of their own to be written.
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return redactEach(value as Record<string, unknown>, depth);
}

/** Message, stack and causes, and what else the error carries: those of HTTP libraries carry whole requests. */
function plainError(error: Error): Record<string, unknown> {
  return { ...pino.stdSerializers.err(error) };
}
