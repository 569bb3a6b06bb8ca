import { composeStatus, type Situation } from '../../../activities/status/compose';
import { observe } from '../../../activities/observe/observation';
import type { Workspace } from '../../../api/workspace';
import { LAUNCHED, node, nodeClaim, owned, pod, statefulSet, workspace } from './objects';

const facts = { attempts: [], workflow: { id: 'workspace/default/w', runID: 'run' } };
const machines = { nodeClaims: [nodeClaim('ws1', LAUNCHED, { nodeName: 'n1' })], nodes: [node('n1')] };
const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

function compose(known: Workspace, situation: Partial<Situation>) {
  return composeStatus({
    workspace: known,
    facts,
    step: 'Serving',
    message: 'm',
    now: at(0),
    generation: 1,
    ...situation,
  });
}
const serving = observe(workspace(), 1, owned({ ...machines, statefulSet: statefulSet(1) }));
const waiting = observe(workspace(), 1, owned({ ...machines, statefulSet: statefulSet(0) }));

test('the same facts give the same status, whenever: it is not written again', () => {
  const first = compose(workspace(), { observation: waiting, now: at(0) });
  expect(compose(workspace({ status: first }), { observation: waiting, now: at(9) })).toEqual(first);
});

test('a condition keeps the time of its last change, and only that', () => {
  const first = compose(workspace(), { observation: waiting, now: at(0) });
  const second = compose(workspace({ status: first }), { observation: serving, step: 'Ready', now: at(9) });
  const times = Object.fromEntries(
    (second.conditions ?? []).map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
  );
  expect(times).toEqual({
    NodesReady: '2026-01-01T00:00:00Z',
    NodeClaimReady: '2026-01-01T00:00:00Z',
    ResourceReady: '2026-01-01T00:00:00Z',
    InferenceReady: '2026-01-01T00:00:09Z',
    WorkspaceSucceeded: '2026-01-01T00:00:09Z',
  });
});

test('the state is Pending before the first time it serves, and NotReady after it stopped', () => {
  expect(compose(workspace(), { observation: waiting }).state).toBe('Pending');
  const ready = compose(workspace(), { observation: serving, step: 'Ready' });
  expect(ready.state).toBe('Ready');
  expect(compose(workspace({ status: ready }), { observation: waiting }).state).toBe('NotReady');
});

test('a step says how long it waits, and a failure does not wait', () => {
  const deadline = new Date('2026-01-01T00:15:00Z');
  expect(compose(workspace(), { step: 'Machines', deadline }).step?.deadlineTime).toBe(deadline.toISOString());
  const failure = { cause: 'Capacity', message: 'none left', attempt: 1 } as const;
  expect(compose(workspace(), { step: 'Machines', deadline, failure }).step).not.toHaveProperty('deadlineTime');
});

test('a failure names cause, attempt, next try and remedy', () => {
  const status = compose(workspace(), {
    step: 'Plan',
    failure: {
      cause: 'MissingReference',
      message: "ConfigMap 'c' not found",
      attempt: 3,
      nextTryTime: '2026-01-01T00:00:04Z',
    },
  });
  expect(status.step).toMatchObject({
    name: 'Plan',
    cause: 'MissingReference',
    message: "ConfigMap 'c' not found",
    attempt: 3,
    nextTryTime: '2026-01-01T00:00:04Z',
    remedy: 'Create the object that the message names; the Workspace goes on by itself.',
  });
  expect(status.conditions?.[0]).toMatchObject({ type: 'Planned', status: 'False', reason: 'MissingReference' });
});

test('a pod’s trouble is the serving step’s to tell, not that of the machines step on its way past', () => {
  const crashing = pod({
    phase: 'Running',
    containerStatuses: [
      { name: 'w', ready: false, restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } },
    ],
  });
  const observation = observe(workspace(), 1, owned({ ...machines, statefulSet: statefulSet(0), pods: [crashing] }));
  expect(compose(workspace(), { observation, step: 'Serving' }).step?.cause).toBe('CrashLoop');
  expect(compose(workspace(), { observation, step: 'Machines' }).step?.cause).toBeUndefined();
});

test('a retry counts as acted on by a step that works on the Workspace, not by its release', () => {
  const asked = workspace({ status: { observedRetry: '1' } }, { annotations: { 'kaito.sh/retry': '2' } });
  expect(compose(asked, { step: 'Plan' }).observedRetry).toBe('2');
  expect(compose(asked, { step: 'Release' }).observedRetry).toBe('1');
  expect(compose(asked, { step: 'Cancelled' }).observedRetry).toBe('1');
});

test('WorkspaceDeleting exists only while it is so', () => {
  const deleting = compose(workspace(), { step: 'Release', message: 'releasing NodeClaim ws1' });
  expect(deleting.conditions?.find(({ type }) => type === 'WorkspaceDeleting')).toMatchObject({ status: 'True' });
  const after = compose(workspace({ status: deleting }), { step: 'Cancelled' });
  expect(after.conditions?.some(({ type }) => type === 'WorkspaceDeleting')).toBe(false);
});

test('messages are cut to what people read', () => {
  const status = compose(workspace(), { message: 'x'.repeat(5_000) });
  expect(status.message).toBe(`${'x'.repeat(253)}…`);
  expect(status.step?.message).toBe(`${'x'.repeat(1_021)}…`);
});
