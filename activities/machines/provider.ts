import type { Workspace } from '../../api/workspace';
import type { Candidate, ProviderName } from '../../api/workflow';
import type { Failure } from '../../api/causes';
import type { OwnedMachines } from '../../api/sweep';
import type { StepContext } from '../step';

/** What a provider is asked to make exist. */
export interface MachineClaim {
  readonly workspace: Workspace;
  readonly candidate: Candidate;
  /** Space for weights on a machine, GiB. */
  readonly diskGiB: number;
}

export type Acquisition =
  /** `pricePerHour`: of all machines, USD by the cloud's public list, where it is known. */
  | { readonly kind: 'acquired'; readonly pricePerHour?: number }
  /** Nothing of the claim is left; another candidate may be tried. */
  | { readonly kind: 'unavailable'; readonly failure: Failure };

/** One way to buy a size that came to nothing, while others are still to be tried. */
export interface FailedVariant {
  /** For people: `spot, zone 1`. */
  readonly variant: string;
  readonly failure: Failure;
  /** What the provider does next; left out when it gives the size up. */
  readonly nextAction?: string;
}

export interface AcquisitionContext extends StepContext {
  /** Puts a failure on the list of attempts, before the size as a whole is acquired or given up. */
  readonly failed: (attempt: FailedVariant) => void;
}

/** Where machines come from. One folder each; which one serves a Workspace follows from its candidate. */
export interface Machines {
  readonly name: ProviderName;
  /**
   * Makes the claim's machines exist and waits until their GPUs are usable. Idempotent: it adopts what an earlier try left behind and buys only
   * what is missing.
   */
  ensure(claim: MachineClaim, context: AcquisitionContext): Promise<Acquisition>;
  /**
   * Takes over what others bought for the Workspace before this product served it, so that it is released, too; `ensure` does so by itself. Costs
   * nothing where there is nothing; absent where nobody else buys.
   */
  adopt?(workspace: Workspace, context: StepContext): Promise<void>;
  /** Begins the release of all that was bought for a Workspace, of whatever candidate; returns what is still there, as people would name it. */
  release(owner: Owner, signal: AbortSignal): Promise<readonly string[]>;
  /** What the claim's machines would cost at most, USD an hour by the cloud's public list; undefined where it is not known. */
  pricePerHour?(claim: Pick<MachineClaim, 'workspace' | 'candidate'>, signal: AbortSignal): Promise<number | undefined>;
  /** For the sweeper; absent where nothing is bought. */
  readonly sweeping?: Sweeping;
}

/** How the sweeper finds and ends machines whose Workspace is gone. */
export interface Sweeping {
  /** All that this installation bought, of whatever Workspace: asked of the source, complete, or an error. */
  owned(signal: AbortSignal): Promise<readonly OwnedMachines[]>;
  /** Dollars an hour of all of them; undefined where that can't be known. */
  pricePerHour?(machines: OwnedMachines, signal: AbortSignal): Promise<number | undefined>;
  /** Ends them, and returns when they are gone. What is not the very same as was listed, or not ours, is left alone. */
  remove(
    machines: OwnedMachines,
    context: { readonly signal: AbortSignal; readonly progress: (message: string) => void },
  ): Promise<'gone' | 'not ours'>;
}

/** The Workspace as an owner: of its present life alone. */
export function ownerOf({ metadata: { namespace, name, uid } }: Workspace): Owner {
  return { namespace, name, isOwned: (owner) => owner === uid };
}

/** Whose machines: the Workspace by name and, where known, its UID. Without one, every life of that name but the present one. */
export interface Owner {
  readonly namespace: string;
  readonly name: string;
  readonly isOwned: (uid: string | undefined) => boolean;
}
