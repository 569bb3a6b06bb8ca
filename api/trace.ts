/** How a trace goes from the bridge through a workflow to its activities. */

/** Header of signals and activities: W3C's `traceparent`, as a JSON string. */
export const TRACE_HEADER = 'traceparent';

/** A signal that a workflow handled, for the span of that. */
export interface HandledSignal {
  readonly signal: string;
  /** `traceparent` of who sent it. */
  readonly parent: string;
  /** `traceparent` of the span to be, under which activities are put. */
  readonly own: string;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
}

/** A look that the bridge is about to send. */
export interface LookSample {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly reason: string;
  /** When the bridge saw the change that it tells of, milliseconds since the epoch. */
  readonly changedAt: number;
}
