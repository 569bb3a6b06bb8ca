import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { Workspace } from '../../api/workspace';
import { findCondition } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { condition, inference, isReady, NODE_CLASSES, textWith, useStage } from './support';

/** What Temporal buys the user: cancel, retry, query, terminate, and processes side by side. */
const stage = useStage('operations', { KAITO_NODE_CLASS_NAMES_ALLOWED: 'operations-slow' });
/** KAITO_DEADLINE_REGISTERED, where it is not set. */
const REGISTERED_WITHIN_MS = 15 * 60_000;

beforeAll(async () => {
  await stage().create(NODE_CLASSES, { metadata: { name: 'operations-slow' }, spec: { nodeRegistrationDelay: '1h' } });
  stage().defer(() => stage().client.delete(NODE_CLASSES, { name: 'operations-slow' }));
});

async function apply(parts: Parameters<typeof inference>[2] = {}) {
  const namespace = await stage().namespace();
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi', parts));
  return { namespace, name: 'phi' };
}

/** How the workflow's present run ended. */
async function end(ref: { readonly namespace: string; readonly name: string }): Promise<string> {
  await stage()
    .workflow(ref)
    .result()
    .catch(() => undefined);
  return (await stage().workflow(ref).describe()).status.name;
}

/** Its release is over, too. */
const isCancelled = ({ status }: Workspace): boolean =>
  status?.state === 'Cancelled' && status.step?.name === 'Cancelled';

describe('cancel', () => {
  it('releases the machines that are on their way, and rests until a retry is asked for', async () => {
    const ref = await apply({ annotations: { 'kaito.sh/node-class-name': 'operations-slow' } });
    const waiting = await stage().workspaceWhen(
      ref,
      'waits for its machine, and says how long',
      ({ status }) => status.machines?.[0]?.phase === 'Launched' && status.step?.deadlineTime !== undefined,
    );
    const launched = findCondition(stage().onlyClaim(ref.namespace), 'Launched')?.lastTransitionTime ?? '';
    expect(Date.parse(waiting.status.step?.deadlineTime ?? '')).toBe(Date.parse(launched) + REGISTERED_WITHIN_MS);

    await stage().workflow(ref).cancel();
    const cancelled = await stage().workspaceWhen(ref, 'is Cancelled', isCancelled);

    expect(await end(ref)).toBe('CANCELLED');
    expect(stage().view.remains(ref.namespace)).toEqual([]);
    expect(cancelled.status).toMatchObject({
      step: { name: 'Cancelled' },
      message: textWith(/^cancelled; what was bought is released/),
    });
    expect(cancelled.status.message).toContain(`kubectl annotate workspace phi -n ${ref.namespace} kaito.sh/retry=`);
    expect(condition(cancelled, 'WorkspaceSucceeded')).toMatchObject({ status: 'False', reason: 'workspaceCancelled' });

    await stage().patch(cancelled, {
      metadata: { annotations: { 'kaito.sh/node-class-name': null, 'kaito.sh/retry': '1' } },
    });
    const { status } = await stage().ready(ref);
    expect(status.observedRetry).toBe('1');
    expect(status.workflow?.runID).not.toBe(cancelled.status.workflow?.runID);
  });

  it('releases a Workspace that is Ready, is not undone by the bridge, and ends with a change of the spec', async () => {
    const ref = await apply();
    const before = await stage().ready(ref);
    const claim = stage().onlyClaim(ref.namespace);

    await stage().workflow(ref).cancel();
    const cancelled = await stage().workspaceWhen(ref, 'is Cancelled', isCancelled);
    expect(await end(ref)).toBe('CANCELLED');
    // The Services stay: a client's address should not change over a pause.
    expect(
      stage()
        .view.remains(ref.namespace)
        .filter((name) => /^(NodeClaim|Node|StatefulSet|Pod) /.test(name)),
    ).toEqual([]);

    // A Workspace applied later becomes Ready, and a terminated one is healed by a resync: so the bridge has looked at this one, too.
    const other = await apply();
    await stage().ready(other);
    const { runId } = await stage().workflow(other).describe();
    await stage().workflow(other).terminate();
    await stage().workspaceWhen(other, 'is healed', (one) => isReady(one) && one.status.workflow?.runID !== runId);
    expect((await stage().workflow(ref).describe()).runId).toBe(before.status.workflow?.runID);
    expect(stage().view.workspace(ref.namespace, ref.name)?.status).toEqual(cancelled.status);

    await stage().patch(cancelled, { resource: { instanceTypes: ['Standard_NC48ads_A100_v4'] } });
    await stage().ready(ref);
    expect(stage().onlyClaim(ref.namespace).metadata.uid).not.toBe(claim.metadata.uid);
  });

  it('can be deleted', async () => {
    const ref = await apply();
    await stage().ready(ref);
    await stage().workflow(ref).cancel();
    await stage().workspaceWhen(ref, 'is Cancelled', isCancelled);
    await end(ref);

    await stage().client.delete(RESOURCES.workspaces, ref);

    await stage().until(
      'nothing is left',
      () =>
        stage().view.workspace(ref.namespace, ref.name) === undefined &&
        stage().view.remains(ref.namespace).length === 0,
    );
  });
});

