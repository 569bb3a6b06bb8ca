import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { temporal as protos } from '@temporalio/proto';
import { NativeConnection } from '@temporalio/worker';
import { RESOURCES } from '../../kubernetes/resources';
import { createWorkflows } from '../../bridge/workflows';
import { bundleWorkflows } from '../../workers/product';
import { buildIdOf, currentVersion, type Temporal } from '../../workers/versioning';
import { useEnvironment } from '../environment';
import { inference, ROOT, useStage } from './support';
import { DIGEST, STORAGE_CLASS, end, provision, push, pushSecret, runningPod, tuning } from './tuning-support';

/** Worker versions turned on, and off again, under Workspaces that live, as docs/upgrade.md describes it. */

const { PendingActivityState } = protos.api.enums.v1;
const TASK_QUEUE = `versioning-${Date.now().toString(36)}`;
const OFF = { KAITO_WORKER_VERSIONING: 'false' };
const ON = { KAITO_WORKER_VERSIONING: 'true' };

const stage = useStage('versioning', { KAITO_TASK_QUEUE: TASK_QUEUE, KAITO_TUNING_STORAGE_CLASS: STORAGE_CLASS }, []);

type Ref = { readonly namespace: string; readonly name: string };

let server: Temporal & { readonly connection: NativeConnection };

beforeAll(async () => {
  const { address, namespace } = useEnvironment().temporal;
  server = { connection: await NativeConnection.connect({ address }), namespace };
  await stage().start(['bridge']);
});
afterAll(() => server.connection.close());

async function apply(): Promise<Ref> {
  const namespace = await stage().namespace();
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi'));
  await stage().ready({ namespace, name: 'phi' });
  return { namespace, name: 'phi' };
}

/** A Workspace in the middle of a step, for as long as the test leaves its pod alone. */
async function train() {
  const namespace = await stage().namespace();
  await pushSecret(stage(), namespace);
  await stage().create(RESOURCES.workspaces, tuning(namespace, 'tune'));
  await provision(stage(), namespace, 'tune-results');
  return { namespace, name: 'tune', pod: await runningPod(stage(), namespace, 'tune') };
}

/** The operator's command. */
async function promote(...options: string[]): Promise<string> {
  const { temporal, variables } = useEnvironment();
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['local/bootstrap.cjs', 'workers/promote.ts', ...options],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        ...variables,
        TEMPORAL_ADDRESS: temporal.address,
        TEMPORAL_NAMESPACE: temporal.namespace,
        KAITO_TASK_QUEUE: TASK_QUEUE,
      },
    },
  );
  return stdout;
}

async function current(): Promise<string | undefined> {
  const found = await currentVersion(server, { deploymentName: TASK_QUEUE, taskQueue: TASK_QUEUE, buildId: undefined });
  return found === 'no deployment' ? found : found.buildId;
}

/** The version that ran the workflow's last task. */
async function ranOn(ref: Ref): Promise<string | undefined> {
  const { raw } = await stage().workflow(ref).describe();
  return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId || undefined;
}

/** When a worker took up the workflow's step; undefined while none has it. */
async function stepBegan(ref: Ref): Promise<number | undefined> {
  const { raw } = await stage().workflow(ref).describe();
  const [step] = raw.pendingActivities ?? [];
  if (step?.state !== PendingActivityState.PENDING_ACTIVITY_STATE_STARTED) return undefined;
  return Number(step.lastStartedTime?.seconds) * 1_000 + Number(step.lastStartedTime?.nanos) / 1e6;
}

/** The step is at work again, on what took over. */
async function goesOn(ref: Ref, before: number): Promise<number> {
  return stage().poll('the step goes on', async () => {
    const began = await stepBegan(ref);
    return began !== undefined && began > before && began;
  });
}

let walks = 0;

/** A Workspace at rest goes through its steps anew, with what it has. */
async function walksAnew(ref: Ref): Promise<void> {
  const claim = stage().onlyClaim(ref.namespace).metadata.uid;
  const walk = String((walks += 1));
  await stage().annotate(await stage().ready(ref), { 'kaito.sh/retry': walk });
  await stage().workspaceWhen(ref, 'has walked anew', ({ status }) => status.observedRetry === walk);
  await stage().ready(ref);
  expect(stage().onlyClaim(ref.namespace).metadata.uid).toBe(claim);
}

async function remove(ref: Ref): Promise<void> {
  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until(`${ref.namespace} is empty`, () => stage().view.remains(ref.namespace).length === 0);
  await stage().until(`${ref.name} is gone`, () => stage().view.workspace(ref.namespace, ref.name) === undefined);
}

/** No workflow's tasks fail: neither Temporal nor the bridge says so. */
async function nothingIsStuck(...refs: readonly Ref[]): Promise<void> {
  const stuck = await createWorkflows(stage().temporal, TASK_QUEUE).stuck();
  for (const { namespace } of refs) {
    expect(stuck.filter(({ ref }) => ref.namespace === namespace)).toEqual([]);
    const reasons = stage()
      .view.events(namespace)
      .map(({ reason }) => reason);
    expect(reasons).not.toContain('WorkflowStuck');
  }
}

it('Workspaces go on when versions are turned on, and off again', async () => {
  const buildId = await buildIdOf(await bundleWorkflows());
  const before = await stage().start(['worker'], { variables: OFF });
  const [resting, training] = await Promise.all([apply(), train()]);
  const begun = await stage().poll('the step is at work', () => stepBegan(training));
  expect(await current()).toBe('no deployment');

  // On, in place: the old worker has ended when the new one starts.
  await stage().stop(before);
  const versioned = await stage().start(['worker'], { variables: ON });
  expect(await promote()).toContain(`version ${buildId} gets the work`);
  const begunAnew = await goesOn(training, begun);
  await walksAnew(resting);
  const [begunOn, ended] = await Promise.all([apply(), apply()]);
  expect(await Promise.all([resting, begunOn].map(ranOn))).toEqual([buildId, buildId]);
  await nothingIsStuck(resting, training, begunOn);
  await remove(ended);

  // Off, side by side: while both run, the command decides.
  const after = await stage().start(['worker'], { variables: OFF });
  expect(await current()).toBe(buildId);
  expect(await promote('--unversioned')).toContain('workers without version get the work');
  await stage().stop(versioned);
  await goesOn(training, begunAnew);
  await end(stage(), training.pod, 0, { steps: 10, loss: 2.125, dataDigest: DIGEST });
  await push(stage(), training.namespace, 'tune');
  await stage().workspaceWhen(training, 'is Succeeded', ({ status }) => status.state === 'Succeeded');
  for (const ref of [resting, begunOn]) await walksAnew(ref);
  const all = [resting, begunOn, training, await apply()];
  expect(await Promise.all(all.map(ranOn))).toEqual(all.map(() => undefined));
  await nothingIsStuck(...all);
  await Promise.all(all.map(remove));
  await stage().stop(after);
}, 150_000);
