import { defaultPayloadConverter, type Headers } from '@temporalio/common';

/** A header that is text; undefined where there is none of that name. */
export function headerOf(headers: Headers, name: string): string | undefined {
  const payload = headers[name];
  if (payload === undefined) return undefined;
  const value: unknown = defaultPayloadConverter.fromPayload(payload);
  return typeof value === 'string' ? value : undefined;
}

/** The headers with one more; unchanged where there is nothing to say. */
export function withHeader(headers: Headers, name: string, value: string | undefined): Headers {
  return value === undefined ? headers : { ...headers, [name]: defaultPayloadConverter.toPayload(value) };
}
