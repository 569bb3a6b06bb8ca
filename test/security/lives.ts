import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import type { AddressInfo } from 'node:net';
import { RESOURCES } from '../../kubernetes/resources';
import { nodeClaimName } from '../../manifests/node-claim';
import { inference, NODE_CLASSES, type Stage } from '../e2e/support';
import { DIGEST, IMAGE, provision, push, runningPod, end, train, tuning } from '../e2e/tuning-support';
import { dockerConfig, PLANTED } from './planted';

/** Lives of Workspaces that together take every road of the product which asks something of the cluster. */

export interface Ref {
  readonly namespace: string;
  readonly name: string;
}

/** A dataset behind a name of this machine: what answers, and the address with its credentials. */
export interface Dataset {
  readonly url: string;
  /** For `KAITO_DATASET_PRIVATE_HOSTS`. */
  readonly host: string;
  close(): void;
}

const GPU_LABELS = {
  'nvidia.com/gpu.product': 'NVIDIA-A100-80GB-PCIe',
  'nvidia.com/gpu.count': '1',
  'nvidia.com/gpu.memory': '81920',
};
const INSTANCE_TYPE = 'Standard_NC24ads_A100_v4';
const MOST_REVISIONS = 10;

export async function serveDataset(): Promise<Dataset> {
  const { address } = await lookup(hostname(), { family: 4 });
  const server = createServer((_, response) => response.end('{"messages": []}\n')).listen(0, address);
  await once(server, 'listening');
  const host = `${hostname()}:${(server.address() as AddressInfo).port}`.toLowerCase();
  const url = `http://robot:${PLANTED.datasetPassword}@${host}/train.jsonl?sig=${PLANTED.datasetSignature}`;
  return { url, host, close: () => server.close() };
}

/** A model of the hub's that needs a token, options from a ConfigMap, an adapter from a private registry; edited by hand, changed often, deleted. */
export async function edited(stage: Stage): Promise<void> {
  const ref = { namespace: await stage.namespace(), name: 'phi' };
  const { namespace } = ref;
  await secret(stage, namespace, 'hub', { HF_TOKEN: PLANTED.huggingFaceToken });
  await secret(stage, namespace, 'pull', dockerConfig('registry.example.com', PLANTED.adapterPullPassword));
  await stage.create(RESOURCES.configMaps, {
    metadata: { namespace, name: 'options' },
    data: { 'inference_config.yaml': 'vllm:\n  max-model-len: 4096\n' },
  });
  const adapter = { source: { name: 'mine', image: IMAGE, imagePullSecrets: ['pull'] }, strength: '0.5' };
  const preset = { name: 'phi-4-mini-instruct', presetOptions: { modelAccessSecret: 'hub' } };
  await stage.client.create(
    RESOURCES.workspaces,
    inference(namespace, ref.name, { inference: { preset, config: 'options', adapters: [adapter] } }),
  );
  const ready = await stage.ready(ref);

  const set = stage.view.statefulSet(namespace, ref.name);
  const commandOf = (one: typeof set) => one?.spec.template.spec.containers[0]?.command?.[0];
  const edit = [{ op: 'replace', path: '/spec/template/spec/containers/0/command', value: ['other'] }];
  await stage.kubectl(namespace, ['patch', 'statefulset', ref.name, '--type=json', '-p', JSON.stringify(edit)]);
  await stage.until('it has its command again', () => {
    const now = stage.view.statefulSet(namespace, ref.name);
    // Edited, and set right.
    return (now?.metadata.generation ?? 0) >= (set?.metadata.generation ?? 0) + 2 && commandOf(now) === commandOf(set);
  });
  const service = await stage.client.patch(RESOURCES.services, ref, {
    spec: { selector: { 'kaito.sh/workspace': 'other' } },
  });
  await stage.until('the Service selects its pods again', () => {
    const now = stage.view.service(namespace, ref.name);
    const isLater = Number(now?.metadata.resourceVersion) > Number(service.metadata.resourceVersion);
    return isLater && now?.spec.selector?.['kaito.sh/workspace'] === ref.name;
  });

  // Nobody watches it: the next change of the Workspace finds it.
  const policy = { spec: { podSelector: { matchLabels: { 'kaito.sh/workspace': 'other' } } } };
  await stage.client.patch(RESOURCES.networkPolicies, ref, policy);
  for (let number = 1; number <= MOST_REVISIONS; number += 1) await formerRevision(stage, ref, number);
  await stage.patch(ready, { inference: { adapters: [] } });
  await stage.until(
    'the oldest revision made room for the new one',
    () => !stage.view.revisions(namespace).some(({ metadata }) => metadata.name === `${ref.name}-former-1`),
  );
  await stage.until('it has no adapter', () =>
    stage.view
      .statefulSet(namespace, ref.name)
      ?.spec.template.spec.containers.every(({ args = [] }) => !args.includes('--lora-modules')),
  );
  await stage.ready(ref);
  await removed(stage, ref);
}

