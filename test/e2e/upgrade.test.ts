import { temporal as protos } from '@temporalio/proto';
import { NativeConnection } from '@temporalio/worker';
import { RESOURCES } from '../../kubernetes/resources';
import { bundleWorkflows } from '../../workers/product';
import { buildIdOf, currentVersion, promote, type Temporal, type WorkerVersion } from '../../workers/versioning';
import { useEnvironment } from '../environment';
import { bundleVariant } from './code-variants';
import { inference, NODE_CLASSES, useStage } from './support';
import { DIGEST, STORAGE_CLASS, end, provision, push, pushSecret, runningPod, tuning } from './tuning-support';

/** Old and new workflow code side by side, as docs/upgrade.md describes it: with worker versions. */

const { EventType, WorkflowTaskFailedCause } = protos.api.enums.v1;
const TASK_QUEUE = `upgrade-${Date.now().toString(36)}`;
const VERSIONED = { KAITO_WORKER_VERSIONING: 'true' };

const stage = useStage(
  'upgrade',
  {
    KAITO_TASK_QUEUE: TASK_QUEUE,
    KAITO_NODE_CLASS_NAMES_ALLOWED: 'upgrade-slow',
    KAITO_TUNING_STORAGE_CLASS: STORAGE_CLASS,
  },
  [],
);

let server: Temporal & { readonly connection: NativeConnection };

beforeAll(async () => {
  const { address, namespace } = useEnvironment().temporal;
  server = { connection: await NativeConnection.connect({ address }), namespace };
  await stage().create(NODE_CLASSES, { metadata: { name: 'upgrade-slow' }, spec: { nodeRegistrationDelay: '20s' } });
  stage().defer(() => stage().client.delete(NODE_CLASSES, { name: 'upgrade-slow' }));
  await stage().start(['bridge']);
});
afterAll(() => server.connection.close());

async function apply(parts: Parameters<typeof inference>[2] = {}) {
  const namespace = await stage().namespace();
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi', parts));
  return { namespace, name: 'phi' };
}
const SLOW = { annotations: { 'kaito.sh/node-class-name': 'upgrade-slow' } };

function version(buildId: string): WorkerVersion {
  return { deploymentName: TASK_QUEUE, taskQueue: TASK_QUEUE, buildId };
}

async function current(): Promise<string | undefined> {
  const found = await currentVersion(server, version(''));
  return found === 'no deployment' ? undefined : found.buildId;
}

/** Deletes it while there is a worker that can go on with it. */
async function remove(ref: { namespace: string; name: string }): Promise<void> {
  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until(`${ref.name} is gone`, () => stage().view.workspace(ref.namespace, ref.name) === undefined);
}

/** The version that ran the workflow's last task. */
async function ranOn(ref: { namespace: string; name: string }): Promise<string | undefined> {
  const { raw } = await stage().workflow(ref).describe();
  return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId ?? undefined;
}

