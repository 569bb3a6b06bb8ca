import type { Workspace } from '../../api/workspace';
import type { StatefulSet } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { inference, isReady, textWith, useStage } from './support';

/** Workspaces that are changed after Ready, and what belongs to them edited or deleted by hand. */
const stage = useStage('change');

const CONFIG_KEY = 'inference_config.yaml';

async function readyWorkspace(patch: Parameters<typeof inference>[2] = {}): Promise<Workspace> {
  const namespace = await stage().namespace();
  await stage().client.create(RESOURCES.workspaces, inference(namespace, 'phi', patch));
  return stage().ready({ namespace, name: 'phi' });
}

/** The StatefulSet, once that holds of it and the Workspace is Ready with it. */
async function rolledOut(
  { metadata: { namespace, name } }: Workspace,
  what: string,
  holds: (set: StatefulSet) => boolean,
) {
  const set = await stage().until(`StatefulSet ${name} ${what}`, () => {
    const found = stage().view.statefulSet(namespace, name);
    return found !== undefined && holds(found) && found;
  });
  const { status } = await stage().workspaceWhen(
    { namespace, name },
    'is Ready with it',
    (one) => isReady(one) && one.status.workload?.generation === set.metadata.generation,
  );
  const pod = stage().view.pod(namespace, `${name}-0`);
  expect(pod?.metadata.labels?.['controller-revision-hash']).toBe(
    stage().view.statefulSet(namespace, name)?.status?.updateRevision,
  );
  return { set, status };
}

const argsOf = ({ spec }: StatefulSet): readonly string[] => spec.template.spec.containers[0]?.args ?? [];

const revisionsOf = ({ metadata: { namespace } }: Workspace): readonly number[] =>
  stage()
    .view.revisions(namespace)
    .map(({ revision }) => revision)
    .sort();

it('rolls out adapters that were added, and records the revision', async () => {
  const workspace = await readyWorkspace();
  const before = stage().onlyClaim(workspace.metadata.namespace);
  expect(revisionsOf(workspace)).toEqual([1]);

  const adapters = [{ source: { name: 'tone', image: 'example.com/tone:1' }, strength: '0.5' }];
  await stage().patch(workspace, { inference: { adapters } });
  const { set, status } = await rolledOut(workspace, 'serves the adapter', (one) =>
    argsOf(one).includes('--lora-modules'),
  );

  expect(set.spec.template.spec.initContainers).toHaveLength(1);
  expect(status.workload?.revision).toBe('2');
  expect(revisionsOf(workspace)).toEqual([1, 2]);
  const { namespace, name } = workspace.metadata;
  expect(stage().view.workspace(namespace, name)?.metadata.annotations).toMatchObject({
    'workspace.kaito.io/revision': '2',
  });
  expect(stage().onlyClaim(namespace).metadata.uid).toBe(before.metadata.uid);
});

it('goes back to the revision of a specification that was there before', async () => {
  const workspace = await readyWorkspace();
  await stage().patch(workspace, {
    inference: { adapters: [{ source: { name: 'tone', image: 'example.com/tone:1' } }] },
  });
  await rolledOut(workspace, 'serves the adapter', (one) => argsOf(one).includes('--lora-modules'));

  await stage().patch(workspace, { inference: { adapters: null } });
  const { status } = await rolledOut(workspace, 'serves none', (one) => !argsOf(one).includes('--lora-modules'));

  expect(status.workload?.revision).toBe('1');
  expect(revisionsOf(workspace)).toEqual([1, 2]);
});

it('rolls out another ConfigMap, and what is changed in it', async () => {
  const workspace = await readyWorkspace();
  const { namespace } = workspace.metadata;
  const options = { namespace, name: 'options' };
  await stage().create(RESOURCES.configMaps, {
    metadata: options,
    data: { [CONFIG_KEY]: 'vllm:\n  max-num-seqs: 8\n' },
  });

  await stage().patch(workspace, { inference: { config: 'options' } });
  const first = await rolledOut(workspace, 'has the option', (one) => argsOf(one).includes('--max-num-seqs=8'));
  await stage().client.patch(RESOURCES.configMaps, options, { data: { [CONFIG_KEY]: 'vllm:\n  max-num-seqs: 16\n' } });
  const second = await rolledOut(workspace, 'has the new option', (one) => argsOf(one).includes('--max-num-seqs=16'));

  const hashOf = ({ set }: typeof first) => set.spec.template.metadata?.annotations?.['kaito.sh/config-hash'];
  expect(hashOf(first)).toMatch(/^[0-9a-f]{64}$/);
  expect(hashOf(second)).not.toBe(hashOf(first));
  // The specification names the ConfigMap, so its content makes no revision.
  expect([first.status.workload?.revision, second.status.workload?.revision]).toEqual(['2', '2']);
  expect(second.status.workload?.hash).not.toBe(first.status.workload?.hash);
  const configMap = await stage().client.get(RESOURCES.configMaps, options);
  expect(second.status.inferenceConfig).toEqual({
    name: 'options',
    resourceVersion: configMap?.metadata.resourceVersion,
  });
});

