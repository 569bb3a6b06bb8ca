/** The client side against the real state, over a connection that misbehaves on request. */
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowUpdateFailedError } from '@temporalio/client';

import { openCoordinator } from '../../../activities/machines/azure/coordination/open-coordinator';
import type { Admitted, Coordinator } from '../../../activities/machines/azure/coordination/coordinator';
import type { Transport } from '../../../activities/machines/azure/coordination/transport';
import type { CoordinatorReport, CoordinatorSettings, Exchange, PoolCandidate } from '../../../api/coordination';
import { SILENT_LOGGER } from '../../../kubernetes/logger';
import { answerFor, reportOf } from '../../../workflows/coordinator/answer';
import { checkExchange } from '../../../workflows/coordinator/check';
import { NOTHING_YET, told } from '../../../workflows/coordinator/state';

const settings: CoordinatorSettings = {
  burst: 100,
  perMinute: 60,
  creatingAtOnce: 2,
  leaseMs: 60_000,
  askAgainMs: 20,
};
const candidate: PoolCandidate = { family: 'A', instanceType: 'A100', priority: 'on-demand', vcpus: 24 };
const failure = { cause: 'Capacity', message: 'no capacity' } as const;
const never = new AbortController().signal;

/** A coordinator without Temporal. */
interface Server {
  readonly transport: Transport;
  /** What arrived. */
  readonly heard: readonly Exchange[];
  /** Calls, those that failed too. */
  calls: number;
  /** Loses the nth message, or the answer to it. */
  mishap: ((nth: number) => 'lost' | 'unanswered' | undefined) | undefined;
  refuses: Error | undefined;
  forget(): void;
  report(): CoordinatorReport;
}

function server(): Server {
  let state = NOTHING_YET;
  const heard: Exchange[] = [];
  const self: Server = {
    heard,
    mishap: undefined,
    refuses: undefined,
    calls: 0,
    forget() {
      state = NOTHING_YET;
    },
    report: () => reportOf(state, Date.now()),
    transport: {
      async exchange(said) {
        self.calls += 1;
        const mishap = self.mishap?.(self.calls);
        await delay(1);
        if (self.refuses !== undefined) throw self.refuses;
        if (mishap === 'lost') throw new Error('connection refused');
        checkExchange(said);
        heard.push(said);
        const next = told(state, said, Date.now());
        if (next === undefined) return { kind: 'unknown' };
        state = next;
        if (mishap === 'unanswered') throw new Error('connection reset');
        return answerFor(state, said.session, Date.now());
      },
      report: async () => self.report(),
    },
  };
  return self;
}

let opened: Coordinator[] = [];
function open(transport: Transport, more: Partial<CoordinatorSettings> = {}): Coordinator {
  const coordinator = openCoordinator({
    transport,
    identity: 'test',
    settings: { ...settings, ...more },
    logger: SILENT_LOGGER,
  });
  opened.push(coordinator);
  return coordinator;
}
afterEach(async () => {
  await Promise.all(opened.map((coordinator) => coordinator.close()));
  opened = [];
});

function admit(coordinator: Coordinator, name: string, more: { adopts?: boolean; signal?: AbortSignal } = {}) {
  const { signal = never, ...rest } = more;
  return coordinator.admit({ workspaceUid: name, workspace: `default/${name}`, candidate, ...rest }, { signal });
}

async function admitted(coordinator: Coordinator, name: string, more?: { adopts?: boolean }): Promise<Admitted> {
  const admission = await admit(coordinator, name, more);
  if (admission.kind !== 'admitted') throw new Error(`expected a place, found ${admission.failure.message}`);
  return admission;
}

it('a thousand Workspaces of one process ask in one message, and all have their turn', async () => {
  const { transport, heard } = server();
  const coordinator = open(transport, { burst: 1_000, creatingAtOnce: 10 });
  let atOnce = 0;
  let most = 0;
  const names = Array.from({ length: 1_000 }, (_, index) => `w${index}`);
  const order: string[] = [];
  await Promise.all(
    names.map(async (name) => {
      const place = await admitted(coordinator, name);
      order.push(name);
      atOnce += 1;
      most = Math.max(most, atOnce);
      expect(await place.allowPut({ signal: never })).toEqual({ kind: 'allowed' });
      atOnce -= 1;
      await place.release();
    }),
  );
  expect(heard[0]?.asks).toHaveLength(1_000);
  expect(most).toBe(10);
  expect(order).toEqual(names);
  // Ten at a time, and a few messages for each ten.
  expect(heard.length).toBeLessThan(500);
});

