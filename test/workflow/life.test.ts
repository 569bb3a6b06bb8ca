import { useTemporal } from '../environment';
import type { LookReason } from '../../api/workflow';
import { walk } from './fake-steps';
import { detailsOf, openHarness, scheduled, searchAttribute, until, type Harness } from './harness';

/** Temporal's cost of one Workspace from apply to Ready. */
const MOST_EVENTS = 60;

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness(useTemporal());
});
afterAll(() => harness.close());

describe('from apply to Ready', () => {
  it('walks the steps once each, within the budget of events, and then rests', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();

      expect(subject.steps.calls).toEqual(walk());
      const events = await subject.events();
      expect(events.length).toBeLessThanOrEqual(MOST_EVENTS);
      expect(scheduled(events)).toEqual(['planWorkspace', 'acquireMachines', 'applyWorkload', 'waitUntilServing']);
      expect(await subject.status()).toEqual({
        state: 'Ready',
        message: 'in step Ready',
        step: { name: 'Ready' },
        observedGeneration: 1,
        instanceType: 'A100',
      });
    }));

  it('passes plan, candidate and the workflow’s own facts to the steps', () =>
    harness.run(async (subject) => {
      const serving = subject.steps.hold('waitUntilServing');
      await subject.look();
      const { input } = await serving.entered;

      const { workflowId } = subject.handle;
      const { runId } = await subject.handle.describe();
      expect(input).toEqual({
        ref: subject.ref,
        facts: { attempts: [], workflow: { id: workflowId, runID: runId } },
        plan: {
          uid: 'uid-1',
          generation: 1,
          candidates: subject.steps.candidates,
          config: {},
          diskGiB: 100,
          ruledOut: [],
        },
        candidate: subject.steps.candidates[0],
        workload: { name: subject.ref.name, generation: 1, revision: '1', hash: 'abc' },
      });
    }));

  it('beats as often as the last look says', () =>
    harness.run(async (subject) => {
      const machines = subject.steps.hold('acquireMachines');
      await subject.look('generation', { uid: 'uid-1', generation: 1, heartbeatTimeoutMs: 40_000 });
      await machines.entered;
      await subject.look('generation', { uid: 'uid-1', generation: 1, heartbeatTimeoutMs: 60_000 });
      machines.complete();
      await subject.atRest();
      const seconds = (await subject.events()).flatMap(({ activityTaskScheduledEventAttributes: at }) =>
        at?.heartbeatTimeout === null || at?.heartbeatTimeout === undefined
          ? []
          : [Number(at.heartbeatTimeout.seconds)],
      );
      expect(seconds).toEqual([40, 40, 60, 60]);
    }));

  it('tells people: summary, search attributes, current details', () =>
    harness.run(async (subject) => {
      const serving = subject.steps.hold('waitUntilServing');
      await subject.look();
      await serving.entered;
      expect(await (await subject.handle.describe()).staticSummary()).toBe('phi-4 on A100');
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Pending');
      expect(await detailsOf(subject)).toBe('**Pending** in step Machines');

      serving.complete();
      await subject.atRest();
      expect(await detailsOf(subject)).toBe('**Ready** in step Ready');
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Ready');
      expect(await searchAttribute(subject, 'KaitoInstanceType')).toBe('A100');
      expect(await searchAttribute(subject, 'KaitoNamespace')).toBe(subject.ref.namespace);
      expect(await searchAttribute(subject, 'KaitoPreset')).toBe('phi-4');
    }));

  it('plans once when the first signal is a retry', () =>
    harness.run(async (subject) => {
      await subject.look('retry');
      await subject.atRest();
      expect(subject.steps.calls).toEqual(walk());
    }));
});

