import { stringify } from 'yaml';
import { RESOURCES } from '../../kubernetes/resources';
import type { Life } from '../../cli/history/entry';
import { inference, NODE_CLASSES, useStage } from './support';
import { json, kaito } from './cli-support';

/** The command line tool, against a running product. */
const stage = useStage('cli', { KAITO_NODE_CLASS_NAMES_ALLOWED: 'cli-slow' });

beforeAll(async () => {
  await stage().create(NODE_CLASSES, { metadata: { name: 'cli-slow' }, spec: { nodeRegistrationDelay: '1h' } });
  stage().defer(() => stage().client.delete(NODE_CLASSES, { name: 'cli-slow' }));
});

async function apply(parts: Parameters<typeof inference>[2] = {}) {
  const namespace = await stage().namespace();
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi', parts));
  return { namespace, name: 'phi' };
}

const CONFIG = 'vllm:\n  max-model-len: 2048\n';

async function createConfig(namespace: string): Promise<void> {
  await stage().create(RESOURCES.configMaps, {
    metadata: { namespace, name: 'options' },
    data: { 'inference_config.yaml': CONFIG },
  });
}

async function livesOf(namespace: string): Promise<readonly Life[]> {
  return (json(await kaito(namespace, ['history', 'phi', '-o', 'json'])) as { lives: readonly Life[] }).lives;
}

describe('get', () => {
  it('lists Workspaces with what is known, and tells all about one', async () => {
    const ref = await apply();
    await stage().ready(ref);

    const list = await kaito(ref.namespace, ['get']);
    expect(list).toMatchObject({ code: 0, err: '' });
    const [header, row] = list.out.split('\n');
    expect(header?.split(/ {2,}/)).toEqual(['NAME', 'STATE', 'STEP', 'CAUSE', 'ETA', 'NODES', 'SIZE', 'COST/H', 'AGE']);
    expect(row?.split(/ {2,}/).slice(0, -1)).toEqual([
      'phi',
      'Ready',
      'Ready',
      '-',
      '-',
      '1/1',
      'Standard_NC24ads_A100_v4',
      '-',
    ]);

    const page = await kaito(ref.namespace, ['get', 'phi']);
    expect(page.out).toMatch(/^Workspace +cli-.*\/phi\nState +Ready\n/);
    expect(page.out).toContain(stage().onlyClaim(ref.namespace).metadata.name);
    expect(page.out).toMatch(/WorkspaceSucceeded +True/);

    expect(json(await kaito(ref.namespace, ['get', 'phi', '-o', 'json']))).toMatchObject({
      state: 'Ready',
      nodes: { ready: 1, target: 1 },
      machines: [{ phase: 'Ready', instanceType: 'Standard_NC24ads_A100_v4' }],
      workflow: { id: `workspace/${ref.namespace}/phi` },
    });
    const everywhere = json(await kaito(ref.namespace, ['get', '-A', '-o', 'json'])) as { namespace: string }[];
    expect(everywhere.map(({ namespace }) => namespace)).toContain(ref.namespace);
  });

  it('names what is missing, with another exit code', async () => {
    const namespace = await stage().namespace();
    expect(await kaito(namespace, ['get', 'nobody'])).toEqual({
      code: 3,
      out: '',
      err: `error: no Workspace 'nobody' in namespace '${namespace}'\nSee all with kaito get -A; what a deleted one went through: kaito history nobody -n ${namespace}.\n`,
    });
    expect(await kaito(namespace, ['history', 'nobody'])).toMatchObject({ code: 3, out: '' });
    expect(await kaito(namespace, ['get'])).toMatchObject({
      code: 0,
      err: `No Workspaces in namespace ${namespace}.\n`,
    });
  });
});

