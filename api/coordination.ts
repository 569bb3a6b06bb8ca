/**
 * What the providers of pools and the coordinator of a cluster say to each other. A coordinator is one workflow for each cluster: it remembers
 * for all Workspaces what may be asked of the cloud now. Everything here ends up in its history: small, and free of secrets.
 *
 * A worker process talks to it in one session, whatever number of Workspaces it serves: many requests travel in one update, which the
 * coordinator answers at once. Times that travel are durations, so that clocks need not agree.
 */
import type { Failure } from './causes';

/** Type of the workflow. */
export const COORDINATOR_WORKFLOW = 'coordinator';

/** The workflow ID of a cluster's coordinator. */
export function coordinatorIdOf(clusterId: string): string {
  return `coordinator/${clusterId}`;
}

/** Update: an {@link Exchange}, answered by an {@link ExchangeAnswer}. */
export const EXCHANGE_UPDATE = 'exchange';
/** Query for people: {@link CoordinatorReport}. Takes the present time in milliseconds; without it, the time of the last exchange counts. */
export const STATE_QUERY = 'state';
/** Signal for people: forgets what failed, all or what has the given key, so that it is tried again at once. */
export const FORGET_SIGNAL = 'forget';

/** What may be asked of the cloud. */
export interface CoordinatorSettings {
  /** PUTs that may be sent at once after a quiet time. */
  readonly burst: number;
  /** PUTs that may be sent for each minute in the long run. */
  readonly perMinute: number;
  /** Pools that may be under creation at once. */
  readonly creatingAtOnce: number;
  /** A session that is not heard of for so long is dead, and its leases with it. */
  readonly leaseMs: number;
  /** How often a session with waiting requests asks again, where nothing better is known. */
  readonly askAgainMs: number;
}

export type Priority = 'on-demand' | 'spot';

/** One way to buy a pool, as far as it matters to others. */
export interface PoolCandidate {
  /** Quota family, as the cloud's list of usages names it. */
  readonly family: string;
  readonly instanceType: string;
  /** Absent: wherever in the region. */
  readonly zone?: string;
  readonly priority: Priority;
  /** Of the whole pool. */
  readonly vcpus: number;
  /** Tells variants apart whose allocation fails independently: a capacity reservation, an ephemeral disk. */
  readonly variant?: string;
}

/** What failures teach other Workspaces, and for how long they are believed, milliseconds (facts: usual times until the cloud changes). */
export const LESSONS = {
  /** The family's quota has too little left: for this many vCPUs or more. */
  'quota-low': { onDemandMs: 10 * 60_000, spotMs: 10 * 60_000 },
  /** The family's quota is zero. */
  'quota-zero': { onDemandMs: 60 * 60_000, spotMs: 60 * 60_000 },
  /** The region's quota has too little left, whatever the family: for this many vCPUs or more. */
  'quota-region': { onDemandMs: 10 * 60_000, spotMs: 10 * 60_000 },
  /** The quota of spot machines has too little left, whatever the family. */
  'quota-spot': { onDemandMs: 60 * 60_000, spotMs: 60 * 60_000 },
  /** No capacity for this size, zone, priority and variant. */
  allocation: { onDemandMs: 60 * 60_000, spotMs: 60 * 60_000 },
  /** The size is not offered: in the candidate's zone or, if it names none, in all of them. */
  'size-unavailable': { onDemandMs: 23 * 60 * 60_000, spotMs: 60 * 60_000 },
} as const satisfies Record<string, { readonly onDemandMs: number; readonly spotMs: number }>;

export type Lesson = keyof typeof LESSONS;

/** What became of a candidate. */
export type Outcome =
  /** Its pool was created: whatever says that it can't be is forgotten. */
  | { readonly kind: 'succeeded'; readonly candidate: PoolCandidate }
  | {
      readonly kind: 'failed';
      readonly candidate: PoolCandidate;
      readonly lesson: Lesson;
      /** Shown to those who are kept from trying the same. */
      readonly failure: Failure;
      /** Default: as {@link LESSONS} says. */
      readonly ttlMs?: number;
    };

/** A request to be admitted. */
export interface Ask {
  /** Unique; whoever asks for the same Workspace later takes its place over. */
  readonly lease: string;
  readonly workspaceUid: string;
  /** `namespace/name`, for people. */
  readonly workspace: string;
  readonly candidate: PoolCandidate;
  /** The pool exists in the cloud already: it counts, and is not kept waiting. */
  readonly holds?: true;
}

/** What a session says since it last spoke. Applied at most once, by its number; applied in the order of the fields. */
export interface Exchange {
  readonly session: string;
  readonly number: number;
  /** Said first, and again when the coordinator does not know the session. */
  readonly joins?: CoordinatorSettings;
  /** The cloud refused a request because there were too many, and wants to be left alone for so long; 0: it did not say. */
  readonly throttledMs?: number;
  readonly outcomes?: readonly Outcome[];
  /** Leases that are given back. */
  readonly released?: readonly string[];
  /** Leases whose allowed PUT is being sent. */
  readonly used?: readonly string[];
  readonly asks?: readonly Ask[];
  /** Leases that want to send a PUT. */
  readonly wants?: readonly string[];
}

/** What holds for a lease of the session; a lease that waits is not listed. */
export type LeaseState =
  /** May create its pool. */
  | { readonly lease: string; readonly kind: 'admitted' }
  /** May send one PUT now. */
  | { readonly lease: string; readonly kind: 'allowed' }
  /** Is not to try its candidate: somebody did, and it failed. */
  | { readonly lease: string; readonly kind: 'avoid'; readonly failure: Failure; readonly until: string };

export type ExchangeAnswer =
  /** The session is new to the coordinator, or has been given up: it has to join, and to say again what it holds and wants. */
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'answered';
      readonly leases: readonly LeaseState[];
      /** When to ask again; absent when nothing of the session waits. */
      readonly askAgainMs?: number;
    };

/** vCPUs of pools that are under creation: the cloud's count of usage may not have them yet. */
export interface InFlight {
  readonly workspaceUid: string;
  readonly workspace: string;
  readonly family: string;
  readonly instanceType: string;
  readonly priority: Priority;
  readonly vcpus: number;
}

/** The coordinator's state as people read it: `temporal workflow query --type state`. */
export interface CoordinatorReport {
  readonly time: string;
  readonly settings: CoordinatorSettings;
  /** PUTs that may be sent now. */
  readonly tokens: number;
  /** When the next PUT may be sent, if none may be now. */
  readonly nextToken?: string;
  /** Nobody sends a PUT before: the cloud asked for it. */
  readonly throttledUntil?: string;
  readonly creating: readonly (InFlight & { readonly since: string; readonly waitsForToken: boolean })[];
  /** In the order in which they are served. */
  readonly waiting: readonly { readonly workspace: string; readonly instanceType: string; readonly since: string }[];
  readonly avoided: readonly {
    /** For the signal `forget`. */
    readonly key: string;
    /** Only pools of so many vCPUs or more. */
    readonly fromVcpus?: number;
    readonly since: string;
    readonly until: string;
    readonly failure: Failure;
  }[];
}