/** A revision as the Workspace had it earlier: so many make the next one push out the oldest. */
async function formerRevision(stage: Stage, { namespace, name }: Ref, number: number): Promise<void> {
  const workspace = stage.view.workspace(namespace, name);
  await stage.create(RESOURCES.controllerRevisions, {
    metadata: {
      namespace,
      name: `${name}-former-${number}`,
      labels: { 'workspace.kaito.io/name': name },
      ownerReferences: [
        {
          apiVersion: 'kaito.sh/v1beta1',
          kind: 'Workspace',
          name,
          uid: workspace?.metadata.uid ?? '',
          controller: true,
        },
      ],
    },
    data: {},
    revision: number,
  });
}

/** From training on a dataset behind credentials to the pushed adapter, and another Workspace that serves it. */
export async function tuned(stage: Stage, dataset: Dataset): Promise<void> {
  const namespace = await stage.namespace();
  const ref = { namespace, name: 'tune' };
  await secret(stage, namespace, 'push', dockerConfig('registry.example.com', PLANTED.pushPassword));
  await stage.create(RESOURCES.workspaces, tuning(namespace, ref.name, { input: { urls: [dataset.url] } }));
  const user = { namespace, name: 'user' };
  await stage.create(RESOURCES.workspaces, {
    ...inference(namespace, user.name, {
      inference: { adapters: [{ source: { name: 'mine', workspace: ref.name } }] },
    }),
  });
  await stage.failing(user, 'MissingReference');

  await train(stage, namespace, ref.name);
  await push(stage, namespace, ref.name);
  await stage.workspaceWhen(ref, 'is Succeeded', (one) => one.status.tuning?.digest === DIGEST);
  await stage.ready(user);
}

/** A dataset that cannot be had: what is told of it names the host and nothing else. */
export async function withoutData(stage: Stage): Promise<Ref> {
  const ref = { namespace: await stage.namespace(), name: 'dataless' };
  await secret(stage, ref.namespace, 'push', dockerConfig('registry.example.com', PLANTED.pushPassword));
  const url = `https://robot:${PLANTED.datasetPassword}@data.invalid/train.jsonl?sig=${PLANTED.datasetSignature}`;
  await stage.create(RESOURCES.workspaces, tuning(ref.namespace, ref.name, { input: { urls: [url] } }));
  await stage.failing(ref, 'DatasetUnavailable');
  return ref;
}

/** A model that the hub has to describe, with the user's token: what the hub says is told, and not what it was asked with. */
export async function unknownModel(stage: Stage): Promise<Ref> {
  const ref = { namespace: await stage.namespace(), name: 'unknown' };
  await secret(stage, ref.namespace, 'hub', { HF_TOKEN: PLANTED.huggingFaceToken });
  const preset = { name: 'kaito-tests/no-such-model', presetOptions: { modelAccessSecret: 'hub' } };
  await stage.client.create(RESOURCES.workspaces, inference(ref.namespace, ref.name, { inference: { preset } }));
  await stage.workspaceWhen(ref, 'was refused', ({ status }) => status.step?.cause !== undefined);
  return ref;
}

