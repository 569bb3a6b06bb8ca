import { createHash } from 'node:crypto';

import type { Machines } from '../../activities/machines/provider';
import type { SweepDependencies } from '../../activities/sweep/dependencies';
import { findOrphans } from '../../activities/sweep/find-orphans';
import { releaseOrphan } from '../../activities/sweep/release-orphan';
import { turnsAfter, type Orphan } from '../../api/sweep';
import { SILENT_LOGGER as logger } from '../../kubernetes/logger';
import { RESOURCES } from '../../kubernetes/resources';
import { judge } from '../../workflows/sweeper/judge';
import * as answers from '../fakes/arm/errors';
import * as failures from '../fakes/arm/failures';
import { A100, useScenarios, type Claim, type Scenario, type Worker } from './support';

const start = useScenarios();
const signal = new AbortController().signal;
const MINUTE = 60_000;

/** The sweeper as its workflow drives it, with the time given; Temporal's part is tested in test/workflow. */
function sweeper({ client }: Scenario, { sweeping }: Worker) {
  const running = new Set<string>();
  let memory: readonly Orphan[] = [];
  const deps: SweepDependencies = {
    client,
    events: { record: () => undefined },
    logger,
    providers: [{ name: 'azure', sweeping } as Machines],
    isWorkflowRunning: async ({ name }) => running.has(name),
    now: () => new Date(),
  };
  return {
    running,
    memory: () => memory,
    /** A sweep, so many minutes after the beginning of time; names of the pools that it released. */
    sweep: async (minute: number): Promise<readonly string[]> => {
      const { orphans } = await findOrphans(deps, turnsAfter(memory), signal);
      const { due, waiting } = judge(orphans, memory, { nowMs: minute * MINUTE, graceMs: 15 * MINUTE });
      memory = waiting;
      const ends = await Promise.all(
        due.map(async (orphan) => {
          const { kind } = await releaseOrphan(deps, orphan, { signal, progress: () => undefined });
          return kind === 'released' ? [orphan.name] : [];
        }),
      );
      return ends.flat();
    },
  };
}

/** A pool whose Workspace, and its workflow, are gone. */
async function orphaned(scenario: Scenario): Promise<{ worker: Worker; claim: Claim; name: string }> {
  const { arm, worker, claim } = scenario;
  const one = worker();
  await one.ensure(claim());
  const [pool] = arm.pools().filter(({ origin }) => origin === 'client');
  return { worker: one, claim: claim(), name: pool?.name ?? '' };
}

test('scenario 25: a pool without a Workspace is released when it is seen again after the grace', async () => {
  const scenario = await start();
  const { arm } = scenario;
  arm.prices.set(A100, { regular: 3.673 });
  const { worker, claim, name } = await orphaned(scenario);
  const { sweep, memory } = sweeper(scenario, worker);
  expect(await sweep(0)).toEqual([]);
  expect(memory()).toMatchObject([
    { name, workspace: { uid: claim.workspace.metadata.uid }, instanceType: A100, count: 1, pricePerHour: 3.673 },
  ]);
  expect(await sweep(10)).toEqual([]);
  expect(arm.requestsOf('DELETE')).toEqual([]);
  expect(await sweep(20)).toEqual([name]);
  expect(arm.pool(name)).toBeUndefined();
  expect(await sweep(30)).toEqual([]);
  arm.assertInvariants({ nothingLeft: true });
});

test('scenario 25: … but not when its workflow runs again', async () => {
  const scenario = await start();
  const { worker, claim, name } = await orphaned(scenario);
  const { sweep, running } = sweeper(scenario, worker);
  await sweep(0);
  running.add('phi');
  expect(await sweep(20)).toEqual([]);
  running.clear();
  // Its row of looks is broken: it begins anew.
  expect(await sweep(40)).toEqual([]);
  expect(scenario.arm.pool(name)).toBeDefined();
  await worker.release(claim);
  scenario.arm.assertInvariants({ nothingLeft: true });
});

