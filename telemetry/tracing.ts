/**
 * Traces by OpenTelemetry, sent by OTLP over HTTP. Off unless the environment names where to; everything is configured by the standard variables.
 */
import {
  ROOT_CONTEXT,
  DiagLogLevel,
  SpanKind,
  SpanStatusCode,
  diag,
  trace,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, RandomIdGenerator, TracerProvider, type IdGenerator } from '@opentelemetry/sdk-trace';
import type { HandledSignal } from '../api/trace';
import { toError } from '../api/to-error';
import type { RequestSample } from '../kubernetes/client';
import type { LogFields, Logger } from '../kubernetes/logger';
import { redactText } from './redaction';
import { currentSpan, inScope } from './scope';
import { samplerOf } from './sampler';

export interface SpanOptions {
  readonly kind?: keyof typeof SpanKind;
  readonly attributes?: Attributes;
  /** `traceparent` of another process; else the running code's span is the parent. */
  readonly parent?: string | undefined;
  /** Milliseconds since the epoch; now unless set. */
  readonly startedMs?: number;
  /** Whether what was thrown counts as a failure of the span. Default: everything. */
  readonly isFailure?: (error: unknown) => boolean;
}

/** Starts spans. All of it is cheap and harmless where traces are off. */
export interface Tracing {
  /** Runs `work` in a span, and in a scope with these log fields; failures are on the span. */
  span<T>(name: string, options: SpanOptions, fields: LogFields, work: () => Promise<T>): Promise<T>;
  /** For the headers of what is sent now; undefined outside of spans. */
  traceparent(): string | undefined;
  /** A request that just ended, under the span of the running code. */
  request(sample: RequestSample): void;
  /** A span that a workflow chose the number of. */
  handled(signal: HandledSignal, attributes: Attributes): void;
  /** Sends what is left; waits for it, for as long as the exporter does. */
  close(): Promise<void>;
}

const OFF: Tracing = {
  span: (_name, _options, fields, work) => inScope({ fields }, work),
  traceparent: () => undefined,
  request: () => undefined,
  handled: () => undefined,
  close: () => Promise.resolve(),
};

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws where a variable asks for what is not offered, naming it. */
export function openTracing(environment: Environment, version: string, logger: Logger): Tracing {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all = '', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces = '' } = environment;
  if (all === '' && traces === '') return OFF;
  if (environment.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || environment.OTEL_TRACES_EXPORTER === 'none')
    return OFF;
  assertProtocol(environment);
  // A collector that does not answer is told in our log, and harms nothing else.
  const tell = (message: string, ...details: unknown[]): void => logger.warn(`traces: ${message}`, { details });
  diag.setLogger({ error: tell, warn: tell, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);

  const ids = new ChosenIds();
  const provider = new TracerProvider({
    idGenerator: ids,
    sampler: samplerOf(environment),
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'kaito-temporal', 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector, serviceNameEnvDetector] })),
    spanProcessors: [
      new BatchSpanProcessor({
        // Endpoint, headers, time-out, compression and certificates are read from the environment by the exporter itself.
        exporter: new OTLPTraceExporter(),
        ...numberOf(environment, 'OTEL_BSP_SCHEDULE_DELAY', 'scheduledDelayMillis'),
        ...numberOf(environment, 'OTEL_BSP_EXPORT_TIMEOUT', 'exportTimeoutMillis'),
        ...numberOf(environment, 'OTEL_BSP_MAX_QUEUE_SIZE', 'maxQueueSize'),
        ...numberOf(environment, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 'maxExportBatchSize'),
      }),
    ],
  });
  return new OpenTelemetryTracing(provider, provider.getTracer('kaito-temporal', version), ids);
}

class OpenTelemetryTracing implements Tracing {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #ids: ChosenIds;

  constructor(provider: TracerProvider, tracer: Tracer, ids: ChosenIds) {
    this.#provider = provider;
    this.#tracer = tracer;
    this.#ids = ids;
  }

  async span<T>(
    name: string,
    { kind = 'INTERNAL', attributes = {}, parent, startedMs, isFailure = () => true }: SpanOptions,
    fields: LogFields,
    work: () => Promise<T>,
  ): Promise<T> {
    const options = {
      kind: SpanKind[kind],
      attributes,
      ...(startedMs !== undefined && { startTime: new Date(startedMs) }),
    };
    const span = this.#tracer.startSpan(name, options, parent === undefined ? below(currentSpan()) : from(parent));
    try {
      return await inScope({ fields, span }, work);
    } catch (error) {
      if (isFailure(error)) {
        const { message, name: type } = toError(error);
        span.setAttribute('error.type', type);
        span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(message) });
      }
      throw error;
    } finally {
      span.end();
    }
  }

  traceparent(): string | undefined {
    const context = currentSpan()?.spanContext();
    return context && format(context);
  }

  request({ verb, resource, code, durationMs }: RequestSample): void {
    const parent = currentSpan();
    if (parent === undefined) return;
    const now = Date.now();
    const span = this.#tracer.startSpan(
      `${verb} ${resource}`,
      {
        kind: SpanKind.CLIENT,
        startTime: new Date(now - durationMs),
        attributes: {
          'kaito.kubernetes.verb': verb,
          'kaito.kubernetes.resource': resource,
          'http.response.status_code': code,
        },
      },
      below(parent),
    );
    // That an object is not there is an answer like any other.
    if (code === 0 || (code >= 400 && code !== 404)) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(new Date(now));
  }

  handled({ signal, parent, own, startedMs }: HandledSignal, attributes: Attributes): void {
    const spanId = parse(own)?.spanId;
    if (spanId === undefined) return;
    this.#ids.next = spanId;
    const options = { kind: SpanKind.CONSUMER, startTime: new Date(startedMs), attributes };
    this.#tracer.startSpan(`workflow: ${signal}`, options, from(parent)).end();
  }

  close(): Promise<void> {
    return this.#provider.shutdown();
  }
}

/** Random, but for the one span whose number is known beforehand. */
class ChosenIds implements IdGenerator {
  /** Of the span that is started next, at once. */
  next: string | undefined;
  readonly #random = new RandomIdGenerator();

  generateTraceId(): string {
    return this.#random.generateTraceId();
  }

  generateSpanId(): string {
    const { next } = this;
    this.next = undefined;
    return next ?? this.#random.generateSpanId();
  }
}

function below(parent: Span | undefined): Context {
  return parent === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, parent);
}

function from(traceparent: string): Context {
  const parent = parse(traceparent);
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
}

// https://www.w3.org/TR/trace-context/#traceparent-header

function format({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function parse(traceparent: string): SpanContext | undefined {
  const [, traceId, spanId, flags] = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) };
}

function assertProtocol(environment: Environment): void {
  for (const name of ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL']) {
    const protocol = environment[name] ?? '';
    if (protocol === '') continue;
    if (protocol === 'http/protobuf') return;
    throw new Error(
      `${name} is '${protocol}': traces are sent by http/protobuf only; set that, and the collector's HTTP port (usually 4318)`,
    );
  }
}

function numberOf<K extends string>(environment: Environment, name: string, key: K): Partial<Record<K, number>> {
  const text = environment[name] ?? '';
  if (text === '') return {};
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${name} is '${text}': write a whole number from 1 on`);
  return { [key]: number } as Partial<Record<K, number>>;
}
