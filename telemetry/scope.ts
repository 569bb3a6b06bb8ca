import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span } from '@opentelemetry/api';
import type { LogFields } from '../kubernetes/logger';

/** What the running code is at work on; follows it through promises, timers and callbacks that were registered in it. */
export interface Scope {
  /** On every log line that is written meanwhile. */
  readonly fields: LogFields;
  /** Parent of the spans that are started meanwhile. */
  readonly span?: Span;
}

const scopes = new AsyncLocalStorage<Scope>();

/** Runs `work` within the scope, fields of the outer one included. */
export function inScope<T>({ fields, span }: Scope, work: () => T): T {
  const outer = scopes.getStore();
  const inner = span ?? outer?.span;
  return scopes.run({ fields: { ...outer?.fields, ...fields }, ...(inner !== undefined && { span: inner }) }, work);
}

/** The span of the running code, if what it does is traced. */
export function currentSpan(): Span | undefined {
  return scopes.getStore()?.span;
}

/** The fields for a log line of the running code. */
export function currentFields(): LogFields {
  const scope = scopes.getStore();
  if (scope === undefined) return {};
  if (scope.span?.isRecording() !== true) return scope.fields;
  const { traceId, spanId } = scope.span.spanContext();
  return { ...scope.fields, trace_id: traceId, span_id: spanId };
}
