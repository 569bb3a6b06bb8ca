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
