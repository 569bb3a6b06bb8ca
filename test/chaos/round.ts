/** One fault, and Workspaces that live through it. */
import { setTimeout as delay } from 'node:timers/promises';

import { workflowIdOf } from '../../api/workflow';
import { makeBystanders, harmed, SECRET_TEXT } from './bystanders';
import { createTrigger } from './boundaries';
import { describeFault, kindOf, type Fault, type FaultKind } from './faults';
import type { Ledger } from './ledger';
import { LIFE, User, type Life, type LifeName } from './lives';
import type { Tap } from './moments';
import { imageOf, type Player } from './player';
import type { Random } from './random';
import type { Rig } from './rig';
import { RESOURCES } from '../../kubernetes/resources';
import { insist, type Ref, type Scene } from './scene';
import { strike } from './strike';
import { whatIsUntrue, type TruthWatch } from './truth';

/** What went wrong, in words, by what it is counted as. */
export interface Findings {
  readonly duplicates: readonly string[];
  readonly orphans: readonly string[];
  readonly lostAdapters: readonly string[];
  readonly wrongStatuses: readonly string[];
  readonly foreign: readonly string[];
  readonly secrets: readonly string[];
  /** Workspaces that did not get where they should be. */
  readonly stuck: readonly string[];
}

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

export interface Stage {
  readonly rig: Rig;
  readonly scene: Scene;
  readonly player: Player;
  readonly ledger: Ledger;
  readonly truth: TruthWatch;
  readonly signal: AbortSignal;
}

export interface Inhabitant extends Ref {
  readonly life: LifeName;
}

/** The longest that a round may take to get where it should be, and then to be gone. */
const PATIENCE_MS = 120_000;

/** Creates the Workspaces, lets them live, strikes, waits, looks, deletes, and looks again. */
export async function runRound(
  stage: Stage,
  namespace: string,
  fault: Fault,
  inhabitants: readonly Inhabitant[],
  random: Random,
): Promise<RoundResult> {
  const { rig, scene, ledger, truth } = stage;
  const started = Date.now();
  const limit = AbortSignal.any([stage.signal, AbortSignal.timeout(2 * PATIENCE_MS)]);
  const user = new User(scene, rig.temporal, limit);
  const [subject] = inhabitants;
  if (subject === undefined) throw new RangeError('nobody lives through the fault');

  const namespaced = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  await insist(() => rig.client.create(RESOURCES.namespaces, namespaced), limit);
  const others = await makeBystanders(rig.client, namespace, limit);

  let struckAt: number | undefined;
  const onStruck = (): void => {
    struckAt ??= Date.now();
    truth.faulty(true);
  };
  const over = begin(stage, fault, subject, random, onStruck, limit);

  const liesBefore = truth.lies().length;
  const settled = await settle(inhabitants, user, limit);
  if (fault.kind !== 'kill' || struckAt !== undefined) await over.done;
  if (struckAt !== undefined) truth.faulty(false);
  const settledAt = Date.now();
  const struckAlive = struckAt !== undefined;
  const findings = {
    wrongStatuses: await untrueStatuses(stage, inhabitants, limit),
    lostAdapters: lostAdapters(stage, inhabitants),
    secrets: await toldSecrets(stage, inhabitants, limit),
  };

  for (const ref of inhabitants) if (scene.get('workspaces', ref) !== undefined) await user.delete(ref);
  const orphans = await leftBehind(stage, namespace, limit);
  if (struckAt !== undefined && !struckAlive) await over.done;
  truth.faulty(false);
  rig.tap(undefined);
  const goneAt = Date.now();
  over.giveUp();

  const touched = ledger.touched();
  return {
    fault: describeFault(fault),
    kind: kindOf(fault),
    struck: struckAt !== undefined,
    ...(struckAt !== undefined && { recoverMs: (struckAlive ? settledAt : goneAt) - struckAt }),
    tookMs: goneAt - started,
    findings: {
      ...findings,
      wrongStatuses: [...findings.wrongStatuses, ...truth.lies().slice(liesBefore)],
      duplicates: duplicates(stage, inhabitants),
      orphans,
      foreign: [
        ...(await harmed(rig.client, others, limit)),
        ...others
          .map(({ metadata }) => metadata.name)
          .filter((name) => [...touched].some((one) => one.startsWith(`${namespace}/`) && one.endsWith(`/${name}`))),
      ],
      stuck: settled,
    },
  };
}

/** Lets the fault come; `done` resolves when it is over. */
function begin(
  { rig, scene, ledger, signal }: Stage,
  fault: Fault,
  subject: Ref,
  random: Random,
  onStruck: () => void,
  limit: AbortSignal,
): { readonly done: Promise<void>; giveUp(): void } {
  const ending = new AbortController();
  const note: Tap = async (moment) => {
    if (moment.sort === 'request') ledger.note(moment);
  };
  if (fault.kind !== 'kill') {
    rig.tap(note);
    const either = AbortSignal.any([signal, limit, ending.signal]);
    return {
      done: strike(fault, { rig, scene, random, subject, onStruck, signal: either }),
      giveUp: () => ending.abort(new Error('the round is over')),
    };
  }
  const isMet = createTrigger(scene, fault.at, subject);
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  rig.tap(async (moment) => {
    await note(moment);
    if (!isMet(moment)) return;
    onStruck();
    await rig.kill(fault.target);
    rig.restore().then(resolve, reject);
  });
  return { done, giveUp: resolve };
}

