/** A payload of Temporal as its server sees it. */
export interface StoredPayload {
  /** Where it stands in its event. */
  readonly field: string;
  readonly encoding: string;
  readonly data: string;
}

/** All payloads of the messages, wherever they stand in them. */
export function payloadsOf(messages: readonly unknown[] | null | undefined): readonly StoredPayload[] {
  return (messages ?? []).flatMap((message) => within(message, ''));
}

function within(value: unknown, field: string): readonly StoredPayload[] {
  if (Array.isArray(value)) return value.flatMap((one) => within(one, field));
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const { metadata, data } = value as { readonly metadata?: { readonly encoding?: unknown } | null; data?: unknown };
  if (metadata?.encoding instanceof Uint8Array) return [{ field, encoding: text(metadata.encoding), data: text(data) }];
  return Object.entries(value).flatMap(([key, part]) => within(part, field === '' ? key : `${field}.${key}`));
}

function text(bytes: unknown): string {
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('utf8') : '';
}
