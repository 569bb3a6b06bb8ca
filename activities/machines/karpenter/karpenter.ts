/**
 * Machines through Karpenter's NodeClaims: by gpu-provisioner, Azure's or AWS's Karpenter, or kwok, as the configuration says.
 *
 * One claim per slot, named from the Workspace's UID, slot, size and round: a second buyer meets the first one's claim. Whatever is labelled as
 * the Workspace's but not wanted is deleted, and nothing of another size is bought before it is gone.
 */
import { CauseError, type Failure } from '../../../api/causes';
import { LABEL_WORKSPACE_UID } from '../../../api/labels';
import { ANNOTATION_SLOT, nodeClaim } from '../../../manifests/node-claim';
import { isAlreadyExists } from '../../../kubernetes/errors';
import type { NodeClaim } from '../../../kubernetes/objects';
import { RESOURCES } from '../../../kubernetes/resources';
import type { Dependencies } from '../../dependencies';
import type { StepContext } from '../../step';
import { ownerOf, type Acquisition, type MachineClaim, type Machines, type Owner } from '../provider';
import { adoptKaitoClaims, tellOfKaitoPool } from './adopt-kaito';
import { deadlineOf, failureOfVanished, overdue } from './life';
import { instanceTypeOf, observeNodeClaims } from './observe';
import { createSweeping } from './sweep-claims';

/** How often a machine that can't become usable is bought anew before the size is given up. */
const MOST_REPLACEMENTS = 1;

/** A node that a claim names and nobody sees for this long is gone. */
const LOST_AFTER_MS = 10_000;

/** Deadlines pass without any object changing. */
const RECHECK_MS = 5_000;

export function createKarpenter(deps: Dependencies): Machines {
  return {
    name: 'karpenter',
    ensure: (claim, context) => ensure(deps, claim, context),
    adopt: (workspace, context) => adoptKaitoClaims(deps, workspace, context),
    release: (owner, signal) => release(deps, owner, signal),
    sweeping: createSweeping(deps),
  };
}

async function ensure(deps: Dependencies, claim: MachineClaim, context: StepContext): Promise<Acquisition> {
  await adoptKaitoClaims(deps, claim.workspace, context);
  tellOfKaitoPool(deps, claim.workspace, context);
  await removeUnwanted(deps, claim, context);

  /** UIDs of claims that were deleted here; the cache may show them as living for a moment. */
  const givenUp = new Set<string>();
  for (let replacements = 0; ; replacements += 1) {
    const bought = await buyMissing(deps, claim, givenUp, context);
    const end = await waitUntilUsable(deps, claim, bought, context);
    if (end.kind === 'usable') return { kind: 'acquired' };

    const { machine, failure } = end;
    context.event(claim.workspace, 'Warning', failure.cause, failure.message);
    if (machine !== undefined) {
      await deleteClaim(deps, machine, context.signal);
      givenUp.add(machine.uid);
    }

    // A size that the cloud doesn't have is not asked for again at once; a machine that broke is replaced.
    const replaceable = failure.cause === 'NotReadyInTime' || failure.cause === 'MachineLost';
    if (replaceable && replacements < MOST_REPLACEMENTS) continue;
    await removeWhere(deps, claim, context, () => true);
    return { kind: 'unavailable', failure };
  }
}

interface Bought {
  readonly name: string;
  readonly uid: string;
}

/** Creates a claim for each slot that has none; a claim that is being deleted holds its slot no more. */
async function buyMissing(
  deps: Dependencies,
  claim: MachineClaim,
  givenUp: ReadonlySet<string>,
  context: StepContext,
): Promise<readonly Bought[]> {
  const slots = Array.from({ length: claim.candidate.nodeCount }, (_, slot) => slot);
  return Promise.all(slots.map((slot) => buySlot(deps, claim, slot, givenUp, context)));
}

async function buySlot(
  deps: Dependencies,
  claim: MachineClaim,
  slot: number,
  givenUp: ReadonlySet<string>,
  context: StepContext,
): Promise<Bought> {
  const { workspace, candidate } = claim;
  const { instanceType } = candidate;
  const inSlot = claimsOf(deps, ownerOf(workspace)).filter((one) => slotOf(one) === slot);
  const living = inSlot.find(
    (one) => isLiving(one) && !givenUp.has(one.metadata.uid) && instanceTypeOf(one) === instanceType,
  );
  if (living !== undefined) return boughtAs(living);

  // The round names the next purchase of the slot while the last one is still on its way out.
  for (let round = inSlot.length; ; round += 1) {
    context.signal.throwIfAborted();
    const purchase = { slot, instanceType, round };
    const manifest = nodeClaim({ ...claim, purchase, gpus: candidate.gpus, configuration: deps.machines });
    const { name } = manifest.metadata;
    try {
      const created = await deps.client.create(RESOURCES.nodeClaims, manifest, { signal: context.signal });
      context.event(workspace, 'Normal', 'NodeClaimCreated', `NodeClaim ${name} asks for one ${instanceType}`);
      return boughtAs(created);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const existing = await deps.client.get(RESOURCES.nodeClaims, { name }, { signal: context.signal });
      if (existing !== undefined && existing.metadata.labels?.[LABEL_WORKSPACE_UID] !== workspace.metadata.uid) {
        throw new CauseError({ cause: 'Conflict', message: `NodeClaim ${name} exists and belongs to another owner` });
      }
      if (existing !== undefined && isLiving(existing)) return boughtAs(existing);
    }
  }
}

