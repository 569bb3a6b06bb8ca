/**
 * What the sweeper's workflow and its activities say to each other. The result of one sweep is what the next one remembers: small, and free of
 * secrets.
 */
import { shorten } from './shorten';
import type { ProviderName } from './workflow';

/** Type of the workflow that a schedule starts. */
export const SWEEP_WORKFLOW = 'sweep';

/** The schedule of an installation's sweeps. */
export function sweepScheduleIdOf(clusterId: string): string {
  return `sweep/${clusterId}`;
}

/** Machines that this installation bought, as their source lists them: a NodeClaim, or an agent pool. */
export interface OwnedMachines {
  readonly provider: ProviderName;
  /** As people call such a thing, for example `agent pool`. */
  readonly kind: string;
  readonly name: string;
  /** Tells it from a later one of the same name. */
  readonly identity: string;
  /** The Workspace that they were bought for. */
  readonly workspace: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly instanceType: string;
  readonly count: number;
  readonly isSpot: boolean;
  /** ISO time of the purchase; absent where it is not known. */
  readonly createdTime?: string;
}

/** Owned machines whose Workspace is not alive, as one complete look found them. */
export interface FoundOrphan extends OwnedMachines {
  /** Dollars an hour of all of them; absent where no price list answers. */
  readonly pricePerHour?: number;
}

/** What the last sweep remembered, each by its {@link orphanKeyOf}. */
export interface FindOrphansInput {
  readonly waiting: readonly string[];
  /** Could not be released. */
  readonly failed: readonly string[];
}

/** What one complete look found. */
export interface Found {
  /** All machines that this installation owns, NodeClaims and pools. */
  readonly owned: number;
  /** As many as {@link MOST_SWEEP_BYTES} allow, each in its turn; those that could not be released come last. */
  readonly orphans: readonly FoundOrphan[];
}

/** An orphan as it is remembered from sweep to sweep. */
export interface Orphan extends FoundOrphan {
  /** ISO time of the first of the unbroken row of looks that found it. */
  readonly firstSeenTime: string;
  /** Why the last try to release it failed, as {@link releaseFailure} has it. */
  readonly failure?: string;
}

/**
 * What one sweep tells and remembers of orphans, at most, bytes as JSON: an event of a history holds 64 KiB, and has some words around it. The others'
 * turn comes when these are gone.
 */
export const MOST_SWEEP_BYTES = 60 * 1024;

/** The whole is in the history of the sweep that tried, and in the worker's log. */
const MOST_FAILURE_BYTES = 300;

/** Why a release failed, in few words of which JSON makes no more than twice the bytes: nothing but quotes and backslashes is left to escape. */
export function releaseFailure(message: string): string {
  return shorten(message.replace(/[\p{C}\s]+/gu, ' '), MOST_FAILURE_BYTES);
}

/** All that a sweep may add to what was found, at its longest. */
export const LONGEST_ADDITION: Pick<Orphan, 'firstSeenTime' | 'failure'> = {
  firstSeenTime: new Date(0).toISOString(),
  failure: '"'.repeat(MOST_FAILURE_BYTES),
};

/** Tells one orphan from every other. */
export function orphanKeyOf({ provider, name, identity }: FoundOrphan): string {
  return [provider, name, identity].join('/');
}

/** What the next look has to know of the orphans that a sweep remembered. */
export function turnsAfter(orphans: readonly Orphan[]): FindOrphansInput {
  return {
    waiting: orphans.filter(({ failure }) => failure === undefined).map(orphanKeyOf),
    failed: orphans.filter(({ failure }) => failure !== undefined).map(orphanKeyOf),
  };
}

/** For sorting, the same in every process: by code units. */
export function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export interface SweepSettings {
  /** How long an orphan must have been one before it is released, milliseconds. */
  readonly graceMs: number;
}

/** Result of a sweep, as the Temporal UI shows it. */
export interface SweepReport {
  /** When the look was done. */
  readonly time: string;
  readonly owned: number;
  /** Seen, and not released (yet): the next sweep's memory. */
  readonly orphans: readonly Orphan[];
  readonly released: readonly Orphan[];
}

export type ReleaseOrphanOutcome =
  | { readonly kind: 'released' }
  /** It is no orphan any more, or not what was seen: left alone. */
  | { readonly kind: 'kept'; readonly why: string };

/** The activities that the workflow calls; their implementation is in `activities/sweep/`. */
export interface SweepActivities {
  /** One complete look at all machines and all Workspaces. Fails rather than tell a part. */
  findOrphans(input?: FindOrphansInput): Promise<Found>;
  /** Tells people: log, Events, metrics. */
  reportOrphans(input: { readonly orphans: readonly Orphan[]; readonly graceMs: number }): Promise<void>;
  /** Makes sure that it is ours and an orphan still, and deletes it; returns when it is gone. */
  releaseOrphan(orphan: Orphan): Promise<ReleaseOrphanOutcome>;
}

const HOUR_MS = 60 * 60_000;

/** How long it has existed, as far as that is known, milliseconds. */
export function ageOf({ createdTime, firstSeenTime }: Orphan, nowMs: number): number {
  return Math.max(nowMs - Date.parse(createdTime ?? firstSeenTime), 0);
}

/** Dollars since it was bought; undefined without a price. */
export function costOf(orphan: Orphan, nowMs: number): number | undefined {
  const { pricePerHour } = orphan;
  return pricePerHour === undefined ? undefined : (pricePerHour * ageOf(orphan, nowMs)) / HOUR_MS;
}