describe('history', () => {
  it('tells the steps of a Workspace, also after it is gone, and keeps two of one name apart', async () => {
    const ref = await apply();
    const first = await stage().ready(ref);
    await stage().client.delete(RESOURCES.workspaces, ref);
    await stage().until('it is gone', () => stage().view.workspace(ref.namespace, ref.name) === undefined);
    await stage().client.create(RESOURCES.workspaces, inference(ref.namespace, 'phi'));
    const second = await stage().ready(ref);
    await stage().client.delete(RESOURCES.workspaces, ref);
    await stage().until('it is gone', () => stage().view.workspace(ref.namespace, ref.name) === undefined);

    const lives = await stage().poll('both lives have ended', async () => {
      const read = await livesOf(ref.namespace);
      const isOver =
        read.length === 2 &&
        read.every(({ entries }) => entries.some(({ step, isUnderWay }) => step === 'Release' && isUnderWay !== true));
      return isOver && read;
    });

    expect(lives.map(({ uid }) => uid)).toEqual([first.metadata.uid, second.metadata.uid]);
    for (const { entries } of lives) {
      const steps = entries.filter(({ kind }) => kind === 'step').map(({ step }) => step);
      expect([...new Set(steps)]).toEqual(['Plan', 'Machines', 'Workload', 'Serving', 'Release']);
      expect(entries.find(({ step }) => step === 'Machines')).toMatchObject({ what: '1 × Standard_NC24ads_A100_v4' });
      expect(entries.filter(({ kind }) => kind === 'state').map(({ what }) => what)).toEqual(
        expect.arrayContaining(['Ready', 'Deleting']),
      );
      expect(entries.map(({ what }) => what)).toContain('deletion was asked for (generation 2)');
    }

    const text = await kaito(ref.namespace, ['history', 'phi', '--life', second.metadata.uid.slice(0, 13)]);
    expect(text.code).toBe(0);
    expect(text.out).toContain(second.metadata.uid);
    expect(text.out).not.toContain(first.metadata.uid);
    expect(text.out).toMatch(/Z +Plan +\d+m?s +plan; generation 1 by kaito-temporal \(Update\)\n/);
    expect(text.out).toMatch(/\nEnded +2.*: Deleted\n/);

    // Temporal is not there, or has forgotten: the records of the cluster remain.
    const nowhere = ['--address', '127.0.0.1:9', '--life', first.metadata.uid];
    const kept = await kaito(ref.namespace, ['history', 'phi'], { more: nowhere });
    expect(kept.code).toBe(0);
    expect(kept.err).toContain('note: what Temporal knows is left out: Temporal at 127.0.0.1:9 does not answer');
    expect(kept.out).toContain(`UID ${first.metadata.uid}`);
    expect(kept.out).toMatch(/\nMachines +0\.\d\d h of Standard_NC24ads_A100_v4\n/);
    expect(kept.out).toMatch(/generation 1 by kaito-temporal \(Update\)\n/);
    expect(kept.out).toMatch(/ +1 +Serving +1 +/);
  });

  it('tells of a step that fails again and again why, and how often it was tried', async () => {
    const ref = await apply({ inference: { config: 'options' } });
    await stage().workspaceWhen(ref, 'was tried twice', ({ status }) => (status.step?.attempt ?? 0) >= 2);

    const [life] = await livesOf(ref.namespace);
    const plan = life?.entries.find(({ step }) => step === 'Plan');
    expect(plan).toMatchObject({ isUnderWay: true, failure: { cause: 'MissingReference' } });
    expect(plan?.failure?.message).toContain("ConfigMap 'options'");
    expect(plan?.attempts).toBeGreaterThanOrEqual(2);
  });
});

