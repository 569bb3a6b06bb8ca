/**
 * Machines as agent pools of AKS, without any other controller: one pool for each Workspace, with as many nodes as it needs.
 *
 * What is bought is planned first, named from the Workspace's UID, and owned by tags. A size is bought in all ways that the Workspace allows, one
 * after the other, and each failed pool is gone before the next is asked for: it would hold quota.
 */
import type { AgentPool } from '@azure/arm-containerservice';
import { CauseError, type Failure } from '../../../api/causes';
import { shorten } from '../../../api/shorten';
import { agentPool, type PoolVariant } from '../../../manifests/agent-pool';
import type { StepContext } from '../../step';
import { ownerOf, type Acquisition, type AcquisitionContext, type MachineClaim, type Machines } from '../provider';
import { reportOfPool } from './await-pool';
import { areUsable, awaitNodes } from './await-nodes';
import { createPool, type Purchase } from './create-pool';
import type { AzureDependencies } from './dependencies';
import { AzureError } from './error-tree';
import { judge, type Verdict } from './errors';
import { phaseOf, poolsOf, variantOf } from './own-pools';
import { checkCluster, checkSize, checkVariant, priceOf } from './preflight';
import { createRelease } from './release';
import { removeMachine, removePool } from './remove-pool';
import { createSweeping } from './sweep-pools';
import { describe, nextVariant, variantsOf, type Tried } from './variants';
import { jittered, wait } from './wait';
import { wishesOf } from './wishes';

const MOST_MESSAGE_BYTES = 1_024;

export function createAzure(deps: AzureDependencies): Machines {
  const release = createRelease(deps);
  const sweeping = createSweeping(deps);
  return {
    name: 'azure',
    ensure: (claim, context) => inUsersTerms(() => ensure(deps, claim, context)),
    release: (owner, signal) => inUsersTerms(() => release(owner, signal)),
    pricePerHour({ workspace, candidate }, signal) {
      // Of spot machines that may turn out to be on-demand ones, the dearer counts.
      const priority = wishesOf(workspace).capacityType === 'spot' ? 'Spot' : 'Regular';
      return priceOf(deps.market, { ...candidate, priority }, signal);
    },
    sweeping: {
      ...sweeping,
      owned: (signal) => inUsersTerms(() => sweeping.owned(signal)),
      remove: (machines, context) => inUsersTerms(() => sweeping.remove(machines, context)),
    },
  };
}

async function ensure(deps: AzureDependencies, claim: MachineClaim, context: AcquisitionContext): Promise<Acquisition> {
  const { arm, configuration, now } = deps;
  const { workspace, candidate, diskGiB } = claim;
  const { signal } = context;
  const wishes = wishesOf(workspace);
  const variants = variantsOf(candidate.instanceType, wishes, configuration);
  const [first] = variants;
  if (first === undefined) throw new RangeError('a size has a variant');
  // What Azure would refuse whatever the variant is refused here, before anything is asked.
  agentPool({
    workspace,
    purchase: { variant: first, round: 0 },
    nodeCount: candidate.nodeCount,
    diskGiB,
    createdAt: now(),
    configuration,
  });

  const pools = await arm.pools(signal);
  const { kept, tried } = await tidy(deps, claim, pools, context);
  const size = await checkSize(deps.market, candidate.instanceType, configuration.location, signal);
  if (kept !== undefined) {
    const facts = 'failure' in size ? { instanceType: candidate.instanceType, family: '', vcpus: 0 } : size;
    const verdict = await takeOver(deps, { claim, variant: variantOf(kept), size: facts, adopted: kept }, context);
    if (verdict === undefined) return acquired(deps, claim, variantOf(kept), signal);
    tried.push({ variant: variantOf(kept), verdict });
  }
  for (const one of tried) tell(one, nextVariant(variants, tried), context);
  if ('failure' in size) return { kind: 'unavailable', failure: referred(size) };

  const subnetId = checkCluster(await arm.cluster(signal), pools, configuration);
  for (;;) {
    const variant = nextVariant(variants, tried);
    if (variant === undefined) return { kind: 'unavailable', failure: summary(tried) };
    const purchase: Purchase = { claim, variant, size, ...(subnetId !== undefined && { subnetId }) };
    const verdict = (await plan(deps, purchase, context)) ?? (await obtain(deps, purchase, context));
    if (verdict === undefined) return acquired(deps, claim, variant, signal);
    tried.push({ variant, verdict });
    tell({ variant, verdict }, nextVariant(variants, tried), context);
    if (verdict.class === 'invalid' || verdict.class === 'auth') throw new CauseError(verdict.failure);
    // What is tried again as it is may need a moment to pass.
    if (verdict.scope === 'request') await wait(jittered(configuration.pollMs), signal);
  }
}

/** A failed variant, and what comes after it, for the list of attempts. */
function tell({ variant, verdict }: Tried, next: PoolVariant | undefined, { failed }: AcquisitionContext): void {
  const nextAction =
    verdict.class === 'invalid' || verdict.class === 'auth'
      ? 'waits for a correction'
      : next && `tries ${next.instanceType}, ${describe(next)}`;
  failed({ variant: describe(variant), failure: referred(verdict), ...(nextAction !== undefined && { nextAction }) });
}

/** The failure with the code that it goes by. */
function referred({ code, failure }: Verdict): Failure {
  return { ...failure, cloud: { code, ...failure.cloud } };
}

async function acquired(
  { market }: AzureDependencies,
  { candidate }: MachineClaim,
  { priority }: PoolVariant,
  signal: AbortSignal,
): Promise<Acquisition> {
  const pricePerHour = await priceOf(market, { ...candidate, priority }, signal);
  return { kind: 'acquired', ...(pricePerHour !== undefined && { pricePerHour }) };
}

