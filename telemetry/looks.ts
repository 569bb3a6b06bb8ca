/**
 * What is counted, logged and traced of each signal that the bridge sends: a trace begins when it saw the change.
 */
import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { InjectedSinks } from '@temporalio/worker';
import { TRACE_HEADER, type HandledSignal, type LookSample } from '../api/trace';
import { workflowIdOf } from '../api/workflow';
import { withHeader } from './headers';
import type { Metrics } from './metrics';
import type { Tracing } from './tracing';

/** Wraps the sending of a look. */
export function observeLook(
  { metrics, tracing, now }: { readonly metrics: Metrics; readonly tracing: Tracing; readonly now: () => number },
  { namespace, name, uid, generation, reason, changedAt }: LookSample,
  send: () => Promise<void>,
): Promise<void> {
  const workspace = `${namespace}/${name}`;
  const workflowId = workflowIdOf({ namespace, name });
  const attributes = {
    'kaito.workspace': workspace,
    'kaito.uid': uid,
    'kaito.generation': generation,
    'kaito.workflowId': workflowId,
    'kaito.reason': reason,
  };
  const fields = { workspace, uid, workflowId, generation, reason };
  return tracing.span(`look: ${reason}`, { attributes, startedMs: changedAt }, fields, async () => {
    try {
      await send();
    } catch (error) {
      metrics.looks.inc({ reason, outcome: 'failed' });
      throw error;
    }
    metrics.looks.inc({ reason, outcome: 'sent' });
    metrics.bridgeLag.observe({ reason }, Math.max(0, now() - changedAt) / 1000);
  });
}

/** Puts the trace into the headers of signals. */
export function signalInterceptor(tracing: Tracing): WorkflowClientInterceptor {
  return {
    signalWithStart: (input, next) =>
      tracing.span(`signal: ${input.signalName}`, { kind: 'PRODUCER' }, {}, () =>
        next({ ...input, headers: withHeader(input.headers, TRACE_HEADER, tracing.traceparent()) }),
      ),
    signal: (input, next) =>
      tracing.span(`signal: ${input.signalName}`, { kind: 'PRODUCER' }, {}, () =>
        next({ ...input, headers: withHeader(input.headers, TRACE_HEADER, tracing.traceparent()) }),
      ),
  };
}

/** Where workflows tell what they handled; needed also where traces are off, as others may trace. */
export function traceSinks(tracing: Tracing): InjectedSinks<TraceSinks> {
  return {
    trace: {
      handled: {
        fn: ({ workflowId, runId }, signal) =>
          tracing.handled(signal, { 'kaito.workflowId': workflowId, 'kaito.runId': runId }),
        callDuringReplay: false,
      },
    },
  };
}

/** As workflows/trace-context.ts calls them. */
type TraceSinks = { readonly trace: { handled(signal: HandledSignal): void } };
