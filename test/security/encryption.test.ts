import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { COORDINATOR_DEFAULTS } from '../../activities/machines/azure/coordination/open-coordinator';
import { createTransport } from '../../activities/machines/azure/coordination/transport';
import { coordinatorIdOf } from '../../api/coordination';
import { sweepScheduleIdOf } from '../../api/sweep';
import type { WorkspaceStatus } from '../../api/workspace';
import { RESOURCES } from '../../kubernetes/resources';
import { openDataConverter } from '../../workers/encryption/data-converter';
import { bundleWorkflows, type Product } from '../../workers/product';
import { inference, NODE_CLASSES, useStage } from '../e2e/support';
import { useEnvironment } from '../environment';
import { payloadsOf } from './payloads';
import { textOf } from './traces';

const TASK_QUEUE = 'encrypted';

/** A product that encrypts: what Temporal gets to see, and what everybody else still can. */
const stage = useStage(
  'encrypted',
  { KAITO_TASK_QUEUE: TASK_QUEUE, KAITO_NODE_CLASS_NAMES_ALLOWED: 'encrypted-slow' },
  [],
);

interface Ref {
  readonly namespace: string;
  readonly name: string;
}

let folder: string;
let bundle: WorkflowBundleWithSourceMap;
const put = (id: string, into = folder): Promise<void> =>
  writeFile(path.join(into, id), randomBytes(32).toString('base64'));

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-keys-'));
  await put('first');
  bundle = await bundleWorkflows();
  await stage().create(NODE_CLASSES, { metadata: { name: 'encrypted-slow' }, spec: { nodeRegistrationDelay: '1h' } });
  stage().defer(() => stage().client.delete(NODE_CLASSES, { name: 'encrypted-slow' }));
  stage().defer(() => stage().temporal.schedule.getHandle(sweepScheduleIdOf(TASK_QUEUE)).delete());
}, 120_000);

afterAll(() => rm(folder, { recursive: true }));

function start(variables: Readonly<Record<string, string>>): Promise<Product> {
  return stage().start(['worker', 'bridge'], { variables, workflowBundle: bundle });
}

async function apply(parts: Parameters<typeof inference>[2]): Promise<Ref> {
  const ref = { namespace: await stage().namespace(), name: 'phi' };
  await stage().client.create(RESOURCES.workspaces, inference(ref.namespace, ref.name, parts));
  return ref;
}

/** Its first step fails, over and over. */
async function applyFailing(): Promise<Ref> {
  const ref = await apply({ inference: { config: 'telling-name' } });
  await stage().failing(ref, 'MissingReference');
  return ref;
}

async function mend(ref: Ref): Promise<void> {
  await stage().create(RESOURCES.configMaps, {
    metadata: { namespace: ref.namespace, name: 'telling-name' },
    data: { 'inference_config.yaml': 'vllm:\n  max-model-len: 4096\n' },
  });
  await stage().ready(ref);
}

async function remove(ref: Ref): Promise<void> {
  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until('it is gone', () => stage().view.workspace(ref.namespace, ref.name) === undefined);
}

/** A client of the product's, with its keys. */
async function clientWith(keys: Parameters<typeof openDataConverter>[0]): Promise<Client> {
  const { temporal } = useEnvironment();
  const dataConverter = await openDataConverter(keys);
  return new Client({ connection: stage().temporal.connection, namespace: temporal.namespace, dataConverter });
}

/** What the present attempts of its steps say: heartbeats, and how the attempt before ended. */
async function pending(ref: Ref): Promise<string> {
  return textOf((await stage().workflow(ref).describe()).raw.pendingActivities);
}

