import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NativeConnection } from '@temporalio/worker';
import { down, up } from '../../local/environment';
import { buildProductImages } from '../../local/images';
import { provideImage } from '../../local/node/images';
import { getPrograms } from '../../local/programs';
import { CHART, commands, eventually, manifests, only, type Manifest, type Tools, type Values } from '../chart/support';

/** The chart's pods, for real: the product's image and Temporal's on the real node, under the chart's roles; bought machines are simulated. */

const OPEN_WITHIN_MS = 30 * 60_000;
const NAMESPACE = 'kaito-system';
const onRealNode = {
  nodeSelector: { 'kaito.sh/real': 'true' },
  resources: { requests: { cpu: '50m', memory: '128Mi' } },
};
const VALUES = {
  config: { KAITO_NODE_CLASS_PROFILE: 'kwok', KAITO_RESYNC: '5s' },
  worker: onRealNode,
  bridge: onRealNode,
  temporal: { dev: onRealNode },
};
const RELEASE = ['kt', CHART, '--namespace', NAMESPACE] as const;
const PATIENCE = ['--wait', '--timeout', '300s'] as const;

let folder: string;
let tools: Tools;

beforeAll(async () => {
  const log = (line: string) => process.stderr.write(`${line}\n`);
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-test-chart-'));
  const images = await buildProductImages(log);
  const { helm, kubectl } = await getPrograms(['helm', 'kubectl'], log);
  const dir = path.join(folder, 'environment');
  const parts = { kubernetes: true, karpenter: true, temporal: false, realNode: true } as const;
  const environment = await up({ dir, parts, lifetime: 'owner', log });
  for (const image of [images.product, images.temporal]) await provideImage(dir, image, image.name);
  tools = commands({ helm: helm.file, kubectl: kubectl.file }, folder, environment);
}, OPEN_WITHIN_MS);

afterAll(async () => {
  await down(path.join(folder, 'environment'));
  await rm(folder, { recursive: true, force: true });
}, 120_000);

function apply(...objects: readonly object[]): Promise<string> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  return tools.kubectl(['apply', '-f', '-'], JSON.stringify(list));
}

function workspace(name: string): object {
  return {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { name, namespace: 'default' },
    resource: { instanceType: 'Standard_NC24ads_A100_v4', labelSelector: { matchLabels: { apps: name } } },
    inference: { preset: { name: 'phi-4-mini-instruct' } },
  };
}

function ready(name: string): Promise<string> {
  return tools.kubectl(['wait', `workspace/${name}`, '--for=jsonpath={.status.state}=Ready', '--timeout=120s']);
}

async function temporalAddress(): Promise<string> {
  return tools.kubectl(['get', 'service', 'kt-temporal', '-n', NAMESPACE, '-o', 'jsonpath={.spec.clusterIP}']);
}

/** The node has no cluster DNS, so Temporal's name has to be known otherwise. */
async function namingTemporal(values: Values): Promise<Values> {
  return { ...values, hostAliases: [{ ip: await temporalAddress(), hostnames: [`kt-temporal.${NAMESPACE}.svc`] }] };
}

interface Pod extends Manifest {
  readonly status: {
    readonly containerStatuses: readonly {
      readonly user?: { readonly linux?: { readonly uid: number } };
      readonly lastState?: { readonly terminated?: { readonly exitCode: number } };
    }[];
  };
}

/** The release's pods of these roles that are there to stay. */
async function running(...components: readonly string[]): Promise<readonly Pod[]> {
  const selector = `app.kubernetes.io/component in (${components.join()})`;
  const answer = await tools.kubectl(['get', 'pods', '-n', NAMESPACE, '--selector', selector, '-o', 'json']);
  const { items } = JSON.parse(answer) as { items: readonly Pod[] };
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

it('comes up, under the strictest standard for pods', async () => {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels } });
  await tools.helm(['install', ...RELEASE], VALUES);
  await tools.helm(['upgrade', ...RELEASE, ...PATIENCE], await namingTemporal(VALUES));

  const users = (await running('worker', 'bridge', 'temporal')).map(({ metadata, status }) => [
    metadata.labels?.['app.kubernetes.io/component'],
    status.containerStatuses[0]?.user?.linux?.uid,
  ]);
  expect(new Set(users.map(([component, uid]) => `${component} ${uid}`))).toEqual(
    new Set(['worker 2000', 'bridge 2000', 'temporal 1000']),
  );
}, 400_000);

it('serves a Workspace with the chart’s permissions and no others, and lets it go', async () => {
  await apply(workspace('served'));
  await ready('served');

  await tools.kubectl(['delete', 'workspace', 'served', '--timeout=120s']);
  expect(await tools.kubectl(['get', 'nodeclaims', '-o', 'name'])).toBe('');
}, 300_000);

