import { useTemporal } from '../environment';
import { candidate, finalFailure, passingFailure, status, unavailable, walk } from './fake-steps';
import { backsOff, ended, openHarness, searchAttribute, type Harness, type Subject, until } from './harness';

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness(useTemporal());
});
afterAll(() => harness.close());

const steps = ['planWorkspace', 'acquireMachines', 'applyWorkload', 'waitUntilServing'] as const;
const released = 'releaseWorkspace cancelled';

/** `temporal workflow cancel`, until the run has ended. */
async function cancel(subject: Subject): Promise<void> {
  await subject.handle.cancel();
  expect(await ended(subject)).toBe('CANCELLED');
}

describe('temporal workflow cancel', () => {
  it.each(steps)('during %s stops it and releases once', (name) =>
    harness.run(async (subject) => {
      const held = subject.steps.hold(name);
      await subject.look();
      await held.entered;
      await cancel(subject);
      await held.cancelled;
      expect(subject.steps.calls).toEqual([...walk().slice(0, steps.indexOf(name) + 1), released]);
    }),
  );

  it.each(steps)('releases only after %s, slow to stop, has stopped', (name) =>
    harness.run(async (subject) => {
      const { steps: fakes } = subject;
      const held = fakes.hold(name, { whenCancelled: 'finish' });
      await subject.look();
      await held.entered;
      await subject.handle.cancel();
      await held.cancelled;
      expect(fakes.calls).not.toContain(released);
      held.complete();
      expect(await ended(subject)).toBe('CANCELLED');
      expect(fakes.calls).toEqual([...walk().slice(0, steps.indexOf(name) + 1), released]);
    }),
  );

  it.each(['acquireMachines', 'applyWorkload', 'waitUntilServing'] as const)(
    'counts although %s gave way at the same time',
    (name) =>
      harness.run(async (subject) => {
        const held = subject.steps.hold(name, { whenCancelled: 'finish' });
        await subject.look();
        await held.entered;
        await subject.handle.cancel();
        await held.cancelled;
        held.complete({ kind: 'superseded' } as never);
        expect(await ended(subject)).toBe('CANCELLED');
        expect(subject.steps.calls).toEqual([...walk().slice(0, steps.indexOf(name) + 1), released]);
      }),
  );

  it.each([finalFailure('InvalidInput'), passingFailure('HubUnavailable', '1h')])(
    'counts although the step failed at the same time (%s)',
    (failure) =>
      harness.run(async (subject) => {
        const held = subject.steps.hold('planWorkspace', { whenCancelled: 'finish' });
        await subject.look();
        await held.entered;
        await subject.handle.cancel();
        await held.cancelled;
        held.fail(failure);
        expect(await ended(subject)).toBe('CANCELLED');
        expect(subject.steps.calls).toEqual(['planWorkspace', released]);
        expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Cancelled');
      }),
  );

  it('when Ready at rest releases', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      await cancel(subject);
      expect(subject.steps.calls).toEqual([...walk(), released]);
      expect(await subject.status()).toEqual(status('Cancelled'));
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Cancelled');
    }));

  it('when Failed at rest releases', () =>
    harness.run(async (subject) => {
      subject.steps.once('applyWorkload', () => {
        throw finalFailure('InvalidInput', { uid: 'uid-1', generation: 1 });
      });
      await subject.look();
      await subject.atRest();
      await cancel(subject);
      expect(subject.steps.calls).toEqual([...walk().slice(0, 3), released]);
    }));

  it('during the pause after all sizes were unavailable releases', () =>
    harness.run(async (subject) => {
      subject.steps.candidates = [candidate('H100')];
      subject.steps.once('acquireMachines', unavailable('H100'));
      await subject.look();
      await subject.atRest();
      await cancel(subject);
      expect(subject.steps.calls).toEqual([...walk('H100').slice(0, 2), 'reportPause', released]);
    }));

  it('during the back-off of a step releases at once', () =>
    harness.run(async (subject) => {
      subject.steps.once('applyWorkload', () => {
        throw passingFailure('NodeNotReady', '1h');
      });
      await subject.look();
      await backsOff(subject);
      await cancel(subject);
      expect(subject.steps.calls).toEqual([...walk().slice(0, 3), released]);
    }));

  it('while a look is being followed releases once, and the walk is not begun again', () =>
    harness.run(async (subject) => {
      const held = subject.steps.hold('waitUntilServing', { whenCancelled: 'finish' });
      await subject.look();
      await held.entered;
      await subject.look('objects');
      await held.cancelled;
      await subject.handle.cancel();
      await subject.status();
      held.complete({ kind: 'superseded' });
      expect(await ended(subject)).toBe('CANCELLED');
      expect(subject.steps.calls).toEqual([...walk(), released]);
    }));

  it('again, during its release, does not stop the release', () =>
    harness.run(async (subject) => {
      const release = subject.steps.hold('releaseWorkspace');
      await subject.becomeReady();
      await subject.handle.cancel();
      await release.entered;
      await subject.handle.cancel();
      await subject.status();
      release.complete();
      expect(await ended(subject)).toBe('CANCELLED');
      expect(subject.steps.calls).toEqual([...walk(), released]);
    }));

  it('a retry during its release gets a run that is not cancelled', () =>
    harness.run(async (subject) => {
      const release = subject.steps.hold('releaseWorkspace');
      await subject.becomeReady();
      await subject.handle.cancel();
      await release.entered;
      await subject.retry();
      await subject.status();
      release.complete();
      await until('the second walk is over', () => subject.steps.calls.length === 2 * walk().length + 1);
      expect(subject.steps.calls).toEqual([...walk(), released, ...walk()]);
    }));

  it('what the bridge notices of its release does not undo it', () =>
    harness.run(async (subject) => {
      const release = subject.steps.hold('releaseWorkspace');
      await subject.becomeReady();
      await subject.handle.cancel();
      await release.entered;
      await subject.look('objects');
      await subject.look('resync');
      await subject.status();
      release.complete();
      expect(await ended(subject)).toBe('CANCELLED');
      expect(subject.steps.calls).toEqual([...walk(), released]);
    }));

  it('a release that fails for a while is tried until it is done', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        subject.steps.once('releaseWorkspace', () => {
          throw passingFailure('Internal', 10);
        });
      }
      await cancel(subject);
      expect(subject.steps.calls).toEqual([...walk(), released, `${released} attempt 2`, `${released} attempt 3`]);
    }));

  it('a later retry of the bridge starts a new life, with a clean record', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      await cancel(subject);
      const machines = subject.steps.hold('acquireMachines');
      await subject.look('retry');
      const { input } = await machines.entered;
      expect(input.facts.attempts).toEqual([]);
      machines.complete();
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk(), released, ...walk()]);
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Ready');
    }));
});
