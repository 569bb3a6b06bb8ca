/** One fault, and Workspaces that live through it. */
import { toError } from '../../api/to-error';
import { makeBystanders, harmed } from './bystanders';
import { createTrigger } from './boundaries';
import { describeFault, kindOf, type Fault, type FaultKind } from './faults';
import {
  duplicates,
  leftBehind,
  liesOf,
  lostAdapters,
  toldSecrets,
  touchedOf,
  untrueStatuses,
  type Findings,
  type Inhabitant,
  type Stage,
} from './findings';
import { LIFE, User, type Life } from './lives';
import type { Random } from './random';
import type { Ref, Scene } from './scene';
import { situationOf } from './situation';
import { strike } from './strike';

export interface RoundResult {
  readonly fault: string;
  readonly kind: FaultKind;
  /** False: the moment did not come. */
  readonly struck: boolean;
  /** From the fault until every Workspace was where it would have been. */
  readonly recoverMs?: number;
  readonly tookMs: number;
  readonly findings: Findings;
}

/** The longest that Workspaces may take to get where they should be. */
const PATIENCE_MS = 240_000;

/** A round whose Workspaces are where they should be. */
export interface Settled {
  /** The fault is yet to come, when they go. */
  readonly awaitsFault: boolean;
  /** Deletes them, and looks at what is left. */
  leave(): Promise<RoundResult>;
}

/** Creates the Workspaces, lets them live, strikes, waits until they are where they should be, and looks. */
export async function runRound(
  stage: Stage,
  namespace: string,
  fault: Fault,
  inhabitants: readonly Inhabitant[],
  random: Random,
): Promise<Settled> {
  const { rig, scene, ledger, truth } = stage;
  const started = Date.now();
  const limit = AbortSignal.any([stage.signal, AbortSignal.timeout(2 * PATIENCE_MS)]);
  const user = new User(scene, rig.temporal, limit);
  const [subject] = inhabitants;
  if (subject === undefined) throw new RangeError('nobody lives through the fault');

  const others = await makeBystanders(rig.client, namespace, limit);

  let struckAt: number | undefined;
  let calm: (() => void) | undefined;
  const onStruck = (): void => {
    struckAt ??= Date.now();
    calm ??= truth.faulty();
  };
  const over = begin(stage, fault, subject, random, onStruck, limit);

  const liesBefore = truth.lies().length;
  const stuck = await settle(scene, inhabitants, user, limit);
  const awaitsFault = fault.kind === 'kill' && struckAt === undefined;
  if (!awaitsFault) await over.done;
  calm?.();
  const settledAt = Date.now();
  const found = {
    stuck,
    wrongStatuses: await untrueStatuses(stage, inhabitants, limit),
    lostAdapters: lostAdapters(stage, inhabitants),
    secrets: await toldSecrets(stage, inhabitants, limit),
  };

  const leave = async (): Promise<RoundResult> => {
    for (const ref of inhabitants) if (scene.get('workspaces', ref) !== undefined) await user.delete(ref);
    const orphans = await leftBehind(stage, namespace, limit);
    if (awaitsFault && struckAt !== undefined) await over.done;
    over.giveUp();
    calm?.();
    const goneAt = Date.now();
    return {
      fault: describeFault(fault),
      kind: kindOf(fault),
      struck: struckAt !== undefined,
      ...(struckAt !== undefined && { recoverMs: (awaitsFault ? goneAt : settledAt) - struckAt }),
      tookMs: goneAt - started,
      findings: {
        ...found,
        wrongStatuses: [...found.wrongStatuses, ...liesOf(truth.lies().slice(liesBefore), namespace)],
        duplicates: duplicates(stage, inhabitants),
        orphans,
        foreign: [...(await harmed(rig.client, others, limit)), ...touchedOf(ledger, others)],
      },
    };
  };
  return { awaitsFault, leave };
}

/** Lets the fault come; `done` resolves when it is over. */
function begin(
  { rig, scene, signal }: Stage,
  fault: Fault,
  subject: Ref,
  random: Random,
  onStruck: () => void,
  limit: AbortSignal,
): { readonly done: Promise<void>; giveUp(): void } {
  const ending = new AbortController();
  if (fault.kind !== 'kill') {
    const either = AbortSignal.any([signal, limit, ending.signal]);
    const done = strike(fault, { rig, scene, random, subject, onStruck, signal: either });
    done.catch(() => undefined); // whoever waits for it is told
    return {
      done,
      giveUp: () => ending.abort(new Error('the round is over')),
    };
  }
  const isMet = createTrigger(scene, fault.at, subject);
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  done.catch(() => undefined); // whoever waits for it is told
  const untap = rig.tap(async (moment) => {
    if (!isMet(moment)) return;
    onStruck();
    await rig.kill(fault.target);
    rig.restore().then(resolve, reject);
  });
  return { done, giveUp: untap };
}

/** Lets all live to where they should be; returns who did not get there. */
async function settle(
  scene: Scene,
  inhabitants: readonly Inhabitant[],
  user: User,
  limit: AbortSignal,
): Promise<readonly string[]> {
  const late = AbortSignal.any([limit, AbortSignal.timeout(PATIENCE_MS)]);
  const lives = inhabitants.map(async (ref): Promise<readonly string[]> => {
    const life: Life = LIFE[ref.life];
    const at = { namespace: ref.namespace, name: ref.name };
    try {
      const living = user.create(life.manifest(at)).then(() => life.live(user, at));
      await Promise.race([living, rejected(late)]);
      return [];
    } catch (error) {
      const what = `${ref.namespace}/${ref.name}: ${toError(error).message}`;
      return [[what, ...situationOf(scene, at)].join('\n')];
    }
  });
  return (await Promise.all(lives)).flat();
}

function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(new Error('did not get where it should be in time'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