it('goes on with new code: what rests, what waits for machines, what trains', async () => {
  const [old, next] = await Promise.all([bundleWorkflows(), bundleVariant('compatible')]);
  const [oldId, nextId] = await Promise.all([buildIdOf(old), buildIdOf(next)]);
  const oldWorker = await stage().start(['worker'], { variables: VERSIONED, workflowBundle: old });
  await stage().poll('the first version makes itself current', async () => (await current()) === oldId);

  const resting = await apply();
  const training = { namespace: await stage().namespace(), name: 'tune' };
  await pushSecret(stage(), training.namespace);
  await stage().create(RESOURCES.workspaces, tuning(training.namespace, 'tune'));
  await provision(stage(), training.namespace, 'tune-results');
  const trainer = await runningPod(stage(), training.namespace, 'tune');
  await stage().ready(resting);
  const waiting = await apply(SLOW);
  await stage().workspaceWhen(waiting, 'waits', ({ status }) => status.machines?.[0]?.phase === 'Launched');
  const claims = [resting, waiting].map(({ namespace }) => stage().onlyClaim(namespace).metadata.uid);
  expect(await ranOn(resting)).toBe(oldId);

  const nextWorker = await stage().start(['worker'], { variables: VERSIONED, workflowBundle: next });
  await promote(server, version(nextId), 20_000);
  expect(await current()).toBe(nextId);
  await stage().stop(oldWorker);

  await stage().ready(waiting);
  await stage().annotate(await stage().ready(resting), { 'kaito.sh/retry': '1' });
  await stage().workspaceWhen(resting, 'has walked anew', ({ status }) => status.observedRetry === '1');
  await stage().ready(resting);
  expect(stage().view.jobPod(training.namespace, 'tune')?.metadata.uid).toBe(trainer.metadata.uid);
  await end(stage(), trainer, 0, { steps: 10, loss: 2.125, dataDigest: DIGEST });
  await push(stage(), training.namespace, 'tune');
  await stage().workspaceWhen(training, 'is Succeeded', ({ status }) => status.state === 'Succeeded');

  expect(await Promise.all([resting, waiting, training].map(ranOn))).toEqual([nextId, nextId, nextId]);
  expect(claims).toEqual([resting, waiting].map(({ namespace }) => stage().onlyClaim(namespace).metadata.uid));
  for (const ref of [resting, waiting, training]) await remove(ref);
  await stage().stop(nextWorker);
}, 150_000);

it('shows code that can’t go on with old histories, and goes back to the former version with nothing lost', async () => {
  const [good, bad] = await Promise.all([bundleWorkflows(), bundleVariant('incompatible')]);
  const [goodId, badId] = await Promise.all([buildIdOf(good), buildIdOf(bad)]);
  const goodWorker = await stage().start(['worker'], { variables: VERSIONED, workflowBundle: good });
  await promote(server, version(goodId), 20_000);
  const ref = await apply();
  await stage().ready(ref);
  const claim = stage().onlyClaim(ref.namespace);

  const badWorker = await stage().start(['worker'], { variables: VERSIONED, workflowBundle: bad });
  await promote(server, version(badId), 20_000);
  await stage().annotate(await stage().ready(ref), { 'kaito.sh/retry': '1' });
  await stage().poll('the history says so', async () => {
    const { events } = await stage().workflow(ref).fetchHistory();
    return events?.some(
      ({ eventType, workflowTaskFailedEventAttributes: failed }) =>
        eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED &&
        failed?.cause === WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
    );
  });
  // The bridge tells, on the Workspace.
  const [event] = await stage().until('an Event says what to do', () => {
    const found = stage()
      .view.events(ref.namespace)
      .filter(({ reason }) => reason === 'WorkflowStuck');
    return found.length > 0 && found;
  });
  expect(event?.message).toMatch(/NonDeterministicError.*temporal workflow terminate -w workspace\/upgrade-/);

  await promote(server, version(goodId), 20_000);
  await stage().workspaceWhen(ref, 'has walked anew', ({ status }) => status.observedRetry === '1');
  await stage().ready(ref);
  expect(stage().onlyClaim(ref.namespace).metadata.uid).toBe(claim.metadata.uid);

  // Forward, too: what is begun anew by the new code goes on with it.
  await promote(server, version(badId), 20_000);
  await stage().stop(goodWorker);
  await stage().workflow(ref).terminate('its code changed');
  await stage().poll('the bridge starts it anew', async () => (await ranOn(ref)) === badId);
  await stage().annotate(await stage().ready(ref), { 'kaito.sh/retry': '2' });
  await stage().workspaceWhen(ref, 'has walked anew', ({ status }) => status.observedRetry === '2');
  await stage().ready(ref);
  expect(stage().onlyClaim(ref.namespace).metadata.uid).toBe(claim.metadata.uid);

  await remove(ref);
  await stage().stop(badWorker);
}, 150_000);
