/**
 * Buys one variant as one pool, at most once: the name says whose purchase it is, Azure's answer to "create if there is none" is the lock, and what is
 * there already is taken over only if its tags prove that it is ours.
 */
import type { AgentPool } from '@azure/arm-containerservice';
import { CauseError } from '../../../api/causes';
import type { Lesson, PoolCandidate } from '../../../api/coordination';
import { agentPool, agentPoolName, type PoolVariant } from '../../../manifests/agent-pool';
import type { StepContext } from '../../step';
import type { MachineClaim } from '../provider';
import { ABSENT, type Accepted } from './arm';
import { awaitPool, type PoolEnd } from './await-pool';
import type { Admitted, Avoided } from './coordination/coordinator';
import type { AzureDependencies } from './dependencies';
import { AzureError } from './error-tree';
import { judge, type Verdict } from './errors';
import { createdAtOf, isOf, phaseOf } from './own-pools';
import type { SizeFacts } from './preflight';
import { removePool } from './remove-pool';
import { describe } from './variants';
import { jittered, wait } from './wait';

/** Names that are somebody else's are walked round; so many are no accident. */
const MOST_ROUNDS = 5;

export interface Purchase {
  readonly claim: MachineClaim;
  readonly variant: PoolVariant;
  readonly size: SizeFacts;
  readonly subnetId?: string;
  /** The pool that an earlier try left behind. */
  readonly adopted?: AgentPool;
}

export type Created = PoolEnd & {
  /** Of the pool that may be there. */
  readonly name?: string;
};

export async function createPool(deps: AzureDependencies, purchase: Purchase, context: StepContext): Promise<Created> {
  const { coordinator } = deps;
  const { claim, variant, adopted } = purchase;
  const { uid, namespace, name } = claim.workspace.metadata;
  const candidate = candidateOf(purchase);
  context.progress(`waiting for a place among the pools under creation (${describe(variant)})`);
  const admission = await coordinator.admit(
    {
      workspaceUid: uid,
      workspace: `${namespace}/${name}`,
      candidate,
      ...(adopted !== undefined && { adopts: true }),
    },
    context,
  );
  if (admission.kind === 'avoid') return { kind: 'failed', verdict: avoided(admission) };
  try {
    const created = await buy(deps, purchase, admission, context);
    await teach(deps, candidate, created);
    return created;
  } finally {
    await admission.release();
  }
}

/** What was begun: a pool of that name is being created, or is there. */
type Begun =
  | { readonly kind: 'begun'; readonly name: string; readonly accepted: Accepted; readonly startedMs: number }
  | { readonly kind: 'failed'; readonly verdict: Verdict; readonly name?: string };

async function buy(
  deps: AzureDependencies,
  purchase: Purchase,
  admission: Admitted,
  context: StepContext,
): Promise<Created> {
  const { claim, variant, adopted } = purchase;
  const isSpot = variant.priority === 'Spot';
  let begun: Begun =
    adopted?.name === undefined
      ? await begin(deps, purchase, admission, context)
      : { kind: 'begun', name: adopted.name, accepted: {}, startedMs: createdAtOf(adopted) ?? deps.now().getTime() };
  for (;;) {
    if (begun.kind === 'failed') return begun;
    const { name } = begun;
    const end = await awaitPool(deps, { ...begun, isSpot, ...context });
    if (end.kind === 'failed') return { ...end, name };
    if (end.pool.count === claim.candidate.nodeCount) {
      reportReservation(purchase, end.pool, context);
      return { ...end, name };
    }
    begun = await scale(deps, purchase, end.pool, admission, context);
  }
}

