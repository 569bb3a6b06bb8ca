import { useTemporal } from '../environment';
import type { LookReason } from '../../api/workflow';
import { candidate, finalFailure, unavailable, walk } from './fake-steps';
import { ended, openHarness, searchAttribute, until, type Harness, type Subject } from './harness';

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness(useTemporal());
});
afterAll(() => harness.close());

const steps = ['planWorkspace', 'acquireMachines', 'applyWorkload', 'waitUntilServing'] as const;
const released = 'releaseWorkspace deleted';

/** `kubectl delete`: the API server sets the deletion time-stamp and raises the generation; the bridge looks. */
async function deleteWorkspace(subject: Subject, reason: LookReason = 'deleted'): Promise<void> {
  const { uid, generation } = subject.steps.workspace ?? { uid: '', generation: 0 };
  subject.steps.workspace = { uid, generation: generation + 1, deleting: true };
  await subject.look(reason);
}

describe('kubectl delete', () => {
  it.each(steps)('during %s stops it, releases once, and completes', (name) =>
    harness.run(async (subject) => {
      const held = subject.steps.hold(name);
      await subject.look();
      await held.entered;
      await deleteWorkspace(subject);
      expect(await ended(subject)).toBe('COMPLETED');
      await held.cancelled;
      expect(subject.steps.calls).toEqual([
        ...walk().slice(0, steps.indexOf(name) + 1),
        ...(name === 'planWorkspace' ? ['planWorkspace'] : []),
        released,
      ]);
    }),
  );

  it('when Ready releases and completes', () =>
    harness.run(async (subject) => {
      const release = subject.steps.hold('releaseWorkspace');
      await subject.becomeReady();
      await deleteWorkspace(subject);
      await release.entered;
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Deleting');
      release.complete();
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual([...walk(), released]);
    }));

  it('when Failed releases and completes', () =>
    harness.run(async (subject) => {
      subject.steps.once('planWorkspace', () => {
        throw finalFailure('InvalidInput', { uid: 'uid-1', generation: 1 });
      });
      await subject.look();
      await subject.atRest();
      await deleteWorkspace(subject);
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual(['planWorkspace', released]);
    }));

  it('during the pause releases and completes', () =>
    harness.run(async (subject) => {
      subject.steps.candidates = [candidate('H100')];
      subject.steps.once('acquireMachines', unavailable('H100'));
      await subject.look();
      await subject.atRest();
      await deleteWorkspace(subject);
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual([...walk('H100').slice(0, 2), 'reportPause', released]);
    }));

  it('before the first step releases and completes', () =>
    harness.run(async (subject) => {
      await deleteWorkspace(subject);
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual(['planWorkspace', released]);
    }));

  it('told as a change of generation is found by the plan', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      await deleteWorkspace(subject, 'generation');
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual([...walk(), 'planWorkspace', released]);
    }));

  it('and a cancel during the release do not stop the release', () =>
    harness.run(async (subject) => {
      const release = subject.steps.hold('releaseWorkspace');
      await subject.becomeReady();
      await deleteWorkspace(subject);
      await release.entered;
      await subject.handle.cancel();
      await subject.status();
      release.complete();
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual([...walk(), released]);
    }));

  it('a covered look during the release changes nothing', () =>
    harness.run(async (subject) => {
      const release = subject.steps.hold('releaseWorkspace');
      await subject.becomeReady();
      await deleteWorkspace(subject);
      await release.entered;
      await subject.look();
      await subject.look('resync');
      await subject.look('deleted');
      release.complete();
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual([...walk(), released]);
    }));
});

