/**
 * The moments of a run at which something can be made to happen: what goes over the wires between worker, Temporal and API server.
 */

/** `before`: asked, and not passed on yet. `after`: done, and the one who asked does not know. */
export type RequestPoint = 'before' | 'after';
/**
 * `before`: the server has handed the activity out, and the worker doesn't have it. `done`: the worker has done it, and the server doesn't know.
 * `recorded`: the server has it, and the worker doesn't know.
 */
export type ActivityPoint = 'before' | 'done' | 'recorded';

export interface ActivityMoment {
  readonly sort: 'activity';
  /** ID of its workflow. */
  readonly workflowId: string;
  readonly activity: string;
  readonly point: ActivityPoint;
}

export interface RequestMoment {
  readonly sort: 'request';
  readonly by: 'worker' | 'bridge';
  readonly write: Write;
  readonly point: RequestPoint;
}

/** A request that changes something. */
export interface Write {
  readonly verb: 'create' | 'apply' | 'patch' | 'update' | 'delete';
  /** Plural, with the subresource: `workspaces/status`. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name: string;
  /** The object as sent; empty for deletions. */
  readonly sent: WrittenObject;
  /** Its answer, once it is there: status code, and the object. */
  readonly code?: number;
  readonly answer?: WrittenObject;
}

export interface WrittenObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  /** Of a Status: what it is about. */
  readonly details?: { readonly uid?: string };
}

export type Moment = ActivityMoment | RequestMoment;

/** Is told of each moment; what happens at that moment waits until it returns. */
export type Tap = (moment: Moment) => Promise<void>;

/** What a moment is called, whichever Workspace it is of. */
export function nameOfMoment(moment: Moment): string {
  switch (moment.sort) {
    case 'activity':
      return `${moment.point} ${moment.activity}`;
    case 'request':
      return `${moment.point} ${moment.by} ${moment.write.verb} ${moment.write.resource}`;
  }
}