describe('terminate', () => {
  it('is healed when the Workspace is Ready: everything is adopted, nothing doubled', async () => {
    const ref = await apply();
    const before = await stage().ready(ref);
    const [claim, set, pod] = [
      stage().onlyClaim(ref.namespace),
      stage().view.statefulSet(ref.namespace, 'phi'),
      stage().view.pod(ref.namespace, 'phi-0'),
    ];

    await stage().workflow(ref).terminate('a test');
    await stage().workspaceWhen(
      ref,
      'has another workflow',
      (one) => isReady(one) && one.status.workflow?.runID !== before.status.workflow?.runID,
    );

    expect(stage().onlyClaim(ref.namespace).metadata.uid).toBe(claim.metadata.uid);
    expect(stage().view.statefulSet(ref.namespace, 'phi')?.metadata).toMatchObject({
      uid: set?.metadata.uid,
      generation: set?.metadata.generation,
    });
    expect(stage().view.pod(ref.namespace, 'phi-0')?.metadata.uid).toBe(pod?.metadata.uid);
  });

  it('is healed while machines come', async () => {
    const ref = await apply({ annotations: { 'kaito.sh/node-class-name': 'operations-slow' } });
    const before = await stage().workspaceWhen(
      ref,
      'waits for its machine',
      ({ status }) => status.machines?.[0]?.phase === 'Launched',
    );
    const claim = stage().onlyClaim(ref.namespace);

    await stage().workflow(ref).terminate('a test');
    const healed = await stage().workspaceWhen(
      ref,
      'has another workflow',
      ({ status }) => status.workflow?.runID !== before.status.workflow?.runID,
    );

    expect(healed.status.machines).toEqual([expect.objectContaining({ name: claim.metadata.name, phase: 'Launched' })]);
    expect(stage().onlyClaim(ref.namespace).metadata.uid).toBe(claim.metadata.uid);
  });
});

it('retries at once when told by a signal, and counts the attempts anew', async () => {
  const ref = await apply({ inference: { config: 'options' } });
  const waiting = await stage().workspaceWhen(ref, 'was tried twice', ({ status }) => (status.step?.attempt ?? 0) >= 2);

  await stage().workflow(ref).signal('retry');
  const again = await stage().workspaceWhen(ref, 'counts anew', ({ status }) => status.step?.attempt === 1);

  expect(again.status.step).toMatchObject({ name: 'Plan', cause: 'MissingReference' });
  expect(again.status.workflow?.runID).toBe(waiting.status.workflow?.runID);
});

it('answers the query with what the Workspace’s status says, at work and at rest', async () => {
  const failing = await apply({ inference: { config: 'unreadable' } });
  await stage().create(RESOURCES.configMaps, {
    metadata: { namespace: failing.namespace, name: 'unreadable' },
    data: { 'inference_config.yaml': 'vllm: [' },
  });
  const resting = await apply();

  const failed = await stage().workspaceWhen(failing, 'is Failed', ({ status }) => status.state === 'Failed');
  const ready = await stage().ready(resting);

  await stage().answers(stage().workflow(failing), failed.status);
  await stage().answers(stage().workflow(resting), ready.status);
});

it('can be found by search attributes, and says what it is about', async () => {
  const ref = await apply();
  await stage().ready(ref);

  const description = await stage().poll('its phase is Ready', async () => {
    const found = await stage().workflow(ref).describe();
    return attributesOf(found)['KaitoPhase'] === 'Ready' && found;
  });

  expect(attributesOf(description)).toMatchObject({
    KaitoNamespace: ref.namespace,
    KaitoPreset: 'phi-4-mini-instruct',
    KaitoInstanceType: 'Standard_NC24ads_A100_v4',
  });
  expect(await description.staticSummary()).toBe('phi-4-mini-instruct on Standard_NC24ads_A100_v4');
  expect(await description.staticDetails()).toContain('Signals: `look`, `retry`. Query: `status`.');
});

function attributesOf({ typedSearchAttributes }: WorkflowExecutionDescription): Readonly<Record<string, unknown>> {
  return Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
}

it('buys nothing twice with two bridges and two workers side by side, and goes on when one pair ends', async () => {
  const another = await stage().start();
  const refs = [];
  for (let i = 0; i < 4; i += 1) refs.push(await apply());

  for (const ref of refs) await stage().ready(ref);
  for (const { namespace } of refs) {
    expect(stage().view.nodeClaims(namespace)).toHaveLength(1);
    const bought = stage()
      .view.events(namespace)
      .filter(({ reason }) => reason === 'NodeClaimCreated');
    expect(bought.map(({ count }) => count)).toEqual([1]);
  }

  const slow = await apply({ annotations: { 'kaito.sh/node-class-name': 'operations-slow' } });
  await stage().workspaceWhen(
    slow,
    'waits for its machine',
    ({ status }) => status.machines?.[0]?.phase === 'Launched',
  );
  const claim = stage().onlyClaim(slow.namespace);
  await stage().stop(another);
  const last = await apply();
  await stage().ready(last);
  expect(stage().onlyClaim(slow.namespace).metadata.uid).toBe(claim.metadata.uid);
});