it('says everything once although messages and answers are lost', async () => {
  const subject = server();
  subject.mishap = (nth) => (nth % 3 === 0 ? 'lost' : nth % 3 === 1 ? 'unanswered' : undefined);
  const coordinator = open(subject.transport, { burst: 2, perMinute: 0.001 });
  const place = await admitted(coordinator, 'a');
  await place.allowPut({ signal: never });
  await coordinator.report({ kind: 'failed', candidate: { ...candidate, zone: '1' }, lesson: 'allocation', failure });
  await place.release();
  expect(subject.report()).toMatchObject({ tokens: 1, creating: [], waiting: [], avoided: [{ failure }] });
}, 20_000);

it('a coordinator that forgot everything is told again who holds and who waits', async () => {
  const subject = server();
  const coordinator = open(subject.transport, { creatingAtOnce: 1 });
  const place = await admitted(coordinator, 'a');
  const waiting = admitted(coordinator, 'b');
  await untilTrue(() => subject.report().waiting.length === 1);
  subject.forget();
  await untilTrue(() => subject.report().waiting.length === 1);
  expect(subject.report().creating).toMatchObject([{ workspace: 'default/a' }]);
  await place.release();
  await (await waiting).release();
});

it('who holds a place keeps it although the coordinator forgot, and gave the place to somebody else', async () => {
  const subject = server();
  const rules = { creatingAtOnce: 1, leaseMs: 300 };
  const coordinator = open(subject.transport, rules);
  await admitted(coordinator, 'a');
  subject.forget();
  await admitted(open(subject.transport, rules), 'b');
  await untilTrue(() => subject.report().creating.length === 2);
});

it('what is told to a coordinator that forgot the session is told again', async () => {
  const subject = server();
  const coordinator = open(subject.transport);
  await admitted(coordinator, 'a');
  subject.forget();
  await coordinator.report({ kind: 'failed', candidate, lesson: 'allocation', failure });
  subject.forget();
  await coordinator.throttled(60_000);
  expect(subject.report().throttledUntil).toBeDefined();
  subject.forget();
  await coordinator.report({ kind: 'failed', candidate, lesson: 'allocation', failure });
  expect(subject.report().avoided).toMatchObject([{ failure }]);
});

it('what failed for one process keeps another from trying, and says since when', async () => {
  const { transport } = server();
  await open(transport).report({ kind: 'failed', candidate, lesson: 'allocation', failure });
  const admission = await admit(open(transport), 'b');
  if (admission.kind !== 'avoid') throw new Error('expected that it is avoided');
  const { until } = admission;
  expect(admission.failure).toEqual({
    cause: 'Capacity',
    message: `no capacity (an earlier attempt found this; it is not tried again before ${until})`,
  });
  expect(Date.parse(until) - Date.now()).toBeGreaterThan(59 * 60_000);
});

it('who waits is told when its candidate fails for somebody else', async () => {
  const subject = server();
  const coordinator = open(subject.transport, { creatingAtOnce: 1 });
  const place = await admitted(coordinator, 'a');
  const waiting = admit(coordinator, 'b');
  await coordinator.report({ kind: 'failed', candidate, lesson: 'allocation', failure });
  expect(await waiting).toMatchObject({ kind: 'avoid' });
  expect(await place.allowPut({ signal: never })).toMatchObject({ kind: 'avoid' });
  await untilTrue(() => subject.report().creating.length === 0);
});

it('an abort gives back the place in line, and what was allowed meanwhile', async () => {
  const subject = server();
  const coordinator = open(subject.transport, { creatingAtOnce: 1, burst: 1, perMinute: 0.001 });
  const place = await admitted(coordinator, 'a');
  const stop = new AbortController();
  const waiting = admit(coordinator, 'b', { signal: stop.signal });
  const wanting = place.allowPut({ signal: stop.signal });
  stop.abort(new Error('the step was cancelled'));
  await expect(waiting).rejects.toThrow('the step was cancelled');
  await expect(wanting).rejects.toThrow('the step was cancelled');
  await place.release();
  await place.release();
  expect(subject.report()).toMatchObject({ tokens: 1, creating: [], waiting: [] });
  await expect(place.allowPut({ signal: never })).rejects.toThrow('was given back');
});

