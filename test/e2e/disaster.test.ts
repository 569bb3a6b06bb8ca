import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PRODUCT_MANIFESTS } from '../../local/defaults';
import { down, startComponent, stopComponent, up, type Environment } from '../../local/environment';
import { RESOURCES } from '../../kubernetes/resources';
import type { Workspace } from '../../api/workspace';
import type { Product } from '../../workers/product';
import { inference, NODE_CLASSES, Stage } from './support';
import { DIGEST, end, push, pushSecret, runningPod, STORAGE_CLASS, train, tuning } from './tuning-support';

/** What docs/disaster-recovery.md promises: Temporal's data lost, or the cluster's set back to a backup. */

type Ref = { readonly namespace: string; readonly name: string };
type Cluster = Environment & Required<Pick<Environment, 'kubeconfig' | 'temporal'>>;

const SLOW = 'disaster-slow';
const SETTINGS = { KAITO_TUNING_STORAGE_CLASS: STORAGE_CLASS, KAITO_NODE_CLASS_NAMES_ALLOWED: SLOW };
const MINUTES = 60_000;

let dir: string;
let cluster: Cluster;

async function start(): Promise<Cluster> {
  const parts = { kubernetes: true, karpenter: true, temporal: 'file' } as const;
  const { kubeconfig, temporal, ...rest } = await up({
    dir,
    parts,
    lifetime: 'owner',
    manifestFolders: PRODUCT_MANIFESTS,
  });
  if (kubeconfig === undefined || temporal === undefined) throw new Error('the environment lacks a part');
  return { ...rest, kubeconfig, temporal };
}

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kaito-disaster-'));
  cluster = await start();
}, 3 * MINUTES);
afterAll(async () => {
  await down(dir);
  await rm(dir, { recursive: true, force: true });
}, MINUTES);

async function apply(stage: Stage, parts: Parameters<typeof inference>[2] = {}): Promise<Ref> {
  const namespace = await stage.namespace();
  await stage.client.create(RESOURCES.workspaces, inference(namespace, 'phi', parts));
  return { namespace, name: 'phi' };
}

async function tune(stage: Stage): Promise<Ref> {
  const namespace = await stage.namespace();
  await pushSecret(stage, namespace);
  await stage.create(RESOURCES.workspaces, tuning(namespace, 'tune'));
  await train(stage, namespace, 'tune');
  return { namespace, name: 'tune' };
}

/** UIDs of everything that was made for a Workspace: what is doubled or made anew shows. */
function made({ view }: Stage, { namespace, name }: Ref) {
  return {
    claims: view.nodeClaims(namespace).map(({ metadata }) => metadata.uid),
    set: view.statefulSet(namespace, name)?.metadata.uid,
    pod: view.pod(namespace, `${name}-0`)?.metadata.uid,
    job: view.job(namespace, name)?.metadata.uid,
    push: view.job(namespace, `${name}-push`)?.metadata.uid,
  };
}

const isCancelled = ({ status }: Workspace): boolean => status?.step?.name === 'Cancelled';
const isDone = ({ status }: Workspace): boolean => status?.step?.name === 'Succeeded';
const isLaunched = ({ status }: Workspace): boolean => status?.machines?.[0]?.phase === 'Launched';

