import type { Workspace } from '../../api/workspace';
import type { Candidate, ProviderName } from '../../api/workflow';
import type { Failure } from '../../api/causes';
import type { StepContext } from '../step';

/** What a provider is asked to make exist. */
export interface MachineClaim {
  readonly workspace: Workspace;
  readonly candidate: Candidate;
  /** Space for weights on a machine, GiB. */
  readonly diskGiB: number;
}

export type Acquisition =
  | { readonly kind: 'acquired' }
  /** Nothing of the claim is left; another candidate may be tried. */
  | { readonly kind: 'unavailable'; readonly failure: Failure };

/** Where machines come from. One folder each; which one serves a Workspace follows from its candidate. */
export interface Machines {
  readonly name: ProviderName;
  /**
   * Makes the claim's machines exist and waits until their GPUs are usable. Idempotent: it adopts what an earlier try left behind and buys only
   * what is missing.
   */
  ensure(claim: MachineClaim, context: StepContext): Promise<Acquisition>;
  /** Begins the release of all that was bought for a Workspace, of whatever candidate; returns what is still there, as people would name it. */
  release(owner: Owner, signal: AbortSignal): Promise<readonly string[]>;
}

/** Whose machines: the Workspace by name and, where known, its UID. Without one, every life of that name but the present one. */
export interface Owner {
  readonly namespace: string;
  readonly name: string;
  readonly isOwned: (uid: string | undefined) => boolean;
}