/**
 * A training that fails, is told to go on, is cancelled while it trains, told to go on, and deleted while it trains again.
 *
 * @param logAsked resolves once the training's log was asked for.
 */
export async function unlucky(stage: Stage, logAsked: () => Promise<void>): Promise<void> {
  const ref = { namespace: await stage.namespace(), name: 'unlucky' };
  const { namespace, name } = ref;
  await secret(stage, namespace, 'push', dockerConfig('registry.example.com', PLANTED.pushPassword));
  await stage.create(RESOURCES.workspaces, tuning(namespace, name));
  await provision(stage, namespace, `${name}-results`);
  const first = await runningPod(stage, namespace, name);
  await logAsked();
  await end(stage, first, 42, { cause: 'OutOfMemory', message: 'CUDA out of memory' });
  const failed = await stage.workspaceWhen(
    ref,
    'is Failed, and let go of its machines',
    ({ status }) => status.state === 'Failed' && (status.machines ?? []).length === 0,
  );

  await stage.annotate(failed, { 'kaito.sh/retry': '1' });
  await runningPod(stage, namespace, name);
  await stage.workflow(ref).cancel();
  const cancelled = await stage.workspaceWhen(ref, 'is Cancelled', ({ status }) => status.step?.name === 'Cancelled');
  await stage.annotate(cancelled, { 'kaito.sh/retry': '2' });
  await runningPod(stage, namespace, name);
  await stage.client.delete(RESOURCES.workspaces, ref);
  await gone(stage, ref);
}

/** More machines than one. */
export async function spread(stage: Stage): Promise<void> {
  const ref = { namespace: await stage.namespace(), name: 'llama' };
  await stage.client.create(
    RESOURCES.workspaces,
    inference(ref.namespace, ref.name, { inference: { preset: { name: 'llama-3.3-70b-instruct' } } }),
  );
  const { status } = await stage.ready(ref);
  expect(status.targetNodeCount).toBe(3);
}

/** On the user's own node. */
export async function onOwnNode(stage: Stage): Promise<void> {
  const ref = { namespace: await stage.namespace(), name: 'own' };
  const node = `${ref.namespace}-a`;
  const amounts = { cpu: '32', memory: '256Gi', pods: '110', 'nvidia.com/gpu': '1' };
  stage.defer(() => stage.client.delete(RESOURCES.nodes, { name: node }));
  await stage.create(RESOURCES.nodes, {
    metadata: {
      name: node,
      annotations: { 'kwok.x-k8s.io/node': 'fake' },
      labels: { 'kubernetes.io/hostname': node, 'kubernetes.io/os': 'linux', ...GPU_LABELS, owner: ref.namespace },
    },
    status: { capacity: amounts, allocatable: amounts },
  });
  await stage.client.create(
    RESOURCES.workspaces,
    inference(ref.namespace, ref.name, {
      resource: { instanceType: undefined, labelSelector: { matchLabels: { owner: ref.namespace } } },
    }),
  );
  await stage.ready(ref);
}

/** A Workspace that fails for want of a ConfigMap: begun here, and ended by {@link mended}. */
export async function failing(stage: Stage): Promise<Ref> {
  const ref = { namespace: await stage.namespace(), name: 'failing' };
  await stage.client.create(
    RESOURCES.workspaces,
    inference(ref.namespace, ref.name, { inference: { config: 'options' } }),
  );
  await stage.failing(ref, 'MissingReference');
  await stage.until('an Event tells it', () => stage.view.events(ref.namespace).some(isMissingReference));
  return ref;
}

