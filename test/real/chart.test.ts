import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { down, up } from '../../local/environment';
import { buildProductImages } from '../../local/images';
import { provideImage } from '../../local/node/images';
import { getPrograms } from '../../local/programs';
import { CHART, commands, eventually, type Manifest, type Tools } from '../chart/support';

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
  await tools.helm(['install', 'kt', CHART, '--namespace', NAMESPACE], VALUES);
  // The node has no cluster DNS, so Temporal's name has to be known otherwise.
  const service = ['get', 'service', 'kt-temporal', '-n', NAMESPACE, '-o', 'jsonpath={.spec.clusterIP}'];
  const hostAliases = [{ ip: await tools.kubectl(service), hostnames: [`kt-temporal.${NAMESPACE}.svc`] }];
  await tools.helm(['upgrade', 'kt', CHART, '--namespace', NAMESPACE, '--wait', '--timeout', '300s'], {
    ...VALUES,
    hostAliases,
  });

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
