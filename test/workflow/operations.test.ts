import { useTemporal } from '../environment';
import { candidate, finalFailure, unavailable, walk } from './fake-steps';
import { ended, openHarness, scheduled, searchAttribute, until, type Harness, type Subject } from './harness';

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness(useTemporal());
});
afterAll(() => harness.close());

describe('query status', () => {
  it('answers before the first step has told anything, and after the run has ended', () =>
    harness.run(async (subject) => {
      const plan = subject.steps.hold('planWorkspace');
      await subject.look();
      await plan.entered;
      expect(await subject.status()).toBeUndefined();
      plan.complete();
      await subject.atRest();
      await subject.handle.cancel();
      await ended(subject);
      expect((await subject.status())?.state).toBe('Cancelled');
    }));
});

describe('temporal workflow terminate', () => {
  it('leaves all as it is; the next look starts a run that walks through the steps and adopts what is there', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      const { runId } = await subject.handle.describe();
      await subject.handle.terminate('by a test');
      await subject.look('resync');
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk(), ...walk()]);
      expect((await subject.handle.describe()).runId).not.toBe(runId);
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Ready');
    }));

  it('while a step runs stops it; the next look starts over', () =>
    harness.run(async (subject) => {
      const machines = subject.steps.hold('acquireMachines');
      await subject.look();
      await machines.entered;
      await subject.handle.terminate('by a test');
      await machines.cancelled;
      await subject.look('resync');
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk().slice(0, 2), ...walk()]);
    }));
});

describe('temporal workflow reset', () => {
  /** `temporal workflow reset` to the first workflow task. */
  async function reset(subject: Subject): Promise<void> {
    const { workflowId } = subject.handle;
    const first = (await subject.events()).find(({ workflowTaskCompletedEventAttributes: at }) => Boolean(at));
    await subject.client.workflowService.resetWorkflowExecution({
      namespace: subject.client.options.namespace,
      workflowExecution: { workflowId, runId: (await subject.handle.describe()).runId },
      reason: 'by a test',
      workflowTaskFinishEventId: first?.eventId ?? null,
      requestId: 'reset',
    });
  }

  it('of one at rest walks through the steps again', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      await reset(subject);
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk(), ...walk()]);
      expect((await subject.status())?.state).toBe('Ready');
    }));

  it('of one that failed tries again, and looks that came meanwhile are not lost', () =>
    harness.run(async (subject) => {
      subject.steps.once('planWorkspace', () => {
        throw finalFailure('InvalidInput', { uid: 'uid-1', generation: 1 });
      });
      await subject.look();
      await subject.atRest();
      await reset(subject);
      await subject.atRest();
      expect(subject.steps.calls).toEqual(['planWorkspace', ...walk()]);
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Ready');
    }));
});

describe('a long life', () => {
  /** Looks that cost events and nothing else, until the history is longer than a run may get. */
  async function grow(subject: Subject): Promise<void> {
    const grown = async () => (await subject.handle.describe()).historyLength > 2_000;
    await until(
      'the history is long',
      async () => {
        await Promise.all(Array.from({ length: 200 }, () => subject.look('resync')));
        return grown();
      },
      50_000,
    );
  }

  /** A history of that length takes a while to come about. */
  function lives(what: string, test: (subject: Subject) => Promise<void>): void {
    it(what, () => harness.run(test), 120_000);
  }

  lives('goes on in a fresh run: attempts, status and phase are carried over', async (subject) => {
    const { steps } = subject;
    steps.candidates = [candidate('H100'), candidate('A100')];
    steps.once('acquireMachines', unavailable('H100'));
    await subject.becomeReady();
    const before = await subject.handle.describe();
    await grow(subject);
    await subject.atRest();
    const calls = steps.calls.length;
    expect((await subject.handle.describe()).runId).toBe(before.runId);

    steps.candidates = [candidate('A100')];
    const plan = steps.hold('planWorkspace');
    await subject.look('objects');
    const { input } = await plan.entered;
    const { runId, historyLength } = await subject.handle.describe();
    expect(runId).not.toBe(before.runId);
    expect(historyLength).toBeLessThan(30);
    expect(input.facts.attempts).toEqual([expect.objectContaining({ instanceType: 'H100' })]);
    expect(input.facts.workflow.runID).toBe(runId);
    expect((await subject.status())?.state).toBe('Ready');
    for (const [name, value] of Object.entries({
      KaitoPhase: 'Ready',
      KaitoInstanceType: 'A100',
      KaitoPreset: 'phi-4',
    })) {
      expect([name, await searchAttribute(subject, name)]).toEqual([name, value]);
    }
    plan.complete();
    await subject.atRest();
    expect(steps.calls.slice(calls)).toEqual(walk());
    expect(scheduled(await subject.events())).toHaveLength(4);
  });

  lives('a cancel that comes with the look that would end the run is not lost', async (subject) => {
    await subject.becomeReady();
    await grow(subject);
    const held = subject.steps.hold('acquireMachines', { whenCancelled: 'finish' });
    // The run that follows is held in a step that gives way while the cancel is on its way.
    await subject.look('objects');
    await held.entered;
    await grow(subject);
    await subject.handle.cancel();
    await held.cancelled;
    held.complete({ kind: 'superseded' });
    expect(await ended(subject)).toBe('CANCELLED');
    expect(subject.steps.calls).toEqual([...walk(), ...walk().slice(0, 2), 'releaseWorkspace cancelled']);
  });

  lives('a Workspace replaced by another of its name around the change of runs is noticed', async (subject) => {
    await subject.becomeReady();
    await grow(subject);
    subject.steps.workspace = { uid: 'uid-2', generation: 1 };
    await subject.look();
    await until('the new one is Ready', () => subject.steps.calls.length === 10);
    await subject.atRest();
    expect(subject.steps.calls).toEqual([...walk(), 'planWorkspace', 'releaseWorkspace gone', ...walk()]);
  });
});
