/**
 * Interceptors that lead a trace through the workflow: what a signal carries is handed to the activities that it leads to. They decide nothing and
 * schedule nothing, so that histories with and without traces replay alike. Temporal's own interceptors would not do: theirs hang every activity under
 * one span for the whole run, which lasts as long as the Workspace.
 */
import {
  defaultPayloadConverter,
  proxySinks,
  workflowInfo,
  type Sinks,
  type WorkflowInterceptors,
} from '@temporalio/workflow';
import { TRACE_HEADER, type HandledSignal } from '../api/trace';

export interface TraceSinks extends Sinks {
  readonly trace: { handled(signal: HandledSignal): void };
}

const { trace } = proxySinks<TraceSinks>();

/** Where the SDK looks for them. */
export function interceptors(): WorkflowInterceptors {
  let current: string | undefined;
  let signals = 0;

  const read = (headers: Headers): string | undefined => {
    const payload = headers[TRACE_HEADER];
    return payload === undefined ? undefined : defaultPayloadConverter.fromPayload<string>(payload);
  };
  const withTrace = <I extends { readonly headers: Headers }>(input: I): I =>
    current === undefined
      ? input
      : { ...input, headers: { ...input.headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(current) } };

  return {
    inbound: [
      {
        execute(input, next) {
          current = read(input.headers);
          return next(input);
        },
        handleSignal(input, next) {
          const parent = read(input.headers);
          signals += 1;
          // What somebody asks who traces nothing belongs to no trace.
          current = parent === undefined ? undefined : childOf(parent, `${workflowInfo().runId}/${signals}`);
          if (parent !== undefined && current !== undefined) {
            trace.handled({ signal: input.signalName, parent, own: current, startedMs: Date.now() });
          }
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(withTrace(input)),
        continueAsNew: (input, next) => next(withTrace(input)),
      },
    ],
  };
}

type Headers = Parameters<NonNullable<NonNullable<WorkflowInterceptors['inbound']>[number]['execute']>>[0]['headers'];

/** The same trace with a span of its own, whose number follows from `seed`: a replay makes the same. */
function childOf(traceparent: string, seed: string): string {
  const [version = '00', traceId = '', parentId = '', flags = '00'] = traceparent.split('-');
  return [version, traceId, hash64(`${parentId}/${seed}`), flags].join('-');
}

/** FNV-1a, 64 bits, in hexadecimal. */
function hash64(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, '0');
}