it('a later request for the same Workspace takes the place over; the former release gives nothing back', async () => {
  const subject = server();
  const coordinator = open(subject.transport, { creatingAtOnce: 1 });
  const former = await admitted(coordinator, 'a');
  const line = admit(coordinator, 'b');
  const inLine = admit(coordinator, 'b');
  await expect(line).rejects.toThrow('took over the place of default/b');
  await admitted(coordinator, 'a');
  await former.release();
  expect(subject.report().creating).toMatchObject([{ workspaceUid: 'a' }]);
  expect(subject.report().waiting).toMatchObject([{ workspace: 'default/b' }]);
  await coordinator.close();
  await expect(inLine).rejects.toThrow('closed');
});

it('a process whose Workspace another one took over is told when it wants to send', async () => {
  const { transport } = server();
  const former = await admitted(open(transport), 'a');
  await admitted(open(transport), 'a');
  await expect(former.allowPut({ signal: never })).rejects.toThrow('took over the place of default/a');
});

it('while one process was told to leave the cloud alone, the other does not send', async () => {
  const subject = server();
  const [one, other] = [open(subject.transport), open(subject.transport)];
  const place = await admitted(other, 'a');
  await one.throttled(400);
  const throttledUntil = Date.parse(subject.report().throttledUntil ?? '');
  await place.allowPut({ signal: never });
  expect(Date.now()).toBeGreaterThanOrEqual(throttledUntil);
});

it('a pool that is there already counts as in flight beside the others', async () => {
  const { transport } = server();
  const coordinator = open(transport, { creatingAtOnce: 1 });
  await admitted(coordinator, 'a');
  await admitted(coordinator, 'b', { adopts: true });
  const [inFlight, same] = await Promise.all([coordinator.inFlight(), coordinator.inFlight()]);
  expect(same).toBe(inFlight);
  expect(inFlight.map(({ workspaceUid, family, vcpus }) => [workspaceUid, family, vcpus])).toEqual([
    ['a', 'A', 24],
    ['b', 'A', 24],
  ]);
});

it('speaks while it holds a place, and is silent when it holds none', async () => {
  const subject = server();
  const coordinator = open(subject.transport, { leaseMs: 600 });
  const place = await admitted(coordinator, 'a');
  await untilTrue(() => subject.calls > 5);
  expect(subject.report().creating).toHaveLength(1);
  await place.release();
  const { calls } = subject;
  await delay(800); // four times as long as it was silent before
  expect(subject.calls).toBe(calls);
});

it('a refusal reaches those who wait, and the next request is made as if nothing had been', async () => {
  const subject = server();
  const coordinator = open(subject.transport);
  subject.refuses = new WorkflowUpdateFailedError('refused', new Error('exchange: burst is 0'));
  await expect(admit(coordinator, 'a')).rejects.toThrow('refused');
  await expect(coordinator.throttled(5)).rejects.toThrow('refused');
  subject.refuses = undefined;
  await (await admitted(coordinator, 'a')).release();
});

it('nobody waits for long to be heard when nobody listens; what was said arrives later', async () => {
  const subject = server();
  const coordinator = open(subject.transport);
  const place = await admitted(coordinator, 'a');
  subject.mishap = () => 'lost';
  const began = Date.now();
  await place.release();
  expect(Date.now() - began).toBeLessThan(4_000);
  expect(subject.report().creating).toHaveLength(1);
  subject.mishap = undefined;
  await untilTrue(() => subject.report().creating.length === 0);
}, 20_000);

it('ends although nobody listens', async () => {
  const subject = server();
  const coordinator = open(subject.transport);
  subject.mishap = () => 'lost';
  const waiting = expect(admit(coordinator, 'a')).rejects.toThrow('closed');
  await coordinator.close();
  await waiting;
  await expect(coordinator.throttled(1)).rejects.toThrow('closed');
});

async function untilTrue(holds: () => boolean): Promise<void> {
  for (let times = 0; times < 1_000; times += 1) {
    if (holds()) return;
    await delay(5);
  }
  throw new Error('waited in vain');
}
