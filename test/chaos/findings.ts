/** What a run looks for: whether the invariants hold, once the Workspaces are where they should be, and once they are gone. */
import { setTimeout as delay } from 'node:timers/promises';

import { workflowIdOf } from '../../api/workflow';
import type { KubernetesObject } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { SECRET_TEXT } from './bystanders';
import type { Ledger } from './ledger';
import { LIFE, type LifeName } from './lives';
import { imageOf, type Player } from './player';
import type { Rig } from './rig';
import { insist, type Ref, type Scene } from './scene';
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

/** What is being put right at that moment may be so long. */
const TRUTH_WITHIN_MS = 5_000;
/** The longest that Workspaces may take to be gone. */
const GONE_WITHIN_MS = 240_000;

/** What is said and isn't so; a moment is given to what is being put right. */
export async function untrueStatuses(
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
export function lostAdapters({ scene, player }: Stage, inhabitants: readonly Inhabitant[]): readonly string[] {
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

export function duplicates({ ledger, player }: Stage, inhabitants: readonly Inhabitant[]): readonly string[] {
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
export async function leftBehind(
  { scene, rig }: Stage,
  namespace: string,
  limit: AbortSignal,
): Promise<readonly string[]> {
  const late = AbortSignal.any([limit, AbortSignal.timeout(GONE_WITHIN_MS)]);
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
export async function toldSecrets(
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

/** Rounds overlap: the lies of this one. */
export function liesOf(lies: readonly string[], namespace: string): readonly string[] {
  return lies.filter((lie) => lie.startsWith(`${namespace}/`));
}

/** Of others' objects, those that the product wrote to. */
export function touchedOf(ledger: Ledger, others: readonly KubernetesObject[]): readonly string[] {
  const touched = ledger.touched();
  return others
    .filter(({ kind, metadata }) => {
      const resource = Object.values(RESOURCES).find((one) => one.kind === kind);
      return touched.has(`${metadata.namespace ?? ''}/${resource?.plural}/${metadata.name}`);
    })
    .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
}
