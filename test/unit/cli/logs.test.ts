import { PassThrough } from 'node:stream';
import { LABEL_WORKSPACE } from '../../../api/labels';
import type { Workspace } from '../../../api/workspace';
import { endOf, followLogs } from '../../../cli/logs/follow';
import { linesOf } from '../../../cli/logs/lines';
import { LABEL_JOB, type Part } from '../../../cli/logs/targets';
import { KubernetesError } from '../../../kubernetes/errors';
import type { ContainerState, Pod } from '../../../kubernetes/objects';
import type { Stored } from '../../fakes/apiserver/store';
import { eventually, startFakeCluster, type FakeCluster } from '../../fakes/apiserver/harness';

const PODS = 'v1/pods';
const WORKSPACES = 'kaito.sh/v1beta1/workspaces';
const RUNNING: ContainerState = { running: {} };
const ENDED: ContainerState = { terminated: { exitCode: 0 } };

/** One request for a log, and the way to answer it. */
interface Asked {
  readonly pod: string;
  readonly query: URLSearchParams;
  readonly body: PassThrough;
}

describe('logs -f', () => {
  let cluster: FakeCluster;
  let asked: Asked[];
  let interrupted: AbortController;
  let out: string;
  let err: string;
  let refusal: Error | undefined;

  beforeEach(async () => {
    cluster = await startFakeCluster();
    asked = [];
    interrupted = new AbortController();
    out = '';
    err = '';
    refusal = undefined;
  });
  afterEach(async () => {
    interrupted.abort(new Error('the test is over'));
    await eventually('no watch is open', () => cluster.server.openWatches === 0);
    await cluster.stop();
  });

  /** A pod whose container `main` is in that state. */
  function create(
    name: string,
    state: ContainerState,
    { job, restartCount = 0 }: { job?: string; restartCount?: number } = {},
  ): Pod {
    const labels = job === undefined ? { [LABEL_WORKSPACE]: 'phi' } : { [LABEL_JOB]: job };
    return cluster.server.store.create(PODS, 'ns', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels } as never,
      spec: { containers: [{ name: 'main' }] },
      status: { containerStatuses: [{ name: 'main', ready: true, restartCount, state }] },
    }) as unknown as Pod;
  }

  function change(name: string, state: ContainerState, restartCount = 0): void {
    const status = { containerStatuses: [{ name: 'main', ready: true, restartCount, state }] };
    cluster.server.store.update(PODS, 'ns', name, (now) => ({ ...now, status }), 'status');
  }

  /** A pod with init containers `weights` and `data`; what is left out has not begun. */
  function createWithInits(name: string, states: Readonly<Record<string, ContainerState>>, job?: string): Pod {
    const labels = job === undefined ? { [LABEL_WORKSPACE]: 'phi' } : { [LABEL_JOB]: job };
    return cluster.server.store.create(PODS, 'ns', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels } as never,
      spec: { initContainers: [{ name: 'weights' }, { name: 'data' }], containers: [{ name: 'main' }] },
      status: statusOf(states),
    }) as unknown as Pod;
  }

  function statusOf(states: Readonly<Record<string, ContainerState>>): object {
    const of = (names: readonly string[]) =>
      names.map((one) => ({ name: one, ready: false, restartCount: 0, state: states[one] ?? { waiting: {} } }));
    return { initContainerStatuses: of(['weights', 'data']), containerStatuses: of(['main']) };
  }

  function workspace(tuning: boolean): Workspace {
    return cluster.server.store.create(WORKSPACES, 'ns', {
      apiVersion: 'kaito.sh/v1beta1',
      kind: 'Workspace',
      metadata: { name: 'phi' } as never,
      ...(tuning ? { tuning: {} } : { inference: {} }),
    }) as unknown as Workspace;
  }

  function step(name: string): void {
    const tell = (now: Stored): Stored => ({
      ...now,
      status: { observedGeneration: now.metadata.generation, step: { name } },
    });
    cluster.server.store.update(WORKSPACES, 'ns', 'phi', tell, 'status');
  }

  function follow(
    of: Workspace,
    present: readonly Pod[],
    more: {
      readonly part?: Part;
      readonly chosen?: readonly Pod[];
      readonly tail?: number;
      readonly container?: string;
    } = {},
  ): Promise<void> {
    const following = followLogs({
      cluster: {
        client: cluster.client,
        stream(path, _description, signal) {
          if (refusal !== undefined) return Promise.reject(refusal);
          const { pathname, searchParams } = new URL(path, 'http://api');
          const body = new PassThrough();
          signal.addEventListener('abort', () => body.destroy(new Error('aborted')), { once: true });
          asked.push({ pod: pathname.split('/').at(-2) ?? '', query: searchParams, body });
          return Promise.resolve(body);
        },
      },
      io: { out: (text) => void (out += text), err: (text) => void (err += text), signal: interrupted.signal },
      workspace: of,
      present,
      chosen: present,
      ...more,
    });
    // Awaited at the end of each test.
    following.catch(() => undefined);
    return following;
  }

  async function request(number: number): Promise<Asked> {
    await eventually(
      `${number} logs were asked for`,
      () => asked.length >= number,
      () => asked.map(({ pod }) => pod),
    );
    return asked[number - 1]!;
  }

  it('follows the pod that replaces another under its name, and lets the old one go', async () => {
    const of = workspace(false);
    const following = follow(of, [create('phi-0', RUNNING)], { tail: 5 });
    const old = await request(1);
    expect(Object.fromEntries(old.query)).toEqual({
      container: 'main',
      follow: 'true',
      timestamps: 'true',
      tailLines: '5',
    });
    old.body.write('2026-11-22T12:00:00.000000001Z one\n');

    cluster.server.store.delete(PODS, 'ns', 'phi-0');
    old.body.end('2026-11-22T12:00:01.000000001Z two\n');
    create('phi-0', RUNNING);
    const next = await request(2);
    expect(Object.fromEntries(next.query)).toEqual({ container: 'main', follow: 'true', timestamps: 'true' });
    next.body.write('2026-11-22T12:00:09.000000001Z three\n');
    await eventually(
      'all was printed',
      () => out === 'one\ntwo\nthree\n',
      () => out,
    );
    expect(err).toBe('note: pod phi-0 is gone\nnote: pod phi-0 has appeared\n');

    interrupted.abort(new Error('SIGINT'));
    await expect(following).rejects.toThrow('SIGINT');
    expect(asked).toHaveLength(2);
  });

  it('names the pods of lines as soon as there are two, and waits for the container of one that only begins', async () => {
    const following = follow(workspace(false), [create('phi-0', RUNNING)]);
    const first = await request(1);
    first.body.write('alone\n');
    await eventually('it is printed', () => out === 'alone\n');

    create('phi-1', { waiting: { reason: 'ContainerCreating' } });
    await eventually('it is noted', () => err.includes('pod phi-1 has appeared'));
    expect(asked).toHaveLength(1);
    change('phi-1', RUNNING);
    (await request(2)).body.write('in company\n');
    first.body.write('so am I\n');
    await eventually(
      'both are named',
      () => out === 'alone\nphi-1: in company\nphi-0: so am I\n',
      () => out,
    );

    interrupted.abort(new Error('SIGINT'));
    await expect(following).rejects.toThrow('SIGINT');
  });

  it('goes on with the next run of a container that ended', async () => {
    const following = follow(workspace(false), [create('phi-0', RUNNING)]);
    (await request(1)).body.end('2026-11-22T12:00:00.500000000Z crash\n');
    change('phi-0', { terminated: { exitCode: 1 } });
    change('phi-0', RUNNING, 1);
    const next = await request(2);
    expect(next.query.get('sinceTime')).toBe('2026-11-22T12:00:00.000Z');
    next.body.write('2026-11-22T12:00:20.000000000Z again\n');
    await eventually(
      'both runs were printed',
      () => out === 'crash\nagain\n',
      () => out,
    );
    await eventually(
      'it is noted',
      () => err === 'note: container main of pod phi-0 has started\n',
      () => err,
    );
    interrupted.abort(new Error('SIGINT'));
    await expect(following).rejects.toThrow('SIGINT');
  });

  it('prints init containers in their order, also those that came and went between two looks', async () => {
    const pod = createWithInits('phi-0', { weights: RUNNING });
    const following = follow(workspace(false), [pod], { tail: 3 });
    const weights = await request(1);
    expect([weights.query.get('container'), weights.query.get('tailLines')]).toEqual(['weights', '3']);
    const states = { weights: ENDED, data: ENDED, main: RUNNING };
    cluster.server.store.update(PODS, 'ns', 'phi-0', (now) => ({ ...now, status: statusOf(states) }), 'status');
    weights.body.end('2026-11-22T12:00:00.000000001Z copied\n');
    const data = await request(2);
    expect([data.query.get('container'), data.query.get('tailLines')]).toEqual(['data', null]);
    data.body.end('2026-11-22T12:00:01.000000001Z checked\n');
    const main = await request(3);
    expect(main.query.get('container')).toBe('main');
    main.body.write('2026-11-22T12:00:02.000000001Z serving\n');
    await eventually(
      'all was printed',
      () => out === 'copied\nchecked\nserving\n',
      () => out,
    );
    expect(err).toBe(
      'note: container data of pod phi-0 has already ended\nnote: container main of pod phi-0 has started\n',
    );

    interrupted.abort(new Error('SIGINT'));
    await expect(following).rejects.toThrow('SIGINT');
    expect(asked).toHaveLength(3);
  });

  it('leaves out what init containers had done when it was asked, but not that of pods that come later', async () => {
    const states = { weights: ENDED, data: ENDED, main: RUNNING };
    const following = follow(workspace(false), [createWithInits('phi-0', states)]);
    const first = await request(1);
    expect(first.query.get('container')).toBe('main');
    createWithInits('phi-1', states);
    for (const [index, container] of ['weights', 'data', 'main'].entries()) {
      const { pod, query, body } = await request(2 + index);
      expect([pod, query.get('container')]).toEqual(['phi-1', container]);
      body.end(`2026-11-22T12:00:0${index}.000000001Z ${container}\n`);
    }
    await eventually(
      'all was printed',
      () => out === 'phi-1: weights\nphi-1: data\nphi-1: main\n',
      () => out,
    );
    interrupted.abort(new Error('SIGINT'));
    await expect(following).rejects.toThrow('SIGINT');
  });

  it('prints only the init container that failed of a pod that is over, and only the container that is named', async () => {
    const failed: ContainerState = { terminated: { exitCode: 1 } };
    const of = workspace(true);
    step('Failed');
    const pod = createWithInits('phi-0', { weights: ENDED, data: failed }, 'phi');
    const following = follow(of, [pod]);
    (await request(1)).body.end('no rows\n');
    await following;
    const named = follow(of, [pod], { container: 'weights' });
    (await request(2)).body.end('copied\n');
    await named;
    expect(asked.map(({ query }) => query.get('container'))).toEqual(['data', 'weights']);
    expect(out).toBe('no rows\ncopied\n');
  });

  it('opens a log that broke off again, and prints no line twice', async () => {
    const following = follow(workspace(false), [create('phi-0', RUNNING)]);
    const first = await request(1);
    first.body.write('2026-11-22T12:00:00.100000000Z one\n2026-11-22T12:00:00.200000000Z two\n');
    await eventually('they are printed', () => out === 'one\ntwo\n');
    first.body.destroy(new Error('other side closed'));
    (await request(2)).body.write(
      '2026-11-22T12:00:00.100000000Z one\n2026-11-22T12:00:00.200000000Z two\n2026-11-22T12:00:00.300000000Z three\n',
    );
    await eventually(
      'the rest is printed',
      () => out === 'one\ntwo\nthree\n',
      () => out,
    );
    expect(err).toBe('note: the log of pod phi-0 broke off and is tried again: other side closed\n');
    interrupted.abort(new Error('SIGINT'));
    await expect(following).rejects.toThrow('SIGINT');
  });

  it('of a tuning follows the push after the training, and ends with it', async () => {
    const of = workspace(true);
    step('Training');
    const following = follow(of, [create('phi-old', ENDED, { job: 'phi' }), create('phi-a', RUNNING, { job: 'phi' })], {
      chosen: [],
    });
    const retried = create('phi-b', RUNNING, { job: 'phi' });
    const training = await request(1);
    expect(training.pod).toBe(retried.metadata.name);
    training.body.end('step 1 of 1\n');
    change('phi-b', ENDED);
    step('Push');
    create('phi-push-a', RUNNING, { job: 'phi-push' });
    const push = await request(2);
    push.body.write('pushing\n');
    step('Succeeded');
    change('phi-push-a', ENDED);
    push.body.end('pushed\n');
    await following;
    expect(out).toBe('step 1 of 1\nphi-push-a: pushing\nphi-push-a: pushed\n');
    expect(err).toMatch(/note: the tuning has succeeded\n$/);
  });

  it('prints what there is of a tuning that is over, and ends; ends, too, when the Workspace is gone', async () => {
    const of = workspace(true);
    step('Failed');
    const pod = create('phi-a', ENDED, { job: 'phi' });
    const following = follow(of, [pod]);
    (await request(1)).body.end('Traceback\n');
    await following;
    expect(out).toBe('Traceback\n');

    cluster.server.store.delete(WORKSPACES, 'ns', 'phi');
    // One that took its name is another.
    workspace(false);
    await follow(of, [pod], { chosen: [] });
    expect(err).toMatch(/note: the Workspace is gone\n$/);
  });

  it('ends with what is not permitted, and with a container that is none', async () => {
    const pod = create('phi-0', RUNNING);
    const of = workspace(false);
    await expect(follow(of, [pod], { container: 'nope' })).rejects.toThrow(
      '-c nope: the containers of pod phi-0 are main',
    );
    refusal = new KubernetesError({ code: 403, reason: 'Forbidden', message: 'no', request: 'get pods/log' });
    await expect(follow(of, [pod])).rejects.toBe(refusal);
  });

  it('the training alone is over when the push begins, and a status of before a change says nothing', () => {
    const at = (name: string, observedGeneration = 1) =>
      ({
        metadata: { generation: 1 },
        tuning: {},
        status: { observedGeneration, step: { name } },
      }) as unknown as Workspace;
    expect(endOf(at('Push'), 'training')).toBe('the training has ended; its adapter is being pushed');
    expect(endOf(at('Push'), undefined)).toBeUndefined();
    expect(endOf(at('Failed'), 'push')).toBe('the tuning has failed: no reason is told');
    expect(endOf(at('Failed', 0), undefined)).toBeUndefined();
    expect(endOf(at('Cancelled'), undefined)).toBe('the tuning was cancelled');
  });
});

test('lines are cut at their ends, whatever the chunks are', async () => {
  const body = new PassThrough();
  const bytes = Buffer.from('ä\n\nzwei\rdrei\nrest');
  for (const byte of bytes) body.write(Buffer.of(byte));
  body.end();
  const lines: string[] = [];
  for await (const line of linesOf(body as AsyncIterable<Buffer>)) lines.push(line);
  expect(lines).toEqual(['ä', '', 'zwei\rdrei', 'rest']);
});