type End =
  { readonly kind: 'usable' } | { readonly kind: 'failed'; readonly failure: Failure; readonly machine?: Bought };

/** Follows the bought machines through their phases until all are usable, one is gone, or one is overdue. */
async function waitUntilUsable(
  { world, deadlines, now }: Dependencies,
  { workspace, candidate }: MachineClaim,
  bought: readonly Bought[],
  context: StepContext,
): Promise<End> {
  const ref = { namespace: workspace.metadata.namespace, name: workspace.metadata.name };
  const lastSeen = new Map<string, NodeClaim>();
  const phases = new Map<string, { readonly phase: string; readonly sinceMs: number }>();
  const phaseSince = ({ uid }: Bought, phase: string): number => {
    const known = phases.get(uid);
    if (known?.phase === phase) return known.sinceMs;
    phases.set(uid, { phase, sinceMs: now().getTime() });
    return now().getTime();
  };
  return world.until(
    ref,
    () => {
      const { nodeClaims, nodeNamed } = world.owned(ref);
      const waiting: string[] = [];
      const untilMs: number[] = [];
      for (const machine of bought) {
        const before = lastSeen.get(machine.uid);
        const claim = nodeClaims.find(({ metadata }) => metadata.uid === machine.uid);
        if (claim === undefined) {
          if (before !== undefined) return { kind: 'failed', failure: failureOfVanished(before) };
          waiting.push(`${machine.name}: not seen yet`);
          continue;
        }
        lastSeen.set(machine.uid, claim);
        const [state] = observeNodeClaims([claim], nodeNamed);
        if (state === undefined) continue;
        const seenSinceMs = phaseSince(machine, state.phase);
        if (state.phase === 'Ready') continue;
        // Claims and nodes are watched separately: a claim may name a node before the node is seen.
        const isLost = state.phase === 'Lost' && now().getTime() - seenSinceMs >= LOST_AFTER_MS;
        if (state.phase === 'Deleting' || isLost) {
          return { kind: 'failed', failure: failureOfVanished(before ?? claim), machine };
        }
        const node = nodeNamed(claim.status?.nodeName ?? '');
        const seen = { claim, node, seenSinceMs };
        const failure = overdue(seen, state, deadlines, now());
        if (failure !== undefined) return { kind: 'failed', failure, machine };
        untilMs.push(deadlineOf(seen, state.phase, deadlines, now()).atMs);
        waiting.push(`${machine.name}: ${state.message ?? state.phase}`);
      }
      if (waiting.length === 0) return { kind: 'usable' };
      const usable = bought.length - waiting.length;
      const deadline = untilMs.length === 0 ? undefined : new Date(Math.min(...untilMs));
      context.progress(`${usable} of ${candidate.nodeCount} machines usable; ${waiting[0]}`, deadline);
      return undefined;
    },
    { signal: context.signal, recheckMs: RECHECK_MS },
  );
}

/** Machines of another size, or beyond the number needed: left from an earlier candidate or plan. */
async function removeUnwanted(deps: Dependencies, claim: MachineClaim, context: StepContext): Promise<void> {
  const { instanceType, nodeCount } = claim.candidate;
  await removeWhere(deps, claim, context, (one) => instanceTypeOf(one) !== instanceType || slotOf(one) >= nodeCount);
}

/** Deletes the Workspace's claims that are chosen, and returns when they are gone. */
async function removeWhere(
  deps: Dependencies,
  { workspace }: MachineClaim,
  context: StepContext,
  isChosen: (claim: NodeClaim) => boolean,
): Promise<void> {
  const { namespace, name } = workspace.metadata;
  const owner = ownerOf(workspace);
  const chosen = claimsOf(deps, owner).filter(isChosen);
  await Promise.all(chosen.filter(isLiving).map((one) => deleteClaim(deps, boughtAs(one), context.signal)));
  const uids = new Set(chosen.map(({ metadata }) => metadata.uid));
  await deps.world.until(
    { namespace, name },
    () => {
      const left = claimsOf(deps, owner).filter(({ metadata }) => uids.has(metadata.uid));
      if (left.length === 0) return true;
      context.progress(`waiting until ${left.map(({ metadata }) => metadata.name).join(', ')} is gone`);
      return undefined;
    },
    { signal: context.signal },
  );
}

async function release(deps: Dependencies, owner: Owner, signal: AbortSignal): Promise<readonly string[]> {
  const claims = claimsOf(deps, owner);
  await Promise.all(claims.filter(isLiving).map((claim) => deleteClaim(deps, boughtAs(claim), signal)));
  return claims.map(({ metadata }) => `NodeClaim ${metadata.name}`);
}

async function deleteClaim({ client }: Dependencies, { name, uid }: Bought, signal: AbortSignal): Promise<void> {
  await client.delete(RESOURCES.nodeClaims, { name }, { uid, signal });
}

function claimsOf({ world }: Dependencies, { namespace, name, isOwned }: Owner): readonly NodeClaim[] {
  return world
    .owned({ namespace, name })
    .nodeClaims.filter(({ metadata }) => isOwned(metadata.labels?.[LABEL_WORKSPACE_UID]));
}

function boughtAs({ metadata: { name, uid } }: NodeClaim): Bought {
  return { name, uid };
}

function isLiving({ metadata }: NodeClaim): boolean {
  return metadata.deletionTimestamp === undefined;
}

function slotOf({ metadata }: NodeClaim): number {
  return Number(metadata.annotations?.[ANNOTATION_SLOT] ?? 0);
}