it(
  'goes on from the Workspaces when Temporal is lost with all its data: nothing is bought, trained or pushed twice',
  async () => {
    const stage = await Stage.open('disaster', SETTINGS, [], cluster);
    let product: Product = await stage.start();
    try {
      await stage.create(NODE_CLASSES, { metadata: { name: SLOW }, spec: { nodeRegistrationDelay: '1h' } });
      const ready = await apply(stage);
      const waiting = await apply(stage, { annotations: { 'kaito.sh/node-class-name': SLOW } });
      const pushing = await tune(stage);
      const pusher = await runningPod(stage, pushing.namespace, 'tune-push');
      const done = await tune(stage);
      await push(stage, done.namespace, 'tune');
      const cancelled = await apply(stage);
      const deleting = await apply(stage);
      for (const ref of [ready, cancelled, deleting]) await stage.ready(ref);
      const stuck = stage.onlyClaim(deleting.namespace);
      const finalizers = [...(stuck.metadata.finalizers ?? []), 'example.com/stuck'];
      await stage.client.patch(RESOURCES.nodeClaims, stuck.metadata, { metadata: { finalizers } });
      await stage.workflow(cancelled).cancel();
      await stage.client.delete(RESOURCES.workspaces, deleting);
      await stage.workspaceWhen(cancelled, 'is Cancelled', isCancelled);
      await stage.workspaceWhen(deleting, 'is released', ({ status }) => status.step?.name === 'Release');
      await stage.workspaceWhen(waiting, 'waits for its machine', isLaunched);
      await stage.workspaceWhen(done, 'is Succeeded', isDone);
      const all = [ready, waiting, pushing, done, cancelled, deleting];
      const before = all.map((ref) => made(stage, ref));
      const runs = new Map(
        all.map((ref) => [ref, stage.view.workspace(ref.namespace, ref.name)?.status?.workflow?.runID]),
      );

      await stage.stop(product);
      await stopComponent(dir, 'temporal');
      const data = path.join(dir, 'data');
      for (const file of await readdir(data)) if (file.startsWith('temporal.db')) await rm(path.join(data, file));
      await startComponent(dir, 'temporal');
      await expect(stage.workflow(ready).describe()).rejects.toThrow(/not found/);
      product = await stage.start();

      const isAnew = (ref: Ref) => (workspace: Workspace) =>
        workspace.status?.workflow?.runID !== runs.get(ref) && workspace.status?.workflow?.runID !== undefined;
      await stage.workspaceWhen(ready, 'has a workflow', isAnew(ready));
      await stage.ready(ready);
      await stage.workspaceWhen(waiting, 'waits again', (one) => isAnew(waiting)(one) && isLaunched(one));
      await stage.workspaceWhen(pushing, 'has a workflow', isAnew(pushing));
      await stage.workspaceWhen(done, 'is still done', (one) => isAnew(done)(one) && isDone(one));
      expect(all.slice(0, 5).map((ref) => made(stage, ref))).toEqual(before.slice(0, 5));

      await end(stage, pusher, 0, { image: 'registry.example.com/adapters/phi:1', digest: DIGEST, sent: 1 });
      await stage.workspaceWhen(pushing, 'is Succeeded', isDone);
      await stage.removeFinalizer(stuck, 'example.com/stuck');
      await stage.until('the deletion ends', () => stage.view.workspace(deleting.namespace, 'phi') === undefined);
      await stage.until('nothing of it is left', () => stage.view.remains(deleting.namespace).length === 0);

      // It was looked at as often as the others, and left alone.
      expect(stage.view.workspace(cancelled.namespace, 'phi')?.status?.state).toBe('Cancelled');
      await expect(stage.workflow(cancelled).describe()).rejects.toThrow(/not found/);
      await stage.client.delete(NODE_CLASSES, { name: SLOW });
    } finally {
      await stage.close();
    }
  },
  4 * MINUTES,
);

it(
  'follows the cluster when that is set back to a backup: what is gone again is let go, what is there again is served',
  async () => {
    const first = await Stage.open('backup', SETTINGS, ['worker', 'bridge'], cluster);
    const kept = await apply(first);
    const returning = await apply(first);
    for (const ref of [kept, returning]) await first.ready(ref);
    await first.leave();

    // The backup: etcd's data while it is stopped.
    const etcd = path.join(dir, 'data', 'etcd');
    const backup = path.join(dir, 'backup');
    await down(dir, { keepData: true });
    await cp(etcd, backup, { recursive: true });
    cluster = await start();

    const second = await Stage.open('later', SETTINGS, ['worker', 'bridge'], cluster);
    await second.ready(returning);
    const vanishing = await apply(second);
    await second.ready(vanishing);
    await second.client.delete(RESOURCES.workspaces, returning);
    // KWOK, started anew, looks after a node only when the former one's lease on it has ended: until then no pod stops.
    const isGone = (): boolean => second.view.workspace(returning.namespace, 'phi') === undefined;
    await second.until('it is gone', isGone, MINUTES);
    const { runID } = (await second.ready(kept)).status.workflow ?? {};
    expect(runID).toBeDefined();
    await second.leave();

    await down(dir, { keepData: true });
    await rm(etcd, { recursive: true });
    await cp(backup, etcd, { recursive: true });
    cluster = await start();

    const third = await Stage.open('restored', SETTINGS, ['worker', 'bridge'], cluster);
    try {
      const still = await third.ready(kept);
      expect(still.status.workflow?.runID).toBe(runID);
      const back = await third.workspaceWhen(
        returning,
        'has a workflow',
        ({ status }) => status.workflow !== undefined,
      );
      expect(back.metadata.deletionTimestamp).toBeUndefined();
      await third.poll('it is served by a workflow of its own', async () => {
        const { status } = await third.workflow(returning).describe();
        return status.name === 'RUNNING';
      });
      await third.ready(returning);
      await third.poll('the workflow of what is gone has ended', async () => {
        const { status } = await third.workflow(vanishing).describe();
        return status.name === 'COMPLETED';
      });
      for (const { namespace } of [kept, returning]) expect(third.view.nodeClaims(namespace)).toHaveLength(1);
      expect(third.view.nodeClaims()).toHaveLength(2);
    } finally {
      for (const ref of [kept, returning]) await third.client.delete(RESOURCES.workspaces, ref);
      await third.close();
    }
  },
  4 * MINUTES,
);
