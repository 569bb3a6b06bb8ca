/** What was ever made for the Workspaces of a run: by our watches, and by what the API server answered to the product. */
import { LABEL_WORKSPACE, LABEL_WORKSPACE_NAMESPACE } from '../../api/labels';
import type { KubernetesObject, NodeClaim } from '../../kubernetes/objects';
import type { RequestMoment } from './moments';
import type { Ref, Scene } from './scene';

export type Counted = 'nodeClaims' | 'statefulSets' | 'jobs';

export interface Ledger {
  /**
   * UIDs of all that was made for the Workspace, by kind. NodeClaims that their provider gave up before it launched anything, and that the product did
   * not delete, are left out: to ask again is right. (Karpenter's kwok provider deletes by name, and may meet the claim after the one it means.)
   */
  made(ref: Ref): Readonly<Record<Counted, ReadonlySet<string>>>;
  /** The most machines that the Workspace had at one time, those on their way out not counted. */
  mostMachines(ref: Ref): number;
  /** Notes a write, once it is answered. */
  note(moment: RequestMoment): void;
  /** Objects that the product changed or deleted, as `namespace/resource/name`. */
  touched(): ReadonlySet<string>;
}

const COUNTED: Readonly<Record<string, Counted>> = {
  nodeclaims: 'nodeClaims',
  statefulsets: 'statefulSets',
  jobs: 'jobs',
};
const CREATED = 201;

export function startLedger(scene: Scene): Ledger {
  const made = new Map<string, Record<Counted, Set<string>>>();
  const most = new Map<string, number>();
  const touched = new Set<string>();
  const vanished = new Set<string>();
  const deletedByUs = new Set<string>();
  const keyOf = ({ namespace, name }: Ref): string => `${namespace}/${name}`;
  const of = (ref: Ref): Record<Counted, Set<string>> => {
    const known = made.get(keyOf(ref));
    if (known !== undefined) return known;
    const fresh = { nodeClaims: new Set<string>(), statefulSets: new Set<string>(), jobs: new Set<string>() };
    made.set(keyOf(ref), fresh);
    return fresh;
  };

  scene.onChange((kind, { type, object }) => {
    if (kind !== 'nodeClaims' && kind !== 'statefulSets' && kind !== 'jobs') return;
    const ref = ownerOf(kind, object);
    if (ref === undefined) return;
    if (type === 'added') of(ref)[kind].add(object.metadata.uid);
    if (kind !== 'nodeClaims') return;
    if (type === 'deleted' && (object as NodeClaim).status?.providerID === undefined) vanished.add(object.metadata.uid);
    const living = scene.claimsOf(ref).filter(isLiving).length;
    most.set(keyOf(ref), Math.max(most.get(keyOf(ref)) ?? 0, living));
  });

  return {
    made(ref) {
      const all = of(ref);
      const asked = [...all.nodeClaims].filter((uid) => !vanished.has(uid) || deletedByUs.has(uid));
      return { ...all, nodeClaims: new Set(asked) };
    },
    mostMachines: (ref) => most.get(keyOf(ref)) ?? 0,
    note({ write, point }) {
      if (point !== 'after') return;
      const { code = 0, answer, resource, namespace, name, verb } = write;
      if (code >= 300) return;
      if (verb !== 'create') touched.add(`${namespace ?? ''}/${resource.split('/')[0]}/${name}`);
      const kind = COUNTED[resource];
      const uid = answer?.metadata?.uid;
      // The answer to a deletion is the object, or a Status that names it.
      const deleted = verb === 'delete' ? (uid ?? answer?.details?.uid) : undefined;
      if (deleted !== undefined) deletedByUs.add(deleted);
      if (kind === undefined || code !== CREATED || uid === undefined) return;
      const ref = ownerOf(kind, answer as KubernetesObject);
      if (ref !== undefined) of(ref)[kind].add(uid);
    },
    touched: () => touched,
  };
}

function isLiving({ metadata }: NodeClaim): boolean {
  return metadata.deletionTimestamp === undefined;
}

/** Machines say so by their labels; of the rest, names do: the push's Job is named after its Workspace, too. */
function ownerOf(kind: Counted, { metadata }: Pick<KubernetesObject, 'metadata'>): Ref | undefined {
  const { labels = {}, namespace, name } = metadata;
  if (kind === 'nodeClaims') {
    const [owner, ownerNamespace] = [labels[LABEL_WORKSPACE], labels[LABEL_WORKSPACE_NAMESPACE]];
    return owner === undefined || ownerNamespace === undefined ? undefined : { namespace: ownerNamespace, name: owner };
  }
  return namespace === undefined ? undefined : { namespace, name: name.replace(/-push$/, '') };
}
