import { useTemporal } from '../environment';
import { candidate, unavailable, walk } from './fake-steps';
import { openHarness, timers, until, type Harness, type Subject } from './harness';

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness(useTemporal());
});
afterAll(() => harness.close());

/** Every size is unavailable once; resolves when the workflow pauses. */
async function pause(subject: Subject): Promise<void> {
  const { steps } = subject;
  steps.candidates = [candidate('H100'), candidate('A100')];
  steps.once('acquireMachines', unavailable('H100'));
  steps.once('acquireMachines', unavailable('A100'));
  await subject.look();
  await subject.atRest();
}

const pausing = ['planWorkspace', 'acquireMachines H100', 'acquireMachines A100', 'reportPause'];

describe('fallback', () => {
  it('goes on with the next size, and tells the following steps what was tried', () =>
    harness.run(async (subject) => {
      const { steps } = subject;
      steps.candidates = [candidate('H100'), candidate('A100')];
      steps.once('acquireMachines', unavailable('H100'));
      const serving = steps.hold('waitUntilServing');
      await subject.look();
      const { input } = await serving.entered;
      serving.complete();
      await subject.atRest();

      expect(steps.calls).toEqual([
        'planWorkspace',
        'acquireMachines H100',
        'acquireMachines A100',
        'applyWorkload A100',
        'waitUntilServing A100',
      ]);
      expect(input.candidate.instanceType).toBe('A100');
      expect(input.facts.attempts).toEqual([expect.objectContaining({ instanceType: 'H100', cause: 'Capacity' })]);
    }));
});

describe('when no size can be had', () => {
  it('reports when the list is tried again, and sleeps that long', () =>
    harness.run(async (subject) => {
      const report = subject.steps.hold('reportPause');
      const pausedBy = pause(subject);
      const { input } = await report.entered;
      report.complete();
      await pausedBy;

      expect(subject.steps.calls).toEqual(pausing);
      expect(input.facts.attempts.map(({ instanceType }) => instanceType)).toEqual(['H100', 'A100']);
      expect((await subject.status())?.step).toEqual({
        name: 'Machines',
        cause: 'Capacity',
        nextTryTime: input.nextTryTime,
      });
      const events = await subject.events();
      const [timer] = timers(events);
      expect(timer?.seconds).toBe(60);
      expect(Date.parse(input.nextTryTime)).toBeLessThanOrEqual((timer?.startedMs ?? 0) + 60_000);
    }));

  it('retry ends the pause at once', () =>
    harness.run(async (subject) => {
      await pause(subject);
      await subject.retry();
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...pausing, ...walk('H100')]);
    }));

  it.each(['objects', 'references', 'retry'] as const)('a look for %s ends the pause', (reason) =>
    harness.run(async (subject) => {
      await pause(subject);
      await subject.look(reason);
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...pausing, ...walk('H100')]);
    }),
  );

  it('a covered look does not end the pause', () =>
    harness.run(async (subject) => {
      await pause(subject);
      await subject.look('resync');
      await subject.look('generation');
      await subject.atRest();
      expect(subject.steps.calls).toEqual(pausing);
    }));

  it('a new spec ends the pause, and its sizes are tried', () =>
    harness.run(async (subject) => {
      await pause(subject);
      subject.steps.workspace = { uid: 'uid-1', generation: 2 };
      subject.steps.candidates = [candidate('L40S')];
      await subject.look();
      await subject.atRest();
      expect(subject.steps.calls).toEqual([...pausing, ...walk('L40S')]);
      expect((await subject.status())?.instanceType).toBe('L40S');
    }));

  it('a signal during the report is not lost', () =>
    harness.run(async (subject) => {
      const report = subject.steps.hold('reportPause', { whenCancelled: 'finish' });
      const paused = pause(subject);
      await report.entered;
      await subject.retry();
      await report.cancelled;
      report.complete();
      await paused;
      await until('the second walk is over', () => subject.steps.calls.length === 8);
      expect(subject.steps.calls).toEqual([...pausing, ...walk('H100')]);
    }));

  it('keeps the last ten attempts', () =>
    harness.run(async (subject) => {
      const { steps } = subject;
      const sizes = Array.from({ length: 12 }, (_, i) => `size-${i}`);
      steps.candidates = sizes.map(candidate);
      for (const size of sizes) steps.once('acquireMachines', unavailable(size));
      const report = steps.hold('reportPause');
      await subject.look();
      const { input } = await report.entered;
      expect(input.facts.attempts.map(({ instanceType }) => instanceType)).toEqual(sizes.slice(2));
    }));
});