describe('retry', () => {
  it('waits until it is Ready', async () => {
    const ref = await apply({ inference: { config: 'options' } });
    await stage().failing(ref, 'MissingReference');
    await createConfig(ref.namespace);

    const ran = await kaito(ref.namespace, ['retry', 'phi', '--wait']);

    expect(ran).toMatchObject({ code: 0, out: 'workspace/phi: asked for another try\n' });
    expect(ran.err).toMatch(/^Ready: serving on /m);
    expect((await stage().ready(ref)).status.observedRetry).toBeDefined();
  });

  it('fails with cause and remedy when the Workspace does, and when time is over', async () => {
    const failing = await apply({ inference: { config: 'options' } });
    await stage().create(RESOURCES.configMaps, {
      metadata: { namespace: failing.namespace, name: 'options' },
      data: { 'inference_config.yaml': 'vllm: [' },
    });
    await stage().workspaceWhen(failing, 'is Failed', ({ status }) => status.state === 'Failed');
    const ran = await kaito(failing.namespace, ['retry', 'phi', '--wait']);
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/error: Workspace '.*\/phi' is Failed \(InvalidInput\): Failed to parse inference_config/);

    const slow = await apply({ annotations: { 'kaito.sh/node-class-name': 'cli-slow' } });
    await stage().workspaceWhen(slow, 'waits', ({ status }) => status.machines?.[0]?.phase === 'Launched');
    const late = await kaito(slow.namespace, ['retry', 'phi', '--wait', '--timeout', '300ms']);
    expect(late.code).toBe(6);
    expect(late.err).toMatch(/is Pending after 300ms, in step Machines/);
  });
});

it('cancel releases, is said to be done already, and resume brings it back', async () => {
  const ref = await apply();
  await stage().ready(ref);
  const refused = await kaito(ref.namespace, ['resume', 'phi']);
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.err).toContain('is not cancelled, its state is Ready');

  expect(await kaito(ref.namespace, ['cancel', 'phi', '--wait'])).toMatchObject({ code: 0 });
  expect(stage().view.nodeClaims(ref.namespace)).toEqual([]);
  expect(await kaito(ref.namespace, ['cancel', 'phi'])).toMatchObject({
    code: 0,
    out: 'workspace/phi: is cancelled already\n',
  });
  const asked = (await livesOf(ref.namespace))
    .at(-1)
    ?.entries.find(({ what }) => what === 'cancellation was asked for');
  expect(asked?.by).toMatch(/^kaito .+@/);

  expect(await kaito(ref.namespace, ['resume', 'phi', '--wait'])).toMatchObject({ code: 0 });
  expect(stage().onlyClaim(ref.namespace)).toBeDefined();
});

describe('plan', () => {
  it('plans a Workspace of the cluster with its ConfigMap', async () => {
    const ref = await apply({ inference: { config: 'options' } });
    await createConfig(ref.namespace);
    await stage().ready(ref);

    expect(json(await kaito(ref.namespace, ['plan', 'phi', '-o', 'json']))).toMatchObject({
      sort: 'named',
      first: { instanceType: 'Standard_NC24ads_A100_v4', nodeCount: 1, maxModelLen: 2048 },
      inUse: 'Standard_NC24ads_A100_v4',
    });
  });

  it('asks the API server about a file, and stores nothing', async () => {
    const namespace = await stage().namespace();
    const plan = (manifest: object) =>
      kaito(namespace, ['plan', '-f', 'file.yaml', '-o', 'json'], { files: { 'file.yaml': stringify(manifest) } });

    const good = await plan(inference(namespace, 'phi'));
    expect(json(good)).toMatchObject({ admission: { kind: 'accepted' }, first: { nodeCount: 1 } });

    const bad = await plan(inference(namespace, 'phi', { annotations: { 'kaito.sh/performance-mode': 'reckless' } }));
    expect(bad.code).toBe(2);
    expect(JSON.parse(bad.out)).toMatchObject({ admission: { kind: 'refused' } });
    expect(await stage().client.get(RESOURCES.workspaces, { namespace, name: 'phi' })).toBeUndefined();
  });

  it('says of own nodes what would run there, or which nodes are missing', async () => {
    const namespace = await stage().namespace();
    const manifest = inference(namespace, 'own', {
      resource: { instanceType: undefined, labelSelector: { matchLabels: { owner: namespace } } },
    });
    const ran = await kaito(namespace, ['plan', '-f', '-'], { files: { '-': stringify(manifest) } });
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('Would get  nothing: none of these fits');
    expect(ran.out).toContain('resource.labelSelector: no nodes found matching');
  });
});
