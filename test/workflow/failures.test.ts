import { useTemporal } from '../environment';
import { finalFailure, passingFailure, walk } from './fake-steps';
import {
  backsOff,
  ended,
  isPaused,
  openHarness,
  pauseActivity,
  pendingActivity,
  searchAttribute,
  unpauseActivity,
  until,
  type Harness,
} from './harness';

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness(useTemporal());
});
afterAll(() => harness.close());

const steps = ['planWorkspace', 'acquireMachines', 'applyWorkload', 'waitUntilServing'] as const;

describe('a failure that only the user mends', () => {
  it.each(steps)('in %s: rests in state Failed with its cause, tried once', (name) =>
    harness.run(async (subject) => {
      subject.steps.once(name, () => {
        throw finalFailure('InvalidInput', { uid: 'uid-1', generation: 1 });
      });
      await subject.look();
      await subject.atRest();

      expect(subject.steps.calls).toEqual(walk().slice(0, steps.indexOf(name) + 1));
      expect(await subject.status()).toMatchObject({ state: 'Failed', message: 'because of InvalidInput' });
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Failed');
      expect(await searchAttribute(subject, 'KaitoCause')).toBe('InvalidInput');
    }),
  );

  it('a covered look changes nothing; a newer generation mends it, and the cause is taken back', () =>
    harness.run(async (subject) => {
      subject.steps.once('planWorkspace', () => {
        throw finalFailure('DoesNotFit', { uid: 'uid-1', generation: 1 });
      });
      await subject.look();
      await subject.atRest();
      await subject.look();
      await subject.atRest();
      expect(subject.steps.calls).toEqual(['planWorkspace']);

      subject.steps.workspace = { uid: 'uid-1', generation: 2 };
      await subject.look();
      await subject.atRest();
      expect(subject.steps.calls).toEqual(['planWorkspace', ...walk()]);
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Ready');
      expect(await searchAttribute(subject, 'KaitoCause')).toBeUndefined();
    }));

  it('retry tries again', () =>
    harness.run(async (subject) => {
      subject.steps.once('applyWorkload', () => {
        throw finalFailure('NotSupported', { uid: 'uid-1', generation: 1 });
      });
      await subject.look();
      await subject.atRest();
      await subject.retry();
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk().slice(0, 3), ...walk()]);
      expect((await subject.status())?.state).toBe('Ready');
    }));

  it('another cause after the first is told', () =>
    harness.run(async (subject) => {
      for (const cause of ['InvalidInput', 'DoesNotFit'] as const) {
        subject.steps.once('planWorkspace', () => {
          throw finalFailure(cause, { uid: 'uid-1', generation: 1 });
        });
      }
      await subject.look();
      await subject.atRest();
      await subject.retry();
      await subject.atRest();
      expect(await searchAttribute(subject, 'KaitoCause')).toBe('DoesNotFit');
    }));

  it('while it is tried anew, lists do not show it as failed', () =>
    harness.run(async (subject) => {
      subject.steps.once('planWorkspace', () => {
        throw finalFailure('InvalidInput', { uid: 'uid-1', generation: 1 });
      });
      await subject.look();
      await subject.atRest();
      const machines = subject.steps.hold('acquireMachines');
      await subject.retry();
      await machines.entered;
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Pending');
      expect(await searchAttribute(subject, 'KaitoCause')).toBeUndefined();
    }));

  it('an activity that a person failed by hand rests as well', () =>
    harness.run(async (subject) => {
      const serving = subject.steps.hold('waitUntilServing', { whenCancelled: 'finish' });
      await subject.look();
      const { activityId } = await serving.entered;
      const { workflowId } = subject.handle;
      await subject.client.workflowService.respondActivityTaskFailedById({
        namespace: subject.client.options.namespace,
        workflowId,
        activityId,
        failure: { message: 'by hand', applicationFailureInfo: { nonRetryable: true } },
      });
      await subject.atRest();
      serving.complete();
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Failed');
      expect(await searchAttribute(subject, 'KaitoCause')).toBe('Internal');
    }));
});