describe('a Workspace created again under the same name', () => {
  it('while the old one is being released gets its own life in the same run, with a clean record', () =>
    harness.run(async (subject) => {
      const { steps: fakes } = subject;
      fakes.candidates = [candidate('H100'), candidate('A100')];
      fakes.once('acquireMachines', unavailable('H100'));
      const release = fakes.hold('releaseWorkspace');
      await subject.becomeReady();
      const { runId } = await subject.handle.describe();
      await deleteWorkspace(subject);
      await release.entered;

      fakes.candidates = [candidate('A100')];
      fakes.workspace = { uid: 'uid-2', generation: 1 };
      await subject.look();
      const machines = fakes.hold('acquireMachines');
      const before = fakes.calls.length;
      release.complete({ kind: 'released' });
      const { input } = await machines.entered;
      expect(input.plan.uid).toBe('uid-2');
      expect(input.facts).toEqual({ attempts: [], workflow: { id: subject.handle.workflowId, runID: runId } });
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Pending');
      machines.complete();
      await subject.atRest();
      expect(fakes.calls.slice(before)).toEqual(walk());
      expect((await subject.status())?.state).toBe('Ready');
    }));

  it('at any moment around the end of the old run gets a life', () =>
    harness.run(async (subject) => {
      // The look races the run's last task: it lands in the old run before its end, or starts a new one. Several tries meet both.
      for (let life = 1; life <= 12; life += 1) {
        const uid = `uid-${life}`;
        subject.steps.workspace = { uid, generation: 1 };
        await subject.look();
        await until(`${uid} is Ready`, async () => (await subject.status())?.state === 'Ready');
        await subject.atRest();
        const release = subject.steps.hold('releaseWorkspace');
        await deleteWorkspace(subject);
        await release.entered;
        subject.steps.workspace = { uid: `uid-${life + 1}`, generation: 1 };
        release.complete({ kind: 'released' });
        for (let tick = 0; tick < life; tick += 1) await subject.status();
        await subject.look();
        await until('the next life is Ready', async () => (await subject.status())?.state === 'Ready');
        await subject.atRest();
      }
      expect(subject.steps.calls.filter((call) => call.startsWith('releaseWorkspace'))).toEqual(
        Array(12).fill(released),
      );
    }));
});

describe('a deletion that is told late', () => {
  it('of a former life leaves the present one alone', () =>
    harness.run(async (subject) => {
      const { steps: fakes } = subject;
      const release = fakes.hold('releaseWorkspace');
      await subject.becomeReady();
      await deleteWorkspace(subject);
      await release.entered;
      fakes.workspace = { uid: 'uid-2', generation: 1 };
      await subject.look();
      release.complete({ kind: 'released' });
      await until('the second life is Ready', () => fakes.calls.length === 9);
      await subject.atRest();

      await subject.look('deleted', { uid: 'uid-1', generation: 2 });
      await subject.look('objects');
      await subject.atRest();
      expect(fakes.calls).toEqual([...walk(), released, ...walk(), ...walk()]);
    }));

  it('to a fresh run does not release the life that is there', () =>
    harness.run(async (subject) => {
      await subject.look('deleted', { uid: 'uid-0', generation: 2 });
      await subject.atRest();
      expect(subject.steps.calls).not.toContain(released);
      expect((await subject.status())?.state).toBe('Ready');
    }));

  it('of a second life that was not heard of before is followed', () =>
    harness.run(async (subject) => {
      const { steps: fakes } = subject;
      const release = fakes.hold('releaseWorkspace');
      await subject.becomeReady();
      await deleteWorkspace(subject);
      await release.entered;
      fakes.workspace = { uid: 'uid-2', generation: 2, deleting: true };
      await subject.look('deleted');
      release.complete({ kind: 'released' });
      expect(await ended(subject)).toBe('COMPLETED');
      expect(fakes.calls).toEqual([...walk(), released, 'planWorkspace', released]);
    }));
});

describe('a Workspace that is gone', () => {
  it('without having been released by us: what it had is released, and the run completes', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      subject.steps.workspace = undefined;
      await subject.look('gone', { uid: 'uid-1', generation: 1 });
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual([...walk(), 'planWorkspace', 'releaseWorkspace gone']);
    }));

  it('before it was planned: the run completes', () =>
    harness.run(async (subject) => {
      subject.steps.workspace = undefined;
      await subject.look('generation', { uid: 'uid-1', generation: 1 });
      expect(await ended(subject)).toBe('COMPLETED');
      expect(subject.steps.calls).toEqual(['planWorkspace', 'releaseWorkspace gone']);
    }));

  it('and created again meanwhile: what the old one had is released before the new one is served', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      subject.steps.workspace = { uid: 'uid-2', generation: 1 };
      await subject.look('gone', { uid: 'uid-1', generation: 1 });
      await until('the new one is Ready', () => subject.steps.calls.length >= 9);
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk(), 'planWorkspace', 'releaseWorkspace gone', ...walk()]);
    }));
});
