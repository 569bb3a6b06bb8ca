/**
 * What the Workspaces of a namespace have and want, from their status alone: a pure function, so that every process judges alike.
 *
 * Who came first has priority: a Workspace that waits for room counts for all that were created after it, and for none before. What is asked for
 * or held counts for everybody.
 */
import type { Workspace } from '../../api/workspace';
import type { Limits } from './limits';

/** Machines, and what they cost in USD an hour; undefined where that is not known. */
export interface Amount {
  readonly machines: number;
  readonly pricePerHour: number | undefined;
}

/** What others have, and who they are. */
export interface Usage extends Amount {
  readonly by: readonly string[];
}

const NOTHING: Amount = { machines: 0, pricePerHour: 0 };

interface Entry {
  readonly workspace: Workspace;
  /** Counts for everybody. */
  readonly held: Amount;
  /** What it waits for beyond that; counts for those that were created later. */
  readonly queued: Amount;
}

export interface Tally {
  /** What counts against a Workspace: what all others hold, and what those before it wait for. */
  against(workspace: Workspace): Usage;
}

/** Counts the Workspaces of one namespace, all of them. */
export function tally(workspaces: readonly Workspace[]): Tally {
  const entries = [...workspaces]
    .sort(byAge)
    .map(entryOf)
    .filter(({ held, queued }) => held.machines + queued.machines > 0);
  return {
    against(workspace) {
      const others = entries.filter((entry) => entry.workspace.metadata.uid !== workspace.metadata.uid);
      const counted = others.map((entry) => {
        const isBefore = byAge(entry.workspace, workspace) < 0;
        return { name: entry.workspace.metadata.name, amount: isBefore ? sum(entry.held, entry.queued) : entry.held };
      });
      const counting = counted.filter(({ amount }) => amount.machines > 0);
      return { ...counting.map(({ amount }) => amount).reduce(sum, NOTHING), by: counting.map(({ name }) => name) };
    },
  };
}

/** Creation counts in whole seconds; the UID decides between those of the same second, the same way for everybody. */
function byAge({ metadata: a }: Workspace, { metadata: b }: Workspace): number {
  const [since, other] = [a.creationTimestamp ?? '', b.creationTimestamp ?? ''];
  if (since !== other) return since < other ? -1 : 1;
  return a.uid < b.uid ? -1 : a.uid === b.uid ? 0 : 1;
}

function entryOf(workspace: Workspace): Entry {
  const { status = {}, metadata } = workspace;
  const { reservation, step } = status;
  const seen = bought(workspace);
  const amount: Amount = {
    machines: reservation?.machines ?? 0,
    // Reserved before prices were limited: what it was found to cost when it was bought.
    pricePerHour: priceOf(reservation === undefined ? '0' : (reservation.pricePerHour ?? status.pricePerHour)),
  };
  // A push may go on for days without the machines that it began with.
  const isHeld = reservation !== undefined && reservation.state !== 'Waiting' && step?.name !== 'Push';
  const isWaiting = reservation?.state === 'Waiting' && metadata.deletionTimestamp === undefined;
  const held = isHeld && amount.machines >= seen.machines ? amount : seen;
  return { workspace, held, queued: isWaiting ? beyond(amount, held) : NOTHING };
}

/** The machines that are there, whatever was reserved: of a time without quotas, left from a larger size, or on their way out. */
function bought({ status = {} }: Workspace): Amount {
  const machines = (status.machines ?? []).filter(
    ({ provider, phase }) => provider !== 'own-nodes' && phase !== 'Lost',
  );
  return machines.length === 0
    ? NOTHING
    : { machines: machines.length, pricePerHour: priceOf(status.pricePerHour ?? status.reservation?.pricePerHour) };
}

function priceOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

function beyond(wanted: Amount, held: Amount): Amount {
  const price =
    wanted.pricePerHour === undefined || held.pricePerHour === undefined
      ? undefined
      : Math.max(wanted.pricePerHour - held.pricePerHour, 0);
  return { machines: Math.max(wanted.machines - held.machines, 0), pricePerHour: price };
}

function sum(a: Amount, b: Amount): Amount {
  const isKnown = a.pricePerHour !== undefined && b.pricePerHour !== undefined;
  return {
    machines: a.machines + b.machines,
    pricePerHour: isKnown ? a.pricePerHour + b.pricePerHour : undefined,
  };
}

/** Why an amount can never be had under these limits; undefined if it can. */
export function neverFits(wanted: Amount, limits: Limits): 'machines' | 'price' | 'price-unknown' | undefined {
  const { maxMachines, maxPricePerHour } = limits;
  if (maxMachines !== undefined && wanted.machines > maxMachines) return 'machines';
  if (maxPricePerHour === undefined) return undefined;
  if (wanted.pricePerHour === undefined) return 'price-unknown';
  return wanted.pricePerHour > maxPricePerHour ? 'price' : undefined;
}

/** Why there is no room for it beside what others use; undefined if there is. */
export function noRoom(
  wanted: Amount,
  used: Amount,
  limits: Limits,
): 'machines' | 'price' | 'price-unknown' | undefined {
  const { maxMachines, maxPricePerHour } = limits;
  if (maxMachines !== undefined && used.machines + wanted.machines > maxMachines) return 'machines';
  if (maxPricePerHour === undefined) return undefined;
  const price = sum(wanted, used).pricePerHour;
  if (price === undefined) return 'price-unknown';
  // Sums of decimals such as 0.1 + 0.2 must not miss a limit of 0.3.
  return price > maxPricePerHour + 1e-9 ? 'price' : undefined;
}
