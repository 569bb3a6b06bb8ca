/**
 * Lets a Workspace buy machines only while its namespace's quota has room for them.
 *
 * Two that ask at the same time, of whatever process, never both slip through: each first writes into its own status what it asks for, waits until
 * its cache shows that very write, and only then counts the others. All Workspaces come through one watch in the order of their writes, so of
 * two that ask, at least the later one sees the other. Where both see each other, both step back; then the one that was created first goes ahead,
 * and the others leave room for it.
 */
import type { Failure } from '../../api/causes';
import { toError } from '../../api/to-error';
import type { Candidate } from '../../api/workflow';
import type { Reservation, Workspace } from '../../api/workspace';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';
import type { Machines } from '../machines/provider';
import { acquiring, machinesOf } from '../status/compose';
import { SupersededError, type StepContext, type Told } from '../step';
import type { Limits } from './limits';
import { watchNamespaces } from './namespace-watch';
import { neverFits, noRoom, type Amount, type Tally, type Usage } from './tally';
import { refusal, shortage } from './words';

/** Who waits in a busy namespace needs no news of each of its changes. */
const TELL_EVERY_MS = 10_000;

export interface Wish {
  readonly workspace: Workspace;
  readonly candidate: Candidate;
  readonly provider: Pick<Machines, 'pricePerHour'>;
  /** What the machines step tells of itself. */
  readonly told: () => Told;
}

/** Resolves when the machines may be bought; to a failure where the quota can never hold them, so that another size may be tried. */
export type Admit = (wish: Wish, context: StepContext) => Promise<Failure | undefined>;

export function createAdmission(deps: Dependencies): Admit {
  const { quotas } = deps;
  if (quotas === undefined) return async () => undefined;
  const namespaces = watchNamespaces(deps.world);

  return async (wish, context) => {
    const { workspace, candidate, provider } = wish;
    const { namespace } = workspace.metadata;
    const limits = quotas.of(namespace);
    if (limits === undefined || candidate.provider === 'own-nodes') return undefined;

    const pricePerHour =
      limits.maxPricePerHour === undefined ? undefined : await provider.pricePerHour?.(wish, context.signal);
    const wanted: Amount = { machines: candidate.nodeCount, pricePerHour };
    // What is held stays held: when the quota became smaller, or this is another try of a worker that died.
    const held = deps.status.latest(workspace).status?.reservation;
    if (held?.state === 'Held' && covers(held, candidate)) {
      if (held.machines > wanted.machines) {
        await tell(wish, context, acquiring(candidate), { reservation: reservation('Held', candidate, wanted) });
      }
      return undefined;
    }
    const never = neverFits(wanted, limits);
    if (never !== undefined) {
      const failure = refusal(namespace, machinesOf(candidate), wanted, limits, never);
      await tell(wish, context, failure.message, { reservation: null, failure: { ...failure, attempt: 1 } });
      return failure;
    }
    const judge = (counted: Tally): Shortage | undefined => shortageOf(counted, wish, wanted, quotas.of(namespace));
    for (;;) {
      await reserve(deps, wish, context, wanted);
      const lack = judge(namespaces.count(namespace));
      if (lack === undefined) {
        await tell(wish, context, acquiring(candidate), { reservation: reservation('Held', candidate, wanted) });
        return undefined;
      }
      await waitForRoom(deps, wish, context, wanted, lack, judge, (callback) =>
        namespaces.onChange(namespace, callback),
      );
    }
  };
}

interface Shortage {
  readonly failure: Failure;
}

function shortageOf(
  counted: Tally,
  { workspace, candidate }: Wish,
  wanted: Amount,
  limits: Limits | undefined,
): Shortage | undefined {
  if (limits === undefined) return undefined;
  const used: Usage = counted.against(workspace);
  const why = noRoom(wanted, used, limits);
  if (why === undefined) return undefined;
  return { failure: shortage(workspace.metadata.namespace, machinesOf(candidate), wanted, used, limits, why) };
}

/** Puts the wish on record, and returns when this process sees everything that was on record before it. */
async function reserve(deps: Dependencies, wish: Wish, context: StepContext, wanted: Amount): Promise<void> {
  const { workspace, candidate } = wish;
  const { namespace, name, uid } = workspace.metadata;
  await tell(wish, context, acquiring(candidate), { reservation: reservation('Asked', candidate, wanted) });
  const written = await deps.client.get(RESOURCES.workspaces, { namespace, name }, { signal: context.signal });
  if (written?.metadata.uid !== uid) throw new SupersededError('the Workspace is gone');
  // Resource versions of one kind are comparable integers.
  const version = BigInt(written.metadata.resourceVersion);
  await deps.world.until(
    { namespace, name },
    () =>
      BigInt(deps.world.workspace({ namespace, name })?.metadata.resourceVersion ?? 0) >= version ? true : undefined,
    { signal: context.signal },
  );
}

/** Steps back, says what is lacking, and returns when there seems to be room. */
async function waitForRoom(
  deps: Dependencies,
  wish: Wish,
  context: StepContext,
  wanted: Amount,
  first: Shortage,
  judge: (counted: Tally) => Shortage | undefined,
  onChange: (callback: (counted: Tally) => void) => () => void,
): Promise<void> {
  const { signal } = context;
  let lack = first;
  let toldAt = deps.now().getTime();
  const situation = (): Told => ({
    ...wish.told(),
    message: lack.failure.message,
    failure: { ...lack.failure, attempt: 1 },
    reservation: reservation('Waiting', wish.candidate, wanted),
  });
  context.event(wish.workspace, 'Warning', first.failure.cause, first.failure.message);
  const following = context.follow(wish.workspace, situation);
  try {
    await following.first;
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        stop();
        signal.removeEventListener('abort', aborted);
      };
      const aborted = (): void => {
        end();
        reject(toError(signal.reason));
      };
      const look = (counted: Tally): void => {
        const now = judge(counted);
        if (now === undefined) {
          end();
          resolve();
          return;
        }
        context.progress(now.failure.message);
        const isNews = now.failure.message !== lack.failure.message;
        if (!isNews || deps.now().getTime() - toldAt < TELL_EVERY_MS) return;
        lack = now;
        toldAt = deps.now().getTime();
        following.again();
      };
      signal.throwIfAborted();
      const stop = onChange(look);
      signal.addEventListener('abort', aborted, { once: true });
    });
  } finally {
    await following.stop();
  }
}

function tell({ workspace, told }: Wish, context: StepContext, message: string, more: Partial<Told>) {
  return context.tell(workspace, { ...told(), message, ...more });
}

function reservation(
  state: Reservation['state'],
  { instanceType }: Candidate,
  { machines, pricePerHour }: Amount,
): Reservation {
  return { state, machines, instanceType, ...(pricePerHour !== undefined && { pricePerHour: String(pricePerHour) }) };
}

function covers(held: Reservation, { nodeCount, instanceType }: Candidate): boolean {
  return held.machines >= nodeCount && held.instanceType === instanceType;
}
