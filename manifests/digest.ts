import { createHash } from 'node:crypto';

/** JSON with sorted keys, so that equal values have equal text. Undefined members are left out, as JSON does. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** SHA-256, 64 hex digits. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * A DNS label (63 characters at most, of a-z, 0-9 and -) made of `text`. What fits is kept as it is; else the end gives way to a digest, so
 * that two long names that begin alike stay apart.
 */
export function dnsLabel(text: string): string {
  const plain = text.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-');
  return plain === text && text.length <= 63 ? text : `${plain.slice(0, 53)}-${sha256(text).slice(0, 9)}`;
}