describe('a failure that time may mend', () => {
  it('is tried again after the delay that the step asks for', () =>
    harness.run(async (subject) => {
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        subject.steps.once('planWorkspace', () => {
          throw passingFailure('HubUnavailable', 10);
        });
      }
      await subject.becomeReady();
      expect(subject.steps.calls).toEqual([
        'planWorkspace',
        'planWorkspace attempt 2',
        'planWorkspace attempt 3',
        ...walk().slice(1),
      ]);
    }));

  it.each(steps)('retry during the back-off of %s runs it at once, attempts counted anew', (name) =>
    harness.run(async (subject) => {
      subject.steps.once(name, () => {
        throw passingFailure('MissingReference', '1h');
      });
      await subject.look();
      await backsOff(subject, name);
      await subject.retry();
      await until('all is done', async () => (await subject.status())?.state === 'Ready');
      expect(subject.steps.calls).toEqual([...walk().slice(0, steps.indexOf(name) + 1), ...walk()]);
    }),
  );

  it('shows the cause on the pending activity', () =>
    harness.run(async (subject) => {
      subject.steps.once('acquireMachines', () => {
        throw passingFailure('NodeClass', '1h');
      });
      await subject.look();
      await backsOff(subject);
      const pending = await pendingActivity(subject);
      expect(pending?.lastFailure?.message).toBe('because of NodeClass');
      expect(pending?.lastFailure?.applicationFailureInfo?.type).toBe('NodeClass');
    }));
});

describe('temporal activity pause', () => {
  it('stops the pending step; unpause goes on with it', () =>
    harness.run(async (subject) => {
      const machines = subject.steps.hold('acquireMachines');
      await subject.look();
      const { activityId } = await machines.entered;
      await pauseActivity(subject, activityId);
      await machines.cancelled;
      await isPaused(subject);
      expect(subject.steps.calls).toEqual(walk().slice(0, 2));

      await unpauseActivity(subject, activityId);
      await until('all is done', async () => (await subject.status())?.state === 'Ready');
      expect(subject.steps.calls.slice(2)).toEqual([
        expect.stringMatching(/^acquireMachines A100( attempt 2)?$/),
        ...walk().slice(2),
      ]);
    }));

  it('of a step that backs off keeps it from being tried; retry still runs it at once', () =>
    harness.run(async (subject) => {
      subject.steps.once('planWorkspace', () => {
        throw passingFailure('HubUnavailable', '1h');
      });
      await subject.look();
      await backsOff(subject);
      await pauseActivity(subject, (await pendingActivity(subject))?.activityId ?? '');
      await subject.retry();
      await until('all is done', async () => (await subject.status())?.state === 'Ready');
      expect(subject.steps.calls).toEqual(['planWorkspace', ...walk()]);
    }));
});

describe('a step whose worker was killed', () => {
  // Its heartbeats are missed after 20 s: what the policy says. So the three wait side by side.
  let runs: Readonly<Record<'asked' | 'cancelled' | 'neither', Promise<void>>>;
  beforeAll(() => {
    runs = { asked: asked(), cancelled: cancelled(), neither: neither() };
    for (const run of Object.values(runs)) run.catch(() => undefined); // its test tells
  });
  it('gives way to what is asked meanwhile', () => runs.asked);
  it('does not keep a cancel from releasing', () => runs.cancelled);
  it('is tried again where nothing else was asked', () => runs.neither);

  const asked = () =>
    harness.run(async (subject) => {
      const dead = subject.steps.hold('acquireMachines', { whenCancelled: 'finish', beats: false });
      await subject.look();
      await dead.entered;
      await subject.retry();
      await until('the next walk is over', async () => (await subject.status())?.state === 'Ready', 40_000);
      dead.complete();
      expect(subject.steps.calls).toEqual([...walk().slice(0, 2), ...walk()]);
    });

  const cancelled = () =>
    harness.run(async (subject) => {
      const dead = subject.steps.hold('acquireMachines', { whenCancelled: 'finish', beats: false });
      await subject.look();
      await dead.entered;
      await subject.handle.cancel();
      const how = await ended(subject, 40_000);
      dead.complete();
      expect(how).toBe('CANCELLED');
      expect(subject.steps.calls).toEqual([...walk().slice(0, 2), 'releaseWorkspace cancelled']);
    });

  const neither = () =>
    harness.run(async (subject) => {
      const dead = subject.steps.hold('acquireMachines', { whenCancelled: 'finish', beats: false });
      await subject.look();
      await dead.entered;
      await until('the next attempt is over', async () => (await subject.status())?.state === 'Ready', 40_000);
      dead.complete();
      expect(subject.steps.calls).toEqual([
        ...walk().slice(0, 2),
        'acquireMachines A100 attempt 2',
        ...walk().slice(2),
      ]);
    });
});
