import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { RESOURCES } from '../../kubernetes/resources';
import { inference, isReady, useStage } from './support';

/** What the Workspaces of a namespace may buy together. */

const folder = mkdtempSync(path.join(tmpdir(), 'kaito-test-quotas-'));
const file = path.join(folder, 'quotas.yaml');
const own: Record<string, object> = {};

function limit(limits: object, namespace?: string): void {
  if (namespace !== undefined) own[namespace] = limits;
  writeFileSync(`${file}.new`, stringify({ default: { maxMachines: 2 }, namespaces: own }));
  renameSync(`${file}.new`, file);
}

limit({});
const stage = useStage('quotas', { KAITO_QUOTAS_FILE: file });
afterAll(() => rmSync(folder, { recursive: true }));

const create = (namespace: string, name: string, patch: Parameters<typeof inference>[2] = {}) =>
  stage().client.create(RESOURCES.workspaces, inference(namespace, name, patch));

it('lets a Workspace wait for room in its own namespace, and go on when another is deleted', async () => {
  const [full, other] = [await stage().namespace(), await stage().namespace()];
  for (const name of ['a', 'b']) {
    await create(full, name);
    await stage().ready({ namespace: full, name });
  }

  await create(full, 'c');
  const waiting = await stage().failing({ namespace: full, name: 'c' }, 'NamespaceQuota');
  await create(other, 'c');
  await stage().ready({ namespace: other, name: 'c' });

  expect(waiting.status).toMatchObject({
    state: 'Pending',
    reservation: { state: 'Waiting', machines: 1, instanceType: 'Standard_NC24ads_A100_v4' },
    step: {
      name: 'Machines',
      message: `namespace ${full} may have 2 machines; 2 are in use by a, b; this needs 1 (1 × Standard_NC24ads_A100_v4)`,
    },
  });
  expect(stage().view.nodeClaims(full)).toHaveLength(2);
  await stage().until('an Event tells it', () =>
    stage()
      .view.events(full)
      .some(({ reason }) => reason === 'NamespaceQuota'),
  );

  await stage().client.delete(RESOURCES.workspaces, { namespace: full, name: 'a' });
  const ready = await stage().ready({ namespace: full, name: 'c' });
  expect(ready.status.reservation).toMatchObject({ state: 'Held', machines: 1 });
  expect(ready.status.step?.cause).toBeUndefined();
});

it('never lets two slip through at once, whichever worker they are on, and lets all in when the quota grows', async () => {
  const namespace = await stage().namespace();
  const second = await stage().start(['worker']);
  const names = ['a', 'b', 'c', 'd', 'e'];
  const one = (name: string) => stage().view.workspace(namespace, name);
  let most = 0;
  const counting = stage().until(
    'all are Ready',
    () => {
      most = Math.max(most, stage().view.nodeClaims(namespace).length);
      return names.map(one).every((workspace) => workspace !== undefined && isReady(workspace));
    },
    50_000,
  );
  await Promise.all(names.map((name) => create(namespace, name)));

  await stage().until('two are Ready and three wait', () => {
    const workspaces = names.map(one);
    const ready = workspaces.filter((workspace) => workspace !== undefined && isReady(workspace));
    const waiting = workspaces.filter((workspace) => workspace?.status?.reservation?.state === 'Waiting');
    return ready.length === 2 && waiting.length === 3;
  });
  expect(most).toBe(2);

  limit({ maxMachines: 5 }, namespace);
  await counting;
  expect(most).toBe(5);
  await stage().stop(second);
});

it('forgets one that waits when it is deleted, and lets the next one in', async () => {
  const namespace = await stage().namespace();
  limit({ maxMachines: 1 }, namespace);
  await create(namespace, 'first');
  await stage().ready({ namespace, name: 'first' });
  await create(namespace, 'second');
  await create(namespace, 'third');
  const waits = (name: string) => stage().failing({ namespace, name }, 'NamespaceQuota');
  await Promise.all([waits('second'), waits('third')]);

  await stage().client.delete(RESOURCES.workspaces, { namespace, name: 'second' });
  await stage().until('it is gone', () => stage().view.workspace(namespace, 'second') === undefined);
  expect(stage().view.nodeClaims(namespace)).toHaveLength(1);

  await stage().client.delete(RESOURCES.workspaces, { namespace, name: 'first' });
  await stage().ready({ namespace, name: 'third' });
});

it('says at once what a quota can never hold, and buys nothing', async () => {
  const namespace = await stage().namespace();
  const template = { spec: { containers: [{ name: 'it', image: 'registry.example/it:1' }] } };
  await stage().client.create(
    RESOURCES.workspaces,
    inference(namespace, 'large', { resource: { count: 3 }, inference: { preset: undefined, template } }),
  );
  const refused = await stage().failing({ namespace, name: 'large' }, 'NamespaceQuota');
  expect(refused.status.message).toContain(
    `namespace ${namespace} may have 2 machines; 3 × Standard_NC24ads_A100_v4 is more`,
  );

  limit({ maxPricePerHour: 5 }, namespace);
  await create(namespace, 'priced');
  const priced = await stage().failing({ namespace, name: 'priced' }, 'NamespaceQuota');
  expect(priced.status.message).toContain(
    `namespace ${namespace} may spend 5 USD an hour; what 1 × Standard_NC24ads_A100_v4 costs is not known`,
  );
  expect(priced.status.reservation).toBeUndefined();
  expect(stage().view.nodeClaims(namespace)).toEqual([]);
});