/** After a restart of the worker: it counts the Event that its former life wrote, meets a foreign machine of its name, and serves in the end. */
export async function mended(stage: Stage, ref: Ref): Promise<void> {
  const foreign = await foreignMachine(stage, ref);
  const count = (): number => stage.view.events(ref.namespace).find(isMissingReference)?.count ?? 0;
  const before = count();
  await stage.until('the Event is counted on', () => count() > before);
  await stage.create(RESOURCES.configMaps, {
    metadata: { namespace: ref.namespace, name: 'options' },
    data: { 'inference_config.yaml': 'vllm:\n  max-model-len: 4096\n' },
  });
  await stage.failing(ref, 'Conflict');
  await stage.client.delete(RESOURCES.nodeClaims, foreign);
  await stage.until(
    'it is gone',
    () => !stage.view.nodeClaims().some(({ metadata }) => metadata.name === foreign.name),
  );
  await stage.workflow(ref).signal('retry');
  await stage.ready(ref);
}

/** A NodeClaim that is named as the Workspace's first one will be, and belongs to nobody. */
async function foreignMachine(stage: Stage, { namespace, name }: Ref): Promise<{ readonly name: string }> {
  const uid = stage.view.workspace(namespace, name)?.metadata.uid ?? '';
  const purchase = { slot: 0, instanceType: INSTANCE_TYPE, round: 0 };
  const metadata = { name: nodeClaimName(uid, purchase), labels: { 'karpenter.sh/nodepool': 'kaito' } };
  await stage.create(RESOURCES.nodeClaims, {
    metadata,
    spec: {
      nodeClassRef: { group: NODE_CLASSES.group, kind: NODE_CLASSES.kind, name: 'default' },
      requirements: [{ key: 'node.kubernetes.io/instance-type', operator: 'In', values: [INSTANCE_TYPE] }],
      expireAfter: 'Never',
    },
  });
  return metadata;
}

/** A machine that does not come: begun here, and ended by {@link cancelledPurchase}. */
export async function waiting(stage: Stage, nodeClass: string): Promise<Ref> {
  const ref = { namespace: await stage.namespace(), name: 'waiting' };
  await stage.create(NODE_CLASSES, { metadata: { name: nodeClass }, spec: { nodeRegistrationDelay: '1h' } });
  stage.defer(() => stage.client.delete(NODE_CLASSES, { name: nodeClass }));
  const annotations = { 'kaito.sh/node-class-name': nodeClass };
  await stage.client.create(RESOURCES.workspaces, inference(ref.namespace, ref.name, { annotations }));
  await stage.workspaceWhen(ref, 'waits for its machine', ({ status }) => status.machines?.[0]?.phase === 'Launched');
  return ref;
}

export async function cancelledPurchase(stage: Stage, ref: Ref): Promise<void> {
  await stage.workflow(ref).cancel();
  await stage.workspaceWhen(ref, 'is Cancelled', ({ status }) => status.step?.name === 'Cancelled');
  expect(stage.view.nodeClaims(ref.namespace)).toEqual([]);
}

function isMissingReference({ reason }: { readonly reason?: string }): boolean {
  return reason === 'MissingReference';
}

async function secret(
  stage: Stage,
  namespace: string,
  name: string,
  stringData: Readonly<Record<string, string>>,
): Promise<void> {
  const type = '.dockerconfigjson' in stringData ? 'kubernetes.io/dockerconfigjson' : 'Opaque';
  await stage.create(RESOURCES.secrets, { metadata: { namespace, name }, type, stringData });
}

/** Deletes it, and waits until nothing is left. */
export async function removed(stage: Stage, ref: Ref): Promise<void> {
  await stage.client.delete(RESOURCES.workspaces, ref);
  await gone(stage, ref);
}

async function gone(stage: Stage, { namespace, name }: Ref): Promise<void> {
  await stage.until(
    'nothing is left',
    () => stage.view.workspace(namespace, name) === undefined && stage.view.remains(namespace).length === 0,
  );
}