/** Finds the purchase's name, and sends the request until Azure has taken it on, refuses it, or shows that it had done so before. */
async function begin(
  deps: AzureDependencies,
  purchase: Purchase,
  admission: Admitted,
  context: StepContext,
): Promise<Begun> {
  const { arm, configuration, now } = deps;
  const { claim, variant, size, subnetId } = purchase;
  const { workspace, candidate, diskGiB } = claim;
  const createdAt = now();
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const name = agentPoolName(configuration.clusterId, workspace.metadata.uid, { variant, round });
    const begun = (accepted: Accepted): Begun => ({ kind: 'begun', name, accepted, startedMs: createdAt.getTime() });
    const found = await arm.pool(name, context.signal);
    if (found !== undefined && !isOf(found, workspace.metadata.uid, configuration)) continue;
    if (found !== undefined && phaseOf(found) !== 'deleting' && phaseOf(found) !== 'failed') return begun({});
    if (found !== undefined) await removePool(deps, name, context);

    const body = agentPool({
      workspace,
      purchase: { variant: { ...variant, instanceType: size.instanceType }, round },
      nodeCount: candidate.nodeCount,
      diskGiB,
      createdAt,
      configuration: { ...configuration, ...(subnetId !== undefined && { subnetId }) },
    });
    const sent = await send(
      deps,
      { name, body, etag: ABSENT, isSpot: variant.priority === 'Spot' },
      admission,
      context,
    );
    if (sent.kind === 'failed') return sent;
    if (sent.kind === 'accepted') {
      const what = `agent pool ${name} asks for ${candidate.nodeCount} × ${size.instanceType} (${describe(variant)})`;
      context.event(workspace, 'Normal', 'AgentPoolCreated', what);
      return begun(sent.accepted);
    }
    // Somebody was faster: it is ours, by a request whose answer was lost, or the next name is tried.
    if (isOf(sent.pool, workspace.metadata.uid, configuration)) return begun({});
  }
  throw new CauseError({
    cause: 'Conflict',
    message: `the names of ${MOST_ROUNDS} agent pools that this Workspace would use belong to others`,
    remedy: 'Delete or rename the agent pools whose names begin like this one’s: az aks nodepool list.',
  });
}

/** Sets the number of nodes of a pool that is there; what somebody else changed meanwhile is kept. */
async function scale(
  deps: AzureDependencies,
  { claim, variant }: Purchase,
  pool: AgentPool,
  admission: Admitted,
  context: StepContext,
): Promise<Begun> {
  const { name = '', eTag } = pool;
  const { nodeCount } = claim.candidate;
  context.progress(`agent pool ${name} goes from ${pool.count ?? 0} to ${nodeCount} nodes`);
  // What AKS adds to spot pools by itself it does not take from others.
  const nodeLabels = Object.fromEntries(
    Object.entries(pool.nodeLabels ?? {}).filter(([key]) => !key.startsWith('kubernetes.azure.com/')),
  );
  const body = { ...pool, nodeLabels, count: nodeCount };
  const isSpot = variant.priority === 'Spot';
  const sent = await send(deps, { name, body, etag: eTag ?? '*', isSpot }, admission, context);
  if (sent.kind === 'failed') return { ...sent, name };
  // Changed by somebody else: it is looked at anew.
  const accepted = sent.kind === 'accepted' ? sent.accepted : {};
  return { kind: 'begun', name, accepted, startedMs: deps.now().getTime() };
}

interface Request {
  readonly name: string;
  readonly body: AgentPool;
  readonly etag: string;
  readonly isSpot: boolean;
}

type Sent =
  | { readonly kind: 'accepted'; readonly accepted: Accepted }
  /** A pool of that name is there, and not as it was believed to be. */
  | { readonly kind: 'exists'; readonly pool: AgentPool }
  | { readonly kind: 'failed'; readonly verdict: Verdict };