describe('looks while a step is pending', () => {
  it.each(['planWorkspace', 'acquireMachines', 'applyWorkload', 'waitUntilServing'] as const)(
    'a newer generation stops %s, waits until it has stopped, and plans anew',
    (name) =>
      harness.run(async (subject) => {
        const { steps } = subject;
        const held = steps.hold(name, { whenCancelled: 'finish' });
        await subject.look();
        await held.entered;
        const before = steps.calls.length;

        steps.workspace = { uid: 'uid-1', generation: 2 };
        await subject.look();
        await held.cancelled;
        expect(steps.callsAfter(before)).toEqual([]);

        held.complete(name === 'planWorkspace' ? undefined : ({ kind: 'superseded' } as never));
        await until(
          'the newer generation is Ready',
          async () => (await subject.status())?.observedGeneration === 2 && (await subject.status())?.state === 'Ready',
        );
        expect(steps.callsAfter(before)).toEqual(walk());
      }),
  );

  it.each<LookReason>(['generation', 'resync'])('a %s look that the step covers is ignored', (reason) =>
    harness.run(async (subject) => {
      const machines = subject.steps.hold('acquireMachines');
      await subject.look();
      await machines.entered;

      await subject.look(reason);
      await subject.status(); // answered after the signal was taken in
      machines.complete();
      await subject.atRest();
      expect(subject.steps.calls).toEqual(walk());
    }),
  );

  it('an older generation than the plan saw is ignored', () =>
    harness.run(async (subject) => {
      const { steps } = subject;
      steps.workspace = { uid: 'uid-1', generation: 3 };
      const machines = steps.hold('acquireMachines');
      await subject.look('generation', { uid: 'uid-1', generation: 2 });
      await machines.entered;
      await subject.look('generation', { uid: 'uid-1', generation: 3 });
      await subject.status();
      machines.complete();
      await subject.atRest();
      expect(steps.calls).toEqual(walk());
    }));

  it.each<LookReason>(['objects', 'references', 'retry'])('%s stops the step and plans anew', (reason) =>
    harness.run(async (subject) => {
      const serving = subject.steps.hold('waitUntilServing');
      await subject.look();
      await serving.entered;
      await subject.look(reason);
      await serving.cancelled;
      await until('the second walk is over', () => subject.steps.calls.length === 8);
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk(), ...walk()]);
    }),
  );

  it('a plan that read an older Workspace than the look had seen is made again', () =>
    harness.run(async (subject) => {
      const { steps } = subject;
      const plan = steps.hold('planWorkspace');
      await subject.look('generation', { uid: 'uid-1', generation: 2 });
      await plan.entered;
      plan.complete(steps.planned({ uid: 'uid-1', generation: 1 }));
      steps.workspace = { uid: 'uid-1', generation: 2 };
      await until('generation 2 is Ready', async () => (await subject.status())?.state === 'Ready');
      await subject.atRest();
      expect(steps.calls.filter((call) => call === 'planWorkspace')).toHaveLength(2);
      expect((await subject.status())?.observedGeneration).toBe(2);
    }));

  it('many looks at once cause no more than one more walk', () =>
    harness.run(async (subject) => {
      const { steps } = subject;
      const machines = steps.hold('acquireMachines', { whenCancelled: 'finish' });
      await subject.look();
      await machines.entered;
      await Promise.all(Array.from({ length: 20 }, () => subject.look('objects')));
      await machines.cancelled;
      machines.complete({ kind: 'superseded' });
      await until('the walk after the looks is over', () => steps.calls.length === 6);
      await subject.atRest();
      expect(steps.calls).toEqual([...walk().slice(0, 2), ...walk()]);
    }));
});

describe('looks at rest', () => {
  it.each<LookReason>(['objects', 'references', 'retry'])('%s walks through the steps again', (reason) =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      await subject.look(reason);
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk(), ...walk()]);
    }),
  );

  it('a newer generation is rolled out', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      subject.steps.workspace = { uid: 'uid-1', generation: 2 };
      await subject.look();
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk(), ...walk()]);
      expect((await subject.status())?.observedGeneration).toBe(2);
    }));

  it('the signal retry walks through the steps again', () =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      await subject.retry();
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...walk(), ...walk()]);
    }));

  it.each<LookReason>(['generation', 'resync'])('a covered %s look costs no activity', (reason) =>
    harness.run(async (subject) => {
      await subject.becomeReady();
      await subject.look(reason);
      await subject.atRest();
      expect(subject.steps.calls).toEqual(walk());
    }),
  );
});

describe('steps that give way', () => {
  it.each(['acquireMachines', 'applyWorkload', 'waitUntilServing'] as const)('%s superseded: plans anew', (name) =>
    harness.run(async (subject) => {
      const { steps } = subject;
      steps.once(name, () => ({ kind: 'superseded' }) as never);
      const calls = walk();
      const until = calls.findIndex((call) => call.startsWith(name)) + 1;
      await subject.becomeReady();
      expect(steps.calls).toEqual([...calls.slice(0, until), ...calls]);
    }),
  );

  it('a machine lost while the model loads: plans anew', () =>
    harness.run(async (subject) => {
      subject.steps.once('waitUntilServing', () => ({ kind: 'lost', what: 'machine' }));
      await subject.becomeReady();
      expect(subject.steps.calls).toEqual([...walk(), ...walk()]);
    }));
});