test('scenario 25: … nor when the Workspace is there, which the API server itself is asked for', async () => {
  const scenario = await start();
  const { arm, client, worker, claim } = scenario;
  const namespace = `sweep-${createHash('sha256').update(arm.url).digest('hex').slice(0, 8)}`;
  await client.create(RESOURCES.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const { metadata } = await client.create(RESOURCES.workspaces, {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { namespace, name: 'phi' },
    resource: { instanceType: A100, labelSelector: { matchLabels: { apps: 'phi' } } },
    inference: { preset: { name: 'phi-4-mini-instruct' } },
  } as never);
  const wanted = claim();
  const living = {
    ...wanted,
    workspace: { ...wanted.workspace, metadata: { ...wanted.workspace.metadata, ...metadata } },
  };
  const one = worker();
  await one.ensure(living);
  const { sweep, memory } = sweeper(scenario, one);
  expect(await sweep(0)).toEqual([]);
  expect(memory()).toEqual([]);

  await client.delete(RESOURCES.workspaces, { namespace, name: 'phi' });
  await sweep(10);
  expect(await sweep(30)).toHaveLength(1);
  arm.assertInvariants({ nothingLeft: true });
});

test('scenario 24: a foreign pool with our labels, or with tags of another cluster, is never swept', async () => {
  const scenario = await start();
  const { arm, worker } = scenario;
  const nodeLabels = {
    'kaito.sh/workspace': 'phi',
    'kaito.sh/workspace-uid': 'dead',
    'kaito.sh/machine-provider': 'azure',
  };
  arm.addPool('copied', { vmSize: A100, count: 1, nodeLabels });
  const tags = {
    'kaito-owner': 'kaito-temporal',
    'kaito-cluster-id': 'another-cluster',
    'kaito-workspace-uid': 'dead',
    'kaito-workspace-namespace': 'team',
    'kaito-workspace-name': 'phi',
  };
  arm.addPool('others', { vmSize: A100, count: 1, tags });
  const { sweep, memory } = sweeper(scenario, worker());
  await sweep(0);
  await sweep(60);
  expect(memory()).toEqual([]);
  expect(arm.pools().map(({ name }) => name)).toEqual(expect.arrayContaining(['copied', 'others']));
  arm.assertInvariants();
});

test('a pool of the same name that was bought later is not the one that was seen', async () => {
  const scenario = await start();
  const { arm } = scenario;
  const { worker, claim, name } = await orphaned(scenario);
  const { sweep, memory } = sweeper(scenario, worker);
  await sweep(0);
  await worker.release(claim);
  await worker.ensure(claim);
  expect(arm.pool(name)).toBeDefined();
  expect(await sweep(20)).toEqual([]);
  expect(memory()).toMatchObject([{ name, firstSeenTime: new Date(20 * MINUTE).toISOString() }]);
  await worker.release(claim);
  arm.assertInvariants({ nothingLeft: true, mayBeThrottled: true, comparable: () => '' });
});

test('scenario 45: a list of which a page can not be had decides nothing', async () => {
  const scenario = await start({ arm: { pageSize: 2 } });
  const { arm } = scenario;
  const { worker, name } = await orphaned(scenario);
  for (const other of ['one', 'two', 'three']) arm.addPool(other, { vmSize: A100, count: 1 });
  const { sweep, memory } = sweeper(scenario, worker);
  await sweep(0);
  const before = memory();
  expect(before).toMatchObject([{ name }]);

  const isLaterPage = ({ path, query }: { path: string; query: URLSearchParams }): boolean =>
    path.endsWith('/agentPools') && [...query.keys()].some((key) => /skiptoken/i.test(key));
  const fails = arm.script.on('GET', isLaterPage).answer(answers.notFound('NotFound', 'no such page'));
  await expect(sweep(20)).rejects.toThrow('list the agent pools: NotFound');
  expect(fails.hits).toBeGreaterThanOrEqual(1);
  expect(memory()).toEqual(before);
  expect(arm.requestsOf('DELETE')).toEqual([]);

  fails.remove();
  expect(await sweep(30)).toEqual([name]);
  arm.assertInvariants({ nothingLeft: true });
});

test('scenario 45: … and so does one whose later page answers 500 for long', async () => {
  const scenario = await start({ arm: { pageSize: 1 } });
  const { arm } = scenario;
  const { worker, name } = await orphaned(scenario);
  const { sweep } = sweeper(scenario, worker);
  await sweep(0);
  const isLaterPage = ({ path, query }: { path: string; query: URLSearchParams }): boolean =>
    path.endsWith('/agentPools') && [...query.keys()].some((key) => /skiptoken/i.test(key));
  // The first try and four more, with pauses that double.
  const fails = arm.script.on('GET', isLaterPage).answer(answers.internalError());
  await expect(sweep(20)).rejects.toThrow('InternalOperationError');
  expect(fails.hits).toBeGreaterThanOrEqual(5);
  expect(arm.requestsOf('DELETE')).toEqual([]);
  fails.remove();
  expect(await sweep(30)).toEqual([name]);
  arm.assertInvariants({ nothingLeft: true });
}, 60_000);

test('scenario 25: a pool that is in the middle of something, or failed, is swept like others', async () => {
  const scenario = await start({ arm: { deleteWhileCreating: 'refused' } });
  const { arm, worker, claim } = scenario;
  arm.operations.on('create', /./).neverEnds();
  const dead = worker();
  const dying = dead.ensure(claim()).catch((error: unknown) => error);
  await arm.until('the PUT is answered', () => arm.requestsOf('PUT').some(({ status }) => status === 201));
  dead.kill();
  await dying;
  const { sweep } = sweeper(scenario, worker());
  await sweep(0);
  expect(await sweep(20)).toHaveLength(1);
  arm.assertInvariants({ nothingLeft: true });
});

test('a drain that budgets block ends like any release', async () => {
  const scenario = await start({
    configuration: {
      deadlines: { acceptedMs: 5_000, poolMs: 9_000, registeredMs: 9_000, gpusMs: 9_000, drainMs: 300 },
    },
  });
  const { arm } = scenario;
  const { worker, name } = await orphaned(scenario);
  arm.operations.on('delete', /./).fails(failures.podDrainFailure());
  const { sweep } = sweeper(scenario, worker);
  await sweep(0);
  expect(await sweep(20)).toEqual([name]);
  expect(arm.requestsOf('DELETE').at(-1)?.query.get('ignore-pod-disruption-budget')).toBe('true');
  arm.assertInvariants({ nothingLeft: true });
});
