/** The moments of a life: recorded in a run without faults, and met again in one with them. */
import { LABEL_WORKSPACE, LABEL_WORKSPACE_NAMESPACE } from '../../api/labels';
import { refOf } from '../../api/workflow';
import type { Boundary } from './faults';
import type { LifeName } from './lives';
import { nameOfMoment, type Moment, type Write } from './moments';
import type { Ref, Scene } from './scene';

/** How often a status is written, or planned anew, depends on what is seen when: only the first time is a moment to rely on. */
const UNSTEADY = /workspaces\/status$|planWorkspace$/;

/** The moments of these Workspaces' lives, each in its order; call `note` with every moment. */
export function createRecorder(scene: Scene, lives: readonly (Ref & { readonly life: LifeName })[]) {
  const boundaries: Boundary[] = [];
  const counts = new Map<string, number>();
  return {
    boundaries: boundaries as readonly Boundary[],
    note(moment: Moment): void {
      const ref = workspaceOf(scene, moment);
      const owner = lives.find(({ namespace, name }) => namespace === ref?.namespace && isOf(name, ref.name));
      if (owner === undefined || !isBoundary(moment)) return;
      const called = nameOfMoment(moment);
      const key = `${owner.life} ${called}`;
      const occurrence = (counts.get(key) ?? 0) + 1;
      counts.set(key, occurrence);
      if (occurrence > 1 && UNSTEADY.test(called)) return;
      boundaries.push({ life: owner.life, moment: called, occurrence });
    },
  };
}

/** True once: when the boundary is met in the life of that Workspace. */
export function createTrigger(scene: Scene, { moment: wanted, occurrence }: Boundary, subject: Ref) {
  let met = 0;
  return (moment: Moment): boolean => {
    if (nameOfMoment(moment) !== wanted) return false;
    const ref = workspaceOf(scene, moment);
    if (ref === undefined || ref.namespace !== subject.namespace || !isOf(subject.name, ref.name)) return false;
    met += 1;
    return met === occurrence;
  };
}

/** What comes before a request comes after the one before it. */
function isBoundary(moment: Moment): boolean {
  return moment.sort === 'activity' || moment.point === 'after';
}

/** Objects are named after their Workspace, some with more behind it. */
function isOf(workspace: string, name: string): boolean {
  return name === workspace || name.startsWith(`${workspace}-`);
}

/** Namespace and name of the Workspace, or of an object of it. */
function workspaceOf(scene: Scene, moment: Moment): Ref | undefined {
  if (moment.sort === 'activity') return refOf(moment.workflowId);
  const { write } = moment;
  if (write.resource === 'nodeclaims') return ownerOfClaim(scene, write);
  return write.namespace === undefined ? undefined : { namespace: write.namespace, name: write.name };
}

function ownerOfClaim(scene: Scene, { name, sent }: Write): Ref | undefined {
  const labels = sent.metadata?.labels ?? scene.get('nodeClaims', { name })?.metadata.labels ?? {};
  const [owner, namespace] = [labels[LABEL_WORKSPACE], labels[LABEL_WORKSPACE_NAMESPACE]];
  return owner === undefined || namespace === undefined ? undefined : { namespace, name: owner };
}
