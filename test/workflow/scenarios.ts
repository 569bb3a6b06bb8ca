/**
 * The kinds of lives whose histories are kept in `histories/`: whatever the workflow code becomes, it has to be able to go on with them.
 */
import type { TuningPlan } from '../../api/workflow';
import { candidate, finalFailure, passingFailure, status, unavailable } from './fake-steps';
import { backsOff, ended, scheduled, until, type Subject } from './harness';

/** The server of the recording suggests continue-as-new at this many events, so that such a history stays readable. */
export const SUGGEST_CONTINUE_AS_NEW_AT = 100;

const TUNING: TuningPlan = {
  method: 'lora',
  hash: 'abc',
  outputDirectory: '/mnt/results',
  isTrained: false,
  push: { image: 'r/a:1', secretName: 's', patienceMs: 600_000 },
};

/** Each ends with its run over, or at rest. */
export const SCENARIOS: Readonly<Record<string, (subject: Subject) => Promise<void>>> = {
  ready: (subject) => subject.becomeReady(),

  async fallback(subject) {
    const { steps } = subject;
    steps.candidates = [candidate('H100'), candidate('A100')];
    steps.once('acquireMachines', unavailable('H100'));
    await subject.becomeReady();
  },

  async 'paused-then-retried'(subject) {
    subject.steps.once('acquireMachines', unavailable('A100'));
    await subject.look();
    await subject.atRest();
    await subject.retry();
    await subject.atRest();
  },

  async 'failed-then-fixed'(subject) {
    const { steps } = subject;
    steps.once('planWorkspace', () => {
      throw finalFailure('InvalidInput', { uid: 'uid-1', generation: 1 });
    });
    await subject.look();
    await subject.atRest();
    steps.workspace = { uid: 'uid-1', generation: 2 };
    await subject.look();
    await subject.atRest();
  },

  async 'retried-during-back-off'(subject) {
    subject.steps.once('applyWorkload', () => {
      throw passingFailure('NodeNotReady', '1h');
    });
    await subject.look();
    await backsOff(subject);
    await subject.retry();
    await until('the Workspace is Ready', async () => (await subject.status())?.state === 'Ready');
    await subject.atRest();
  },

  async interrupted(subject) {
    const { steps } = subject;
    const machines = steps.hold('acquireMachines');
    await subject.look();
    await machines.entered;
    steps.workspace = { uid: 'uid-1', generation: 2 };
    await subject.look();
    await until('generation 2 is Ready', async () => (await subject.status())?.state === 'Ready');
    await subject.atRest();
  },

  async superseded(subject) {
    subject.steps.once('applyWorkload', () => ({ kind: 'superseded' }));
    subject.steps.once('waitUntilServing', () => ({ kind: 'lost', what: 'machine' }));
    await subject.becomeReady();
  },

  async 'cancelled-during-a-step'(subject) {
    const machines = subject.steps.hold('acquireMachines');
    await subject.look();
    await machines.entered;
    await subject.handle.cancel();
    await ended(subject);
  },

  async 'cancelled-at-rest'(subject) {
    await subject.becomeReady();
    await subject.handle.cancel();
    await ended(subject);
  },

  async tuned(subject) {
    subject.steps.tuning = TUNING;
    subject.steps.once('pushAdapter', () => {
      throw passingFailure('RegistryUnavailable', '1ms');
    });
    await subject.look();
    await subject.atRest();
  },

  async 'tuning-failed-then-retried'(subject) {
    subject.steps.tuning = TUNING;
    subject.steps.once('trainAdapter', () => {
      throw finalFailure('OutOfMemory', { uid: 'uid-1', generation: 1 });
    });
    await subject.look();
    await subject.atRest();
    await subject.retry();
    await until('it is done', async () => (await subject.status())?.state === 'Succeeded');
    await subject.atRest();
  },

  async 'pushed-late'(subject) {
    subject.steps.tuning = { ...TUNING, push: { image: 'r/a:1', secretName: 's', patienceMs: 200 } };
    const push = subject.steps.hold('pushAdapter');
    await subject.look();
    await push.cancelled;
    await until('it is done', async () => (await subject.status())?.state === 'Succeeded');
    await subject.atRest();
  },

  async 'tuning-cancelled'(subject) {
    subject.steps.tuning = TUNING;
    const training = subject.steps.hold('trainAdapter');
    await subject.look();
    await training.entered;
    await subject.handle.cancel();
    await ended(subject);
  },

  async deleted(subject) {
    await subject.becomeReady();
    subject.steps.workspace = { uid: 'uid-1', generation: 2, deleting: true };
    await subject.look('deleted');
    await ended(subject);
  },

  async 'deleted-during-a-step'(subject) {
    const machines = subject.steps.hold('acquireMachines');
    await subject.look();
    await machines.entered;
    subject.steps.workspace = { uid: 'uid-1', generation: 2, deleting: true };
    await subject.look('deleted');
    await ended(subject);
  },

  async 'torn-away'(subject) {
    await subject.becomeReady();
    subject.steps.workspace = undefined;
    await subject.look('gone', { uid: 'uid-1', generation: 1 });
    await ended(subject);
  },

  async 'resumed-while-cancelled'(subject) {
    await subject.becomeReady();
    const release = subject.steps.hold('releaseWorkspace');
    await subject.handle.cancel();
    await release.entered;
    await subject.retry();
    release.complete({ kind: 'released', status: status('Cancelled') });
    await until('it is Ready again', async () => (await subject.status())?.state === 'Ready');
    await subject.atRest();
  },

  async 'tuning-deleted'(subject) {
    subject.steps.tuning = TUNING;
    const push = subject.steps.hold('pushAdapter');
    await subject.look();
    await push.entered;
    subject.steps.workspace = { uid: 'uid-1', generation: 2, deleting: true };
    await subject.look('deleted');
    await ended(subject);
  },

  async recreated(subject) {
    const { steps } = subject;
    await subject.becomeReady();
    const release = steps.hold('releaseWorkspace');
    steps.workspace = { uid: 'uid-1', generation: 2, deleting: true };
    await subject.look('deleted');
    await release.entered;
    steps.workspace = { uid: 'uid-2', generation: 1 };
    await subject.look();
    release.complete({ kind: 'released' });
    await until('the second life is Ready', async () => (await subject.status())?.state === 'Ready');
    await subject.atRest();
  },

  async replaced(subject) {
    await subject.becomeReady();
    subject.steps.workspace = { uid: 'uid-2', generation: 1 };
    await subject.look();
    await until('the second life is Ready', async () => (await subject.status())?.state === 'Ready');
    await subject.atRest();
  },

  async 'continued-as-new'(subject) {
    await subject.becomeReady();
    const { runId } = await subject.handle.describe();
    await until('the run has gone on in another', async () => {
      await subject.look('objects');
      await subject.atRest();
      return (await subject.handle.describe()).runId !== runId;
    });
    await until(
      'the next run has walked through the steps',
      async () => scheduled(await subject.events()).length === 4,
    );
    await subject.atRest();
  },
};