/** Sends one change until it is taken on or refused for good. What Azure asks to wait is waited, and counts for nothing. */
async function send(
  deps: AzureDependencies,
  { name, body, etag, isSpot }: Request,
  admission: Admitted,
  context: StepContext,
): Promise<Sent> {
  const { arm, coordinator, configuration, now } = deps;
  const { acceptedMs, poolMs } = configuration.deadlines;
  const startedMs = now().getTime();
  let askedToWaitMs = 0;
  for (;;) {
    const waitingMs = now().getTime();
    const allowed = await admission.allowPut(context);
    if (allowed.kind === 'avoid') return { kind: 'failed', verdict: avoided(allowed) };
    askedToWaitMs += now().getTime() - waitingMs;
    try {
      return { kind: 'accepted', accepted: await arm.put(name, body, { etag }, context.signal) };
    } catch (error) {
      if (!(error instanceof AzureError)) throw error;
      const verdict = judge(error.report, { isSpot });
      if (verdict.class === 'throttle') {
        context.progress(
          `Azure asks to wait ${Math.ceil((error.report.retryAfterMs ?? 0) / 1_000)} s before agent pool ${name}`,
        );
        await coordinator.throttled(error.report.retryAfterMs ?? 0);
        continue;
      }
      if (verdict.class !== 'conflict' && verdict.class !== 'internal') return { kind: 'failed', verdict };

      // It may have had its effect: the pool itself tells.
      const pool = await arm.pool(name, context.signal);
      if (pool !== undefined && (etag === ABSENT || pool.eTag !== etag)) return { kind: 'exists', pool };
      const mostMs = verdict.class === 'conflict' ? poolMs : acceptedMs;
      if (now().getTime() - startedMs - askedToWaitMs >= mostMs) return { kind: 'failed', verdict };
      context.progress(`trying again: ${verdict.failure.message}`);
      await wait(Math.max(error.report.retryAfterMs ?? 0, jittered(configuration.pollMs)), context.signal);
    }
  }
}

function reportReservation({ claim, variant }: Purchase, pool: AgentPool, context: StepContext): void {
  const wanted = variant.capacityReservationGroupId;
  if (wanted === undefined || pool.capacityReservationGroupID?.toLowerCase() === wanted.toLowerCase()) return;
  const what = `agent pool ${pool.name} was created outside of the capacity reservation group ${wanted}: it is paid for in addition`;
  context.event(claim.workspace, 'Warning', 'ReservationNotUsed', what);
}

function candidateOf({ claim, variant, size }: Purchase): PoolCandidate {
  const parts = [variant.osDiskType, variant.capacityReservationGroupId].filter((part) => part !== undefined);
  return {
    family: size.family,
    instanceType: size.instanceType,
    priority: variant.priority === 'Spot' ? 'spot' : 'on-demand',
    vcpus: size.vcpus * claim.candidate.nodeCount,
    ...(variant.zone !== undefined && { zone: variant.zone }),
    ...(parts.length > 0 && { variant: parts.join('/') }),
  };
}

/** What became of the candidate, for others that would try the same. */
async function teach({ coordinator }: AzureDependencies, candidate: PoolCandidate, created: Created): Promise<void> {
  if (created.kind === 'succeeded') return coordinator.report({ kind: 'succeeded', candidate });
  const { verdict } = created;
  const lesson = lessonOf(verdict);
  if (lesson === undefined || verdict.ttlMs === 0) return;
  await coordinator.report({ kind: 'failed', candidate, lesson, failure: verdict.failure, ttlMs: verdict.ttlMs });
}

/** Undefined for what says nothing about the candidate. */
function lessonOf({ scope, class: failureClass, ttlMs }: Verdict): Lesson | undefined {
  switch (scope) {
    case 'family':
      return ttlMs >= 60 * 60_000 ? 'quota-zero' : 'quota-low';
    case 'region':
      return 'quota-region';
    case 'spot':
      return failureClass === 'quota' ? 'quota-spot' : 'size-unavailable';
    case 'size':
    case 'subscription':
      return 'size-unavailable';
    case 'zone':
    case 'placement':
    case 'disk':
    case 'reservation':
      return 'allocation';
    case 'request':
      return undefined;
  }
}

/** Somebody else tried it a while ago. */
function avoided({ failure, until }: Avoided): Verdict {
  return {
    class: 'capacity',
    scope: 'placement',
    code: 'Avoided',
    ttlMs: 0,
    failure: { ...failure, message: `${failure.message}; not tried again before ${until}` },
  };
}