it('goes on when every worker and bridge is told to end, which each does by itself, in good order', async () => {
  await apply(...['a', 'b', 'c'].map(workspace));
  const before = await running('worker', 'bridge');
  for (const { metadata } of before) {
    await tools.kubectl(['exec', '-n', NAMESPACE, metadata.name, '--', 'sh', '-c', 'kill -TERM 1']);
  }

  await eventually(async () => {
    const ends = (await running('worker', 'bridge')).map(
      ({ status }) => status.containerStatuses[0]?.lastState?.terminated?.exitCode,
    );
    expect(ends).toEqual(before.map(() => 0));
  });
  await Promise.all(['a', 'b', 'c'].map(ready));
  const claims = (await tools.kubectl(['get', 'nodeclaims', '-o', 'name'])).trim().split('\n');
  expect(claims).toHaveLength(3);
  await tools.kubectl(['delete', 'workspace', 'a', 'b', 'c', '--timeout=120s']);
}, 600_000);

describe('with worker versions', () => {
  const one = { ...onRealNode, replicas: 1 };
  const versioned = (config: Values = {}) =>
    namingTemporal({
      ...VALUES,
      worker: one,
      bridge: one,
      config: { ...VALUES.config, KAITO_WORKER_VERSIONING: 'true', ...config },
    });

  /** Which version Temporal gives the work to, and the pod that told it so. */
  async function current() {
    const connection = await NativeConnection.connect({ address: `${await temporalAddress()}:7233` });
    try {
      const { workerDeploymentInfo: info } = await connection.workflowService.describeWorkerDeployment({
        namespace: 'default',
        deploymentName: 'kaito',
      });
      return {
        buildId: info?.routingConfig?.currentDeploymentVersion?.buildId,
        toldBy: info?.lastModifierIdentity?.split('@')[1] ?? '',
      };
    } finally {
      await connection.close();
    }
  }

  /** Pods of the hook that the real node's kubelet started; Events outlive them. */
  async function promotionPods(): Promise<readonly string[]> {
    const started = 'reason=Started,involvedObject.kind=Pod,source=kubelet';
    const answer = await tools.kubectl(['get', 'events', '-n', NAMESPACE, '--field-selector', started, '-o', 'json']);
    const { items } = JSON.parse(answer) as {
      items: readonly { involvedObject: { name: string }; source: { host?: string } }[];
    };
    return items
      .filter(({ source }) => source.host === 'real')
      .map(({ involvedObject }) => involvedObject.name)
      .filter((name) => name.startsWith('kt-promotion-'));
  }

  /**
   * That a pod of the hook that was not there before ran to its end, and that the version has the work.
   *
   * @returns the pod that gave it the work.
   */
  async function expectPromoted(buildId: string, before: readonly string[]) {
    const now = await current();
    expect(now.buildId).toBe(buildId);
    const pods = (await promotionPods()).filter((name) => !before.includes(name));
    expect(pods).toHaveLength(1);
    expect(await tools.kubectl(['get', 'jobs', '-n', NAMESPACE, '-o', 'name'])).toBe('');
    return { toldBy: now.toldBy, pod: pods[0] };
  }

  /** Workers take over by themselves when those that have the work were not heard of for 90 s; here they are, a moment before the hook's turn. */
  async function serve(name: string): Promise<void> {
    await apply(workspace(name));
    await ready(name);
  }

  it('gives the work to these by its Job, in a pod, with each upgrade and rollback; Workspaces go on', async () => {
    await serve('under-none');
    await tools.helm(['upgrade', ...RELEASE, ...PATIENCE], await versioned());
    const print = ['node', '/app/dist/workers/promote.js', '--print'];
    const ofCode = (await tools.kubectl(['exec', '-n', NAMESPACE, 'deployment/kt-worker', '--', ...print])).trim();
    const first = await expectPromoted(ofCode, []);
    expect(first.toldBy).toBe(first.pod);

    await serve('under-first');
    let before = await promotionPods();
    await tools.helm(['upgrade', ...RELEASE, ...PATIENCE], await versioned({ KAITO_BUILD_ID: 'next' }));
    const second = await expectPromoted('next', before);
    expect(second.toldBy).toBe(second.pod);

    await serve('under-next');
    before = await promotionPods();
    await tools.helm(['rollback', 'kt', '--namespace', NAMESPACE, ...PATIENCE]);
    const back = await expectPromoted(ofCode, before);
    expect(back.toldBy).toBe(back.pod);

    await tools.kubectl(['delete', 'workspace', 'under-none', 'under-first', 'under-next', '--timeout=120s']);
  }, 600_000);

  it('gives the work to these when it is installed', async () => {
    await tools.helm(['uninstall', 'kt', '--namespace', NAMESPACE, ...PATIENCE]);
    // Temporal's address has to be known before it is there: the Service is made first, as the release's own.
    const all = manifests(await tools.helm(['template', ...RELEASE, '--show-only', 'templates/temporal.yaml'], VALUES));
    const { metadata, ...service } = only(all, 'Service', 'kt-temporal');
    const annotations = { 'meta.helm.sh/release-name': 'kt', 'meta.helm.sh/release-namespace': NAMESPACE };
    await apply({ ...service, metadata: { ...metadata, annotations } });
    const before = await promotionPods();

    // The Job's pod is there before Temporal is, and before any worker. These may be quicker than it, as no other has the work.
    await tools.helm(['install', ...RELEASE, '--timeout', '300s'], await versioned({ KAITO_BUILD_ID: 'installed' }));

    await expectPromoted('installed', before);
    await serve('first');
    await tools.kubectl(['delete', 'workspace', 'first', '--timeout=120s']);
  }, 600_000);
});