it('takes further sizes without moving', async () => {
  const workspace = await readyWorkspace();
  const { namespace, name, uid } = workspace.metadata;
  const [claim, pod] = [stage().onlyClaim(namespace), stage().view.pod(namespace, 'phi-0')];

  await stage().patch(workspace, { resource: { instanceTypes: ['Standard_NC48ads_A100_v4'] } });
  const { status, metadata } = await stage().workspaceWhen(
    { namespace, name },
    'is Ready for it',
    (one) => isReady(one) && one.metadata.generation === 2,
  );

  expect(metadata.uid).toBe(uid);
  expect(status.conditions).toContainEqual(
    expect.objectContaining({ type: 'Planned', message: textWith('else 1 × Standard_NC48ads_A100_v4') }),
  );
  expect(stage().onlyClaim(namespace).metadata.uid).toBe(claim.metadata.uid);
  expect(stage().view.pod(namespace, 'phi-0')?.metadata.uid).toBe(pod?.metadata.uid);
});

it('sets right what was edited by hand', async () => {
  const workspace = await readyWorkspace();
  const { namespace } = workspace.metadata;
  const ref = { namespace, name: 'phi' };
  const command = stage().view.statefulSet(namespace, 'phi')?.spec.template.spec.containers[0]?.command;

  await stage().kubectl(namespace, ['scale', 'statefulset', 'phi', '--replicas=0']);
  await rolledOut(
    workspace,
    'has its replica again',
    ({ spec, metadata }) => spec.replicas === 1 && (metadata.generation ?? 0) >= 3,
  );
  const edit = [{ op: 'replace', path: '/spec/template/spec/containers/0/command', value: ['other'] }];
  await stage().kubectl(namespace, ['patch', 'statefulset', 'phi', '--type=json', '-p', JSON.stringify(edit)]);
  const { set } = await rolledOut(
    workspace,
    'has its command again',
    ({ spec, metadata }) =>
      (metadata.generation ?? 0) >= 5 && spec.template.spec.containers[0]?.command?.[0] !== 'other',
  );
  const selector = { 'kaito.sh/workspace': 'other' };
  const edited = await stage().client.patch(RESOURCES.services, ref, { spec: { selector } });
  await stage().until('the Service selects the pods again', () => {
    const { metadata, spec } = stage().view.service(namespace, 'phi') ?? edited;
    const isLater = Number(metadata.resourceVersion) > Number(edited.metadata.resourceVersion);
    return isLater && spec?.selector?.['kaito.sh/workspace'] === 'phi';
  });

  expect(set.spec.template.spec.containers[0]?.command).toEqual(command);
  await stage().ready(ref);
});

it('makes anew what was deleted by hand', async () => {
  const workspace = await readyWorkspace();
  const { namespace } = workspace.metadata;
  const claim = stage().onlyClaim(namespace);
  const uidOf = (kind: 'service' | 'statefulSet', name = 'phi') => stage().view[kind](namespace, name)?.metadata.uid;

  for (const name of ['phi', 'phi-headless']) {
    const before = uidOf('service', name);
    await stage().client.delete(RESOURCES.services, { namespace, name });
    await stage().until(`Service ${name} is there again`, () => ![undefined, before].includes(uidOf('service', name)));
  }
  const before = uidOf('statefulSet');
  await stage().client.delete(RESOURCES.statefulSets, { namespace, name: 'phi' });
  await stage().until('the StatefulSet is there again', () => ![undefined, before].includes(uidOf('statefulSet')));
  await stage().ready({ namespace, name: 'phi' });

  expect(stage().onlyClaim(namespace).metadata.uid).toBe(claim.metadata.uid);
});
