import type { TuningPlan } from '../../api/workflow';
import { useTemporal } from '../environment';
import { finalFailure, passingFailure } from './fake-steps';
import { backsOff, ended, openHarness, searchAttribute, until, type Harness, type Subject } from './harness';

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness(useTemporal());
});
afterAll(() => harness.close());

const PLAN: TuningPlan = {
  method: 'lora',
  hash: 'abc',
  outputDirectory: '/mnt/results',
  isTrained: false,
  push: { image: 'registry.example.com/adapter:1', secretName: 'push', patienceMs: 600_000 },
};

const TRAINING = ['checkDataset', 'acquireMachines A100', 'prepareData A100', 'trainAdapter A100'];
const WHOLE = ['planWorkspace', ...TRAINING, 'pushAdapter', 'releaseTrainingMachines succeeded'];

/** Runs `test` with a tuning Workspace. */
function tuning(test: (subject: Subject) => Promise<void>, plan: Partial<TuningPlan> = {}): () => Promise<void> {
  return () =>
    harness.run((subject) => {
      subject.steps.tuning = { ...PLAN, ...plan };
      return test(subject);
    });
}

describe('a tuning', () => {
  it(
    'looks at the data, buys machines, trains, pushes, and releases the machines',
    tuning(async (subject) => {
      await subject.look();
      await subject.atRest();

      expect(subject.steps.calls).toEqual(WHOLE);
      expect(await subject.status()).toMatchObject({ state: 'Succeeded' });
      expect(await searchAttribute(subject, 'KaitoPhase')).toBe('Succeeded');
    }),
  );

  it(
    'whose results stay on a volume pushes nothing',
    harnessWithoutPush(async (subject) => {
      await subject.look();
      await subject.atRest();

      expect(subject.steps.calls).toEqual(WHOLE.filter((call) => call !== 'pushAdapter'));
    }),
  );

  it(
    'that is trained only pushes, and needs no machines for it',
    tuning(
      async (subject) => {
        await subject.look();
        await subject.atRest();

        expect(subject.steps.calls).toEqual(['planWorkspace', 'pushAdapter', 'releaseTrainingMachines succeeded']);
      },
      { isTrained: true },
    ),
  );

  it(
    'buys nothing for data that can not be had, and goes on when it can',
    tuning(async (subject) => {
      subject.steps.once('checkDataset', () => {
        throw passingFailure('DatasetUnavailable', '1ms');
      });
      await subject.look();
      await subject.atRest();

      expect(subject.steps.calls).toEqual([
        'planWorkspace',
        'checkDataset',
        'checkDataset attempt 2',
        ...WHOLE.slice(2),
      ]);
    }),
  );

  it.each(['prepareData', 'trainAdapter'] as const)(
    'that fails for good in %s releases its machines, and keeps saying why',
    (name) =>
      tuning(async (subject) => {
        subject.steps.once(name, () => {
          throw finalFailure('OutOfMemory', { uid: 'uid-1', generation: 1 });
        });
        await subject.look();
        await subject.atRest();

        expect(subject.steps.calls).toEqual([
          ...WHOLE.slice(0, WHOLE.indexOf(`${name} A100`) + 1),
          'releaseTrainingMachines failed',
        ]);
        expect(await subject.status()).toMatchObject({ state: 'Failed' });
        expect(await searchAttribute(subject, 'KaitoCause')).toBe('OutOfMemory');
      })(),
  );

  it(
    'gets other machines when those of its training are lost',
    tuning(async (subject) => {
      subject.steps.once('trainAdapter', () => ({ kind: 'lost', what: 'n1 is being deleted' }));
      await subject.look();
      await subject.atRest();

      expect(subject.steps.calls).toEqual(['planWorkspace', ...TRAINING, ...WHOLE]);
    }),
  );
});

describe('a push that the registry refuses', () => {
  it(
    'is tried again by itself, without training again',
    tuning(async (subject) => {
      subject.steps.once('pushAdapter', () => {
        throw passingFailure('RegistryUnavailable', '1ms');
      });
      await subject.look();
      await subject.atRest();

      expect(subject.steps.calls).toEqual([
        'planWorkspace',
        ...TRAINING,
        'pushAdapter',
        'pushAdapter attempt 2',
        'releaseTrainingMachines succeeded',
      ]);
    }),
  );

  it(
    'is tried at once when a retry is asked for',
    tuning(async (subject) => {
      subject.steps.once('pushAdapter', () => {
        throw passingFailure('RegistryDenied', '1h');
      });
      await subject.look();
      await backsOff(subject, 'pushAdapter');
      subject.steps.tuning = { ...PLAN, isTrained: true };
      const before = subject.steps.calls.length;
      await subject.retry();
      await until('it is pushed', () => subject.steps.calls.length >= before + 3);
      await subject.atRest();

      expect(subject.steps.callsAfter(before)).toEqual([
        'planWorkspace',
        'pushAdapter',
        'releaseTrainingMachines succeeded',
      ]);
    }),
  );

  it('goes on without the machines when it takes long', () =>
    harness.run(async (subject) => {
      subject.steps.tuning = { ...PLAN, push: { image: 'r/a:1', secretName: 's', patienceMs: 200 } };
      const first = subject.steps.hold('pushAdapter');
      await subject.look();
      await first.cancelled;
      await until('it is done', () => subject.steps.calls.includes('releaseTrainingMachines succeeded'));
      await subject.atRest();

      expect(subject.steps.calls).toEqual([
        'planWorkspace',
        ...TRAINING,
        'pushAdapter',
        'releaseTrainingMachines pushing',
        'pushAdapter without machines',
        'releaseTrainingMachines succeeded',
      ]);
    }));
});

it('a push that fails just when it is late goes on without the machines as well', () =>
  harness.run(async (subject) => {
    subject.steps.tuning = { ...PLAN, push: { image: 'r/a:1', secretName: 's', patienceMs: 200 } };
    const first = subject.steps.hold('pushAdapter', { whenCancelled: 'finish' });
    await subject.look();
    await first.cancelled;
    first.fail(passingFailure('RegistryDenied', '1ms'));
    await until('it is done', () => subject.steps.calls.includes('releaseTrainingMachines succeeded'));
    await subject.atRest();

    expect(subject.steps.calls.slice(-4)).toEqual([
      'pushAdapter',
      'releaseTrainingMachines pushing',
      'pushAdapter without machines',
      'releaseTrainingMachines succeeded',
    ]);
  }));

describe('a tuning is cancelled', () => {
  it.each(['checkDataset', 'prepareData', 'trainAdapter', 'pushAdapter', 'releaseTrainingMachines'] as const)(
    'in %s: the step stops, then everything bought is released',
    (name) =>
      tuning(async (subject) => {
        const held = subject.steps.hold(name);
        await subject.look();
        await held.entered;
        await subject.handle.cancel();
        expect(await ended(subject)).toBe('CANCELLED');

        expect(subject.steps.calls.at(-1)).toBe('releaseWorkspace cancelled');
        expect(await subject.status()).toMatchObject({ state: 'Cancelled' });
      })(),
  );
});

function harnessWithoutPush(test: (subject: Subject) => Promise<void>): () => Promise<void> {
  const { push: _, ...plan } = PLAN;
  return () =>
    harness.run((subject) => {
      subject.steps.tuning = plan;
      return test(subject);
    });
}