const keyIdsOf = (text: string): readonly string[] => [
  ...new Set([...text.matchAll(/"encryption-key-id":"([^"]*)"/g)].map(([, id]) => id ?? '')),
];

it('is turned on, rotated, and turned off while Workspaces live on', async () => {
  const plain = await start({});
  const ref = await applyFailing();
  await stage().stop(plain);

  const encrypting = await start({ KAITO_PAYLOAD_KEYS: folder, KAITO_PAYLOAD_KEY: 'first' });
  await stage().workflow(ref).signal('retry');
  await stage().poll('the first key is used', async () => keyIdsOf(await pending(ref)).includes('first'));
  await put('second');
  await stage().stop(encrypting);

  const rotated = await start({ KAITO_PAYLOAD_KEYS: folder, KAITO_PAYLOAD_KEY: 'second' });
  await mend(ref);
  const { events } = await stage().workflow(ref).fetchHistory();
  expect(keyIdsOf(textOf(events))).toEqual(expect.arrayContaining(['first', 'second']));
  await stage().stop(rotated);

  const off = await start({ KAITO_PAYLOAD_KEYS: folder, KAITO_PAYLOAD_KEY: 'none' });
  const ready = await stage().ready(ref);
  await stage().patch(ready, { inference: { config: null } });
  await stage().workspaceWhen(
    ref,
    'is Ready anew',
    ({ metadata, status }) => status.observedGeneration === metadata.generation && status.state === 'Ready',
  );
  expect((await stage().workflow(ref).query<WorkspaceStatus>('status')).state).toBe('Ready');
  await remove(ref);
  await stage().stop(off);
}, 180_000);

it('shows Temporal only ciphertext, and goes on as ever: failures, queries, replay', async () => {
  const product = await start({ KAITO_PAYLOAD_KEYS: folder, KAITO_PAYLOAD_KEY: 'first' });
  const ref = await applyFailing();
  const waiting = await stage().poll('a failed attempt is described', async () => {
    const text = await pending(ref);
    return text.includes('binary/encrypted') && text;
  });
  expect(waiting).not.toContain('telling-name');
  await mend(ref);

  const history = await stage().workflow(ref).fetchHistory();
  const text = textOf(history.events);
  expect(text).not.toMatch(/telling-name|max-model-len/);
  expect(keyIdsOf(text)).toEqual(['first']);
  const payloads = payloadsOf(history.events);
  expect(payloads.filter(({ encoding }) => encoding === 'binary/encrypted').length).toBeGreaterThan(5);
  // Besides search attributes only what the server itself says of a try that is asked for while the step waits for its next one.
  const shown = payloads.filter(({ encoding }) => encoding !== 'binary/encrypted');
  const others = shown.filter(({ field }) => !field.includes('.searchAttributes.'));
  const ofServer = 'activityTaskCanceledEventAttributes.details.payloads: "ACTIVITY_ID_NOT_STARTED"';
  expect(others.map(({ field, data }) => `${field}: ${data}`).filter((one) => one !== ofServer)).toEqual([]);
  const searched = shown.filter(({ field }) => field.includes('.searchAttributes.'));
  expect(new Set(searched.map(({ field }) => field.split('.').at(-1)))).toEqual(
    new Set(['KaitoNamespace', 'KaitoPreset', 'KaitoInstanceType', 'KaitoPhase']),
  );

  const keys = { folder, current: 'first' };
  const { workflowId } = stage().workflow(ref);
  const handle: WorkflowHandle = (await clientWith(keys)).workflow.getHandle(workflowId);
  await stage().answers(handle, (await stage().ready(ref)).status);
  expect(await (await handle.describe()).staticDetails()).toContain('Signals: `look`, `retry`');
  await expect(stage().workflow(ref).query('status')).rejects.toThrow('binary/encrypted');

  const replay = async (options: Parameters<typeof openDataConverter>[0]): Promise<void> => {
    const dataConverter = await openDataConverter(options);
    await Worker.runReplayHistory({ workflowBundle: bundle, dataConverter }, history, workflowId);
  };
  await replay(keys);
  await expect(replay(undefined)).rejects.toThrow('KAITO_PAYLOAD_KEYS is not set');
  await remove(ref);
  await stage().stop(product);
}, 120_000);

it('covers heartbeats and updates', async () => {
  const keys = { folder, current: 'first' };
  const product = await start({ KAITO_PAYLOAD_KEYS: folder, KAITO_PAYLOAD_KEY: 'first' });
  const ref = await apply({ annotations: { 'kaito.sh/node-class-name': 'encrypted-slow' } });
  await stage().workspaceWhen(ref, 'waits for its machine', ({ status }) => status.machines?.[0]?.phase === 'Launched');
  const details = await stage().poll('a step heartbeats', async () => {
    const [step] = (await stage().workflow(ref).describe()).raw.pendingActivities ?? [];
    return step?.heartbeatDetails?.payloads?.length === 1 && step.heartbeatDetails;
  });
  expect(payloadsOf([details]).map(({ encoding }) => encoding)).toEqual(['binary/encrypted']);

  const clusterId = `encrypted-${randomUUID()}`;
  const client = await clientWith(keys);
  const answer = await createTransport(client, clusterId, TASK_QUEUE).exchange(
    { session: 'telling-name', number: 1, joins: COORDINATOR_DEFAULTS },
    new AbortController().signal,
  );
  expect(answer).toBeDefined();
  const coordinator = stage().temporal.workflow.getHandle(coordinatorIdOf(clusterId));
  const updated = payloadsOf((await coordinator.fetchHistory()).events).filter(({ field }) => field.includes('Update'));
  expect(updated.map(({ encoding }) => encoding)).toEqual(['binary/encrypted', 'binary/encrypted']);
  await coordinator.terminate();

  await remove(ref);
  await stage().stop(product);
}, 120_000);

describe('a process', () => {
  let elsewhere: string;
  beforeAll(async () => {
    elsewhere = await mkdtemp(path.join(tmpdir(), 'kaito-keys-'));
    await put('lost');
    await stage().stop(await start({ KAITO_PAYLOAD_KEYS: folder, KAITO_PAYLOAD_KEY: 'lost' }));
  }, 60_000);
  afterAll(() => rm(elsewhere, { recursive: true }));

  it('does not start without keys once Temporal stores what is encrypted, and says what to set', async () => {
    await expect(start({})).rejects.toThrow(
      "a payload is encrypted with the key 'lost', and KAITO_PAYLOAD_KEYS is not set: name the folder that holds 'lost' there",
    );
  });

  it('does not start without the very key, and names it', async () => {
    await put('other', elsewhere);
    await expect(start({ KAITO_PAYLOAD_KEYS: elsewhere, KAITO_PAYLOAD_KEY: 'other' })).rejects.toThrow(
      `a payload is encrypted with the key 'lost', and ${elsewhere} (KAITO_PAYLOAD_KEYS) holds 'other': put 'lost' back there`,
    );
  });

  it('does not start with another key of that name', async () => {
    await put('lost', elsewhere);
    await expect(start({ KAITO_PAYLOAD_KEYS: elsewhere, KAITO_PAYLOAD_KEY: 'lost' })).rejects.toThrow(
      "a payload of the key 'lost' cannot be decrypted: the file 'lost' of KAITO_PAYLOAD_KEYS holds another key",
    );
  });
});
