import { randomUUID } from 'node:crypto';

import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

import { bundleWorkflows } from '../../workers/product';
import {
  buildIdOf,
  currentVersion,
  deploymentOptions,
  promote,
  watchVersion,
  workerVersion,
  type WorkerVersion,
} from '../../workers/versioning';
import { useTemporal } from '../environment';
import { until } from './harness';

/** Which of several worker versions gets the work. */

const silent = { debug() {}, info() {}, warn() {}, error() {} };
/** A worker counts as gone when it has not asked for work for so long: here, less than it takes to ask anew. */
const TIMINGS = { everyMs: 100, goneAfterMs: 90_000 };
const GONE_AT_ONCE = { everyMs: 100, goneAfterMs: 1 };

let connection: NativeConnection;
let bundle: WorkflowBundleWithSourceMap;
let taskQueue: string;
const server = () => ({ connection, namespace: useTemporal().namespace });

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  connection = await NativeConnection.connect({ address: useTemporal().address });
  bundle = await bundleWorkflows();
});
afterAll(() => connection.close());
beforeEach(() => {
  taskQueue = `versions.${randomUUID().slice(0, 8)}`;
});

function version(buildId: string): Promise<WorkerVersion> {
  return workerVersion({ isOn: true, buildId }, taskQueue, bundle);
}

/** Runs a worker of that version while `work` does. */
async function withWorker<T>(of: WorkerVersion, work: () => Promise<T>): Promise<T> {
  const worker = await Worker.create({
    connection,
    namespace: server().namespace,
    taskQueue,
    workflowBundle: bundle,
    ...deploymentOptions(of),
  });
  return worker.runUntil(work);
}

async function current(of: WorkerVersion): Promise<string | undefined> {
  const found = await currentVersion(server(), of);
  return found === 'no deployment' ? undefined : found.buildId;
}

it('is named after the workflow code, wherever that was bundled, unless the operator names it', async () => {
  const elsewhere = { code: bundle.code.replace(/(sourceMappingURL=).*$/s, '$1elsewhere') };
  expect(await buildIdOf(elsewhere)).toBe(await buildIdOf(bundle));
  expect(await buildIdOf({ code: `;${bundle.code}` })).not.toBe(await buildIdOf(bundle));
  expect(await workerVersion({ isOn: true }, 'kaito', bundle)).toMatchObject({ buildId: await buildIdOf(bundle) });
  expect(deploymentOptions(await workerVersion({ isOn: false }, 'kaito', bundle))).toEqual({});
});

it('the first version makes itself current; a second one waits until it is promoted', async () => {
  const [one, two] = await Promise.all([version('one'), version('two')]);
  await withWorker(one, async () => {
    const watch = watchVersion(server(), one, silent, TIMINGS);
    await until('the first is current', async () => (await current(one)) === 'one');
    await withWorker(two, async () => {
      const said: string[] = [];
      const other = watchVersion(server(), two, { ...silent, info: (line) => said.push(line) }, TIMINGS);
      await until('the second says that it waits', () => said.some((line) => /^this worker waits/.test(line)));
      expect(await current(one)).toBe('one');
      await promote(server(), two, 10_000);
      await until('the second says that it works', () => said.some((line) => /gets the work now$/.test(line)));
      expect(await current(one)).toBe('two');
      await other.stop();
    });
    await watch.stop();
  });
});

it('a version takes over from one that has no worker left', async () => {
  const [one, two] = await Promise.all([version('one'), version('two')]);
  await withWorker(one, () => promote(server(), one, 10_000));
  await withWorker(two, async () => {
    const watch = watchVersion(server(), two, silent, GONE_AT_ONCE);
    await until('the second is current', async () => (await current(two)) === 'two');
    await watch.stop();
  });
});

it('a version without a worker is not promoted', async () => {
  const one = await version('one');
  await withWorker(one, () => promote(server(), one, 10_000));
  await expect(promote(server(), await version('never-there'), 100)).rejects.toThrow(
    /has no worker of version 'never-there' on task queue 'versions\./,
  );
  expect(await current(one)).toBe('one');
});

it('workers without version have the work where there never was one, and get it back when a version has gone again', async () => {
  const one = await version('one');
  const none = await workerVersion({ isOn: false }, taskQueue, bundle);
  await withWorker(none, async () => {
    await promote(server(), none, 10_000);
    const watch = watchVersion(server(), none, silent, GONE_AT_ONCE);
    await withWorker(one, () => promote(server(), one, 10_000));
    await until('they have it back', async () => (await current(one)) === undefined);
    await watch.stop();
  });
});

it('the work is not given to workers without version where there are none', async () => {
  const [one, none] = [await version('one'), await workerVersion({ isOn: false }, taskQueue, bundle)];
  await withWorker(one, async () => {
    await promote(server(), one, 10_000);
    await expect(promote(server(), none, 100)).rejects.toThrow(
      /has no worker without version on task queue 'versions\./,
    );
    expect(await current(one)).toBe('one');
    await withWorker(none, () => promote(server(), none, 10_000));
    expect(await current(one)).toBeUndefined();
  });
});
