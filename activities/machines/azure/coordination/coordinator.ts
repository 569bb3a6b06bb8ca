import type { Failure } from '../../../../api/causes';
import type { InFlight, Outcome, PoolCandidate } from '../../../../api/coordination';

/**
 * What the Workspaces of a cluster share: how much may be asked of the cloud, and what failed for others.
 *
 * The way of one creation: `admit`; before each PUT `allowPut`; on 429 `throttled`, then `allowPut` again; `report` what became of it;
 * `release` when the pool is there or given up, in a `finally`.
 */
export interface Coordinator {
  /**
   * Waits for a place among the pools under creation, first come, first served. One Workspace has one place: a later request for it
   * takes the former's over, which then rejects. Rejects when the signal aborts.
   */
  admit(request: AdmissionRequest, options: Interruptible): Promise<Admission>;
  /**
   * Tells what became of a candidate. Resolves when the coordinator knows; if nobody listens (a worker that stops may be the one that would
   * have), after two seconds: it is said again until it is heard. So do `throttled` and `release`.
   */
  report(outcome: Outcome): Promise<void>;
  /**
   * The cloud answered 429: nobody sends a PUT for so long; 0, where it named no time: until a token would have come.
   */
  throttled(retryAfterMs: number): Promise<void>;
  /** What others create just now; a plan subtracts it from the quota. Empty where nothing was ever created. */
  inFlight(): Promise<readonly InFlight[]>;
  /** Says what is still to be said; whoever waits is rejected. */
  close(): Promise<void>;
}

export interface Interruptible {
  readonly signal: AbortSignal;
}

export interface AdmissionRequest {
  readonly workspaceUid: string;
  /** `namespace/name`, for people. */
  readonly workspace: string;
  readonly candidate: PoolCandidate;
  /** The pool exists in the cloud already, left by an earlier try: it is admitted at once, and counts. */
  readonly adopts?: boolean;
}

export type Admission = Admitted | Avoided;

export interface Admitted {
  readonly kind: 'admitted';
  /** Waits until one PUT may be sent; to be called before each. Rejects when the signal aborts. */
  allowPut(options: Interruptible): Promise<{ readonly kind: 'allowed' } | Avoided>;
  /** Gives the place back; safe to call twice. Resolves when the coordinator knows. */
  release(): Promise<void>;
}

/** The candidate failed for somebody a while ago. The place is given back already. */
export interface Avoided {
  readonly kind: 'avoid';
  readonly failure: Failure;
  /** ISO time. */
  readonly until: string;
}