/** Lets all live to where they should be; returns who did not get there. */
async function settle(inhabitants: readonly Inhabitant[], user: User, limit: AbortSignal): Promise<readonly string[]> {
  const late = AbortSignal.any([limit, AbortSignal.timeout(PATIENCE_MS)]);
  const lives = inhabitants.map(async (ref): Promise<readonly string[]> => {
    const life: Life = LIFE[ref.life];
    const at = { namespace: ref.namespace, name: ref.name };
    try {
      const living = user.create(life.manifest(at)).then(() => life.live(user, at));
      await Promise.race([living, rejected(late)]);
      return [];
    } catch (error) {
      return [`${ref.namespace}/${ref.name}: ${error instanceof Error ? error.message : String(error)}`];
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

const TRUTH_WITHIN_MS = 5_000;

/** What is said and isn't so; a moment is given to what is being put right. */
async function untrueStatuses(
  { scene, player }: Stage,
  inhabitants: readonly Inhabitant[],
  limit: AbortSignal,
): Promise<readonly string[]> {
  const untrue = (): readonly string[] =>
    inhabitants.flatMap((ref) => {
      const workspace = scene.get('workspaces', ref);
      const lie = workspace && whatIsUntrue(scene, player, workspace);
      return lie === undefined ? [] : [`${ref.namespace}/${ref.name}: ${lie}`];
    });
  const late = AbortSignal.any([limit, AbortSignal.timeout(TRUTH_WITHIN_MS)]);
  await scene.until(() => untrue().length === 0, late).catch(() => undefined); // said below
  return untrue();
}

/** Of what was trained and pushed, what the registry or the status doesn't have. */
function lostAdapters({ scene, player }: Stage, inhabitants: readonly Inhabitant[]): readonly string[] {
  return inhabitants
    .filter(({ life }) => LIFE[life].end === 'Succeeded')
    .flatMap((ref) => {
      if (player.trainings(ref) === 0) return [];
      const digest = scene.get('workspaces', ref)?.status?.tuning?.digest;
      const pushed = player.pushed(imageOf(ref));
      if (pushed !== undefined && digest === pushed) return [];
      return [
        `${ref.namespace}/${ref.name}: trained, pushed ${pushed ?? 'nothing'}, status says ${digest ?? 'nothing'}`,
      ];
    });
}

function duplicates({ ledger, player }: Stage, inhabitants: readonly Inhabitant[]): readonly string[] {
  return inhabitants.flatMap((ref) => {
    const { needs } = LIFE[ref.life];
    const made = ledger.made(ref);
    const counts = [
      ['NodeClaims', made.nodeClaims.size, needs.nodeClaims],
      ['StatefulSets', made.statefulSets.size, needs.statefulSets],
      ['Jobs', made.jobs.size, needs.jobs],
      ['trainings', player.trainings(ref), needs.trainings],
      ['machines at once', ledger.mostMachines(ref), needs.machinesAtOnce],
    ] as const;
    return counts
      .filter(([, count, needed]) => count > needed)
      .map(([what, count, needed]) => `${ref.namespace}/${ref.name}: ${count} ${what}, ${needed} needed`);
  });
}

/** What there still is when all should be gone: objects, and workflows that run. */
async function leftBehind({ scene, rig }: Stage, namespace: string, limit: AbortSignal): Promise<readonly string[]> {
  const late = AbortSignal.any([limit, AbortSignal.timeout(PATIENCE_MS)]);
  await scene.until(() => scene.remains(namespace).length === 0, late).catch(() => undefined); // said below
  const objects = scene.remains(namespace);
  if (objects.length > 0) return objects.map((one) => `${namespace}: ${one}`);
  return runningWorkflows(rig, namespace, late);
}

const VISIBLE_AFTER_MS = 250;

/** A workflow ends a moment after its Workspace. */
async function runningWorkflows({ temporal }: Rig, namespace: string, late: AbortSignal): Promise<readonly string[]> {
  const query = `KaitoNamespace = '${namespace}' AND ExecutionStatus = 'Running'`;
  for (;;) {
    const running = await insist(async () => {
      const ids: string[] = [];
      for await (const { workflowId } of temporal.workflow.list({ query })) ids.push(workflowId);
      return ids;
    }, late);
    if (running.length === 0) return [];
    if (late.aborted) return running.map((id) => `workflow ${id}`);
    await delay(VISIBLE_AFTER_MS);
  }
}

/** Where a Secret's text is that belongs nowhere: statuses and histories. */
async function toldSecrets(
  { scene, rig }: Stage,
  inhabitants: readonly Inhabitant[],
  limit: AbortSignal,
): Promise<readonly string[]> {
  const tunings = inhabitants.filter(({ life }) => LIFE[life].end === 'Succeeded');
  const histories = tunings.map(async (ref) => {
    const handle = rig.temporal.workflow.getHandle(workflowIdOf(ref));
    const { events } = await insist(() => handle.fetchHistory(), limit);
    return tells(events) ? [`history of ${ref.namespace}/${ref.name}`] : [];
  });
  const statuses = scene
    .all('workspaces')
    .filter(
      ({ metadata, status }) => inhabitants.some(({ namespace }) => namespace === metadata.namespace) && tells(status),
    )
    .map(({ metadata }) => `Workspace ${metadata.namespace}/${metadata.name}`);
  return [...statuses, ...(await Promise.all(histories)).flat()];
}

function tells(what: unknown): boolean {
  const text = JSON.stringify(what, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value,
  );
  return text !== undefined && text.includes(SECRET_TEXT);
}