/** Removes what an earlier candidate, plan or try left behind and is of no use now; returns the pool that is. */
async function tidy(
  deps: AzureDependencies,
  claim: MachineClaim,
  pools: readonly AgentPool[],
  context: StepContext,
): Promise<{ readonly kept: AgentPool | undefined; readonly tried: Tried[] }> {
  const { workspace, candidate } = claim;
  const own = poolsOf(pools, ownerOf(workspace), deps.configuration);
  const wanted = own.filter(({ pool }) => pool.vmSize?.toLowerCase() === candidate.instanceType.toLowerCase());
  const kept =
    wanted.find(({ name, pool }) => phaseOf(pool) !== 'deleting' && areUsable(deps, claim, name)) ??
    wanted.find(({ pool }) => phaseOf(pool) === 'succeeded') ??
    wanted.find(({ pool }) => phaseOf(pool) === 'working');
  const others = own.filter((one) => one !== kept);
  // A worker that died may have left it to others to say why a pool failed.
  const tried = wanted
    .filter((one) => one !== kept && phaseOf(one.pool) === 'failed')
    .map(({ name, pool }): Tried => {
      const variant = variantOf(pool);
      const report = reportOfPool(`create agent pool ${name}`, pool);
      return { variant, verdict: judge(report, { isSpot: variant.priority === 'Spot' }) };
    });
  await Promise.all(others.map(({ name }) => removePool(deps, name, context)));
  return { kept: kept?.pool, tried };
}

/** Goes on with a pool that an earlier try bought; undefined when its machines are usable. */
async function takeOver(
  deps: AzureDependencies,
  purchase: Purchase & { readonly adopted: AgentPool },
  context: StepContext,
): Promise<Verdict | undefined> {
  const { claim, adopted } = purchase;
  const { name = '' } = adopted;
  // Of machines that were evicted the pool's count tells before their nodes are gone.
  const hasAll = (adopted.count ?? 0) >= claim.candidate.nodeCount;
  if (hasAll && areUsable(deps, claim, name)) return undefined;
  const isWhole = phaseOf(adopted) === 'succeeded' && adopted.count === claim.candidate.nodeCount;
  if (!isWhole) return obtain(deps, purchase, context);
  return settle(deps, purchase, name, await usable(deps, purchase, name, context), context);
}

async function plan(deps: AzureDependencies, purchase: Purchase, context: StepContext): Promise<Verdict | undefined> {
  const { claim, variant, size } = purchase;
  const { configuration, coordinator, market } = deps;
  return checkVariant(
    {
      market,
      size,
      variant,
      nodeCount: claim.candidate.nodeCount,
      wishes: wishesOf(claim.workspace),
      location: configuration.location,
      workspaceUid: claim.workspace.metadata.uid,
      inFlight: () => coordinator.inFlight(),
      progress: context.progress,
      pollMs: configuration.pollMs,
    },
    context.signal,
  );
}

/** Buys a variant and waits for its machines; undefined when they are usable, else nothing of it is left. */
async function obtain(deps: AzureDependencies, purchase: Purchase, context: StepContext): Promise<Verdict | undefined> {
  const created = await createPool(deps, purchase, context);
  const verdict =
    created.kind === 'failed' ? created.verdict : await usable(deps, purchase, created.name ?? '', context);
  return settle(deps, purchase, created.name, verdict, context);
}

/**
 * Waits for the machines of a pool. One that breaks among several is replaced by itself, once: with the whole pool, the others would be given back,
 * and might not be had again.
 */
async function usable(
  deps: AzureDependencies,
  purchase: Purchase,
  name: string,
  context: StepContext,
): Promise<Verdict | undefined> {
  const { claim } = purchase;
  const broken = await awaitNodes(deps, claim, name, context);
  if (broken?.node === undefined || claim.candidate.nodeCount === 1) return broken;
  context.event(
    claim.workspace,
    'Warning',
    broken.failure.cause,
    `${broken.node} is replaced: ${broken.failure.message}`,
  );
  await removeMachine(deps, name, broken.node, context);
  const adopted = await deps.arm.pool(name, context.signal);
  if (adopted === undefined) return broken;
  const created = await createPool(deps, { ...purchase, adopted }, context);
  return created.kind === 'failed' ? created.verdict : awaitNodes(deps, claim, name, context);
}

/** Tells what went wrong, and takes away what was bought. */
async function settle(
  deps: AzureDependencies,
  { claim, variant }: Purchase,
  name: string | undefined,
  verdict: Verdict | undefined,
  context: StepContext,
): Promise<Verdict | undefined> {
  if (verdict === undefined) return undefined;
  const { cause, message } = verdict.failure;
  context.event(claim.workspace, 'Warning', cause, `${describe(variant)}: ${message}`);
  if (name !== undefined) await removePool(deps, name, context);
  return verdict;
}

/** Of all that was tried the last, with how the others ended. */
function summary(tried: readonly Tried[]): Failure {
  const last = tried.at(-1);
  if (last === undefined) throw new RangeError('nothing was tried');
  const { failure } = last.verdict;
  const before = tried.slice(0, -1).map(({ variant, verdict }) => `${describe(variant)}: ${verdict.code}`);
  if (before.length === 0) return failure;
  return { ...failure, message: shorten(`${failure.message}; before that ${before.join('; ')}`, MOST_MESSAGE_BYTES) };
}

/** What Azure refuses outside of a purchase, such as a read that is not allowed, with its cause. */
async function inUsersTerms<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof AzureError) throw new CauseError(judge(error.report).failure, { cause: error });
    throw error;
  }
}
