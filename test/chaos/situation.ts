/** What there is of a Workspace that did not get where it should be: enough to tell who waits for what, when nothing but this text is left. */
import { findCondition, type Condition, type KubernetesObject } from '../../kubernetes/objects';
import type { Ref, Scene } from './scene';

/** Lines, each a fact: the status, then its machines with their nodes, then its pods. */
export function situationOf(scene: Scene, ref: Ref): readonly string[] {
  const workspace = scene.get('workspaces', ref);
  if (workspace === undefined) return ['there is no such Workspace'];
  const { metadata, status } = workspace;
  const step = status?.step;
  const told = joined([`state ${status?.state}`, `step ${step?.name}`, step?.cause, step?.message], ', ');
  const pods = scene
    .all('pods')
    .filter(({ metadata: pod }) => pod.namespace === ref.namespace && pod.name.startsWith(`${ref.name}-`));
  return [
    `generation ${metadata.generation}, observed ${status?.observedGeneration}: ${told}`,
    ...scene.claimsOf(ref).map((claim) => {
      const name = claim.status?.nodeName ?? '';
      const node = scene.get('nodes', { name });
      const taints = (node?.spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`);
      return [
        nameOf(claim),
        ...conditions(claim.status?.conditions),
        `node ${name === '' ? 'none' : name}`,
        ...(node === undefined ? [] : [wordsOf(findCondition(node, 'Ready')), ...taints]),
      ].join(', ');
    }),
    ...pods.map((pod) =>
      [
        nameOf(pod),
        `phase ${pod.status?.phase}`,
        `on ${pod.spec?.nodeName ?? 'no node'}`,
        ...conditions(pod.status?.conditions),
      ].join(', '),
    ),
  ];
}

function nameOf({ kind, metadata: { name, deletionTimestamp } }: KubernetesObject): string {
  return `${kind} ${name}${deletionTimestamp === undefined ? '' : ' (being deleted)'}`;
}

/** Those that are not as they should be. */
function conditions(all: readonly Condition[] = []): readonly string[] {
  return all.filter(({ status }) => status !== 'True').map(wordsOf);
}

function wordsOf(condition: Condition | undefined): string {
  if (condition === undefined) return 'Ready is not told';
  const { type, status, reason, message, lastTransitionTime } = condition;
  return joined([`${type} ${status}`, reason, message, lastTransitionTime && `since ${lastTransitionTime}`], ' ');
}

function joined(parts: readonly (string | undefined)[], by: string): string {
  return parts.filter((part) => part !== undefined && part !== '').join(by);
}
