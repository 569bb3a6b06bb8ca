import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Client, Connection } from '@temporalio/client';
import { Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { ROOT } from '../../local/defaults';
import { NODE_POOL } from '../../local/environment';
import { connect, type KubernetesClient } from '../../kubernetes/client';
import type { Manifest } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { Workspace } from '../../api/workspace';
import { workflowIdOf } from '../../api/workflow';
import { Telemetry } from '../../telemetry/telemetry';
import { readConfiguration } from '../../workers/configuration';
import { createLogger, installRuntime } from '../../workers/logging';
import { bundleWorkflows, startProduct, type Product } from '../../workers/product';
import { useEnvironment } from '../environment';
import { startCuttableProxy, type CuttableProxy } from '../fakes/cuttable-proxy';
import { startCollector, type Collector, type ReceivedSpan } from '../fakes/otlp/collector';

const PATIENCE_MS = 40_000;

interface Running {
  readonly product: Product;
  readonly telemetry: Telemetry;
  readonly url: string;
  readonly lines: readonly Record<string, unknown>[];
}

let bundle: WorkflowBundleWithSourceMap;
let client: KubernetesClient;
let temporal: Client;
let folder: string;
let kubernetesProxy: CuttableProxy;
let temporalProxy: CuttableProxy;
let collector: Collector;
let namespace: string;
let running: Running;
let isFirst = true;
const undo: (() => Promise<unknown>)[] = [];

/** The product behind networks that can be cut, with its telemetry. */
async function start(): Promise<Running> {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger('info', { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const options = { environment: process.env, logger, version: '1.2.3', roles: ['worker', 'bridge'] };
  // Temporal's runtime can be installed once in a process; it belongs to the first.
  const telemetry = isFirst ? await Telemetry.openForProcess(options) : Telemetry.open(options);
  if (isFirst) installRuntime(logger, telemetry.runtimeOptions);
  isFirst = false;
  const port = await telemetry.listen(0);
  const url = `http://127.0.0.1:${port}`;
  const before = await get(`${url}/readyz`);
  expect(before).toMatchObject({ code: 503, body: { ok: false, checks: { started: { ok: false } } } });
  const product = await startProduct({
    configuration: readConfiguration({
      KAITO_NODE_CLASS_PROFILE: 'kwok',
      KAITO_NODE_POOL: NODE_POOL,
      KAITO_RESYNC: '2s',
    }),
    logger,
    roles: ['worker', 'bridge'],
    kubeconfig: path.join(folder, 'kubeconfig'),
    temporal: { address: temporalProxy.address, namespace: useEnvironment().temporal.namespace },
    workflowBundle: bundle,
    telemetry,
  });
  product.running.catch((error: unknown) => lines.push({ msg: 'the worker failed', error: String(error) }));
  return { product, telemetry, url, lines };
}

async function stop({ product, telemetry }: Running): Promise<void> {
  await product.stop();
  await telemetry.close();
}

async function get(url: string): Promise<{ readonly code: number; readonly body: unknown }> {
  const response = await fetch(url, { headers: { connection: 'close' } });
  return { code: response.status, body: await response.json() };
}

async function until<T>(what: string, ask: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) {
      throw new Error(
        `never: ${what}\n${running.lines
          .slice(-15)
          .map((line) => JSON.stringify(line))
          .join('\n')}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const workspaceNamed = (name: string) => client.get(RESOURCES.workspaces, { namespace, name });

async function becomeReady(name: string): Promise<Workspace> {
  await client.create(RESOURCES.workspaces, {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { namespace, name },
    resource: {
      instanceType: 'Standard_NC24ads_A100_v4',
      labelSelector: { matchLabels: { apps: name } },
    },
    inference: { preset: { name: 'phi-4-mini-instruct' } },
  } as Manifest);
  return until(`${name} is Ready`, async () => {
    const workspace = await workspaceNamed(name);
    return workspace?.status?.step?.name === 'Ready' && workspace;
  });
}

/** Values of a metric by its labels, as the process tells it now. */
async function metric(url: string, name: string): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`${url}/metrics`, { headers: { connection: 'close' } })).text();
  const found = text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'));
  return Object.fromEntries([...found].map(([, labels = '', value]) => [labels, Number(value)]));
}

beforeAll(async () => {
  const { kubeconfig, temporal: server } = useEnvironment();
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-telemetry-'));
  undo.push(() => rm(folder, { recursive: true }));
  collector = await startCollector();
  undo.push(() => collector.close());
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.endpoint;
  process.env['OTEL_BSP_SCHEDULE_DELAY'] = '50';
  client = connect({ kubeconfig });
  undo.push(() => client.close());
  const connection = await Connection.connect({ address: server.address });
  undo.push(() => connection.close());
  temporal = new Client({ connection, namespace: server.namespace });

  const api = new URL(client.server);
  kubernetesProxy = await startCuttableProxy({ host: api.hostname, port: Number(api.port) });
  undo.push(() => kubernetesProxy.close());
  const [host = '', port = ''] = server.address.split(':');
  temporalProxy = await startCuttableProxy({ host, port: Number(port) });
  undo.push(() => temporalProxy.close());
  const original = await readFile(kubeconfig, 'utf8');
  await writeFile(path.join(folder, 'kubeconfig'), original.replaceAll(api.host, kubernetesProxy.address));

  namespace = `telemetry-${Date.now().toString(36)}`;
  await client.create(RESOURCES.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  bundle = await bundleWorkflows();
  running = await start();
}, 120_000);

afterAll(async () => {
  delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  delete process.env['OTEL_BSP_SCHEDULE_DELAY'];
  for (const name of ['seen', 'traced']) await client.delete(RESOURCES.workspaces, { namespace, name });
  await until('nothing is left', async () => {
    const left = await Promise.all(['seen', 'traced'].map(workspaceNamed));
    return left.every((workspace) => workspace === undefined);
  });
  await stop(running);
  for (const one of undo.reverse()) await one();
}, 120_000);

describe('health', () => {
  const readiness = () => get(`${running.url}/readyz`);
  const isReady = async () => (await readiness()).code === 200;

  it('is ready once all parts are at work', async () => {
    await until('ready', isReady);
    expect(await readiness()).toEqual({
      code: 200,
      body: {
        ok: true,
        checks: Object.fromEntries(
          ['kubernetes', 'watches', 'temporal', 'temporal-worker', 'worker'].map((name) => [name, { ok: true }]),
        ),
      },
    });
    expect(await get(`${running.url}/healthz`)).toEqual({
      code: 200,
      body: { ok: true, checks: { 'watches-moving': { ok: true }, 'worker-alive': { ok: true } } },
    });
  });

  it('is not ready while Temporal is away, says so, stays alive, and is ready again', async () => {
    temporalProxy.cut();
    const told = await until('not ready', async () => {
      const { code, body } = await readiness();
      const { checks } = body as { checks: Record<string, { ok: boolean; problem?: string }> };
      return code === 503 && checks['temporal']?.ok === false && checks['temporal-worker']?.ok === false && checks;
    });
    expect(told['temporal']?.problem).toMatch(/./);
    expect(told['kubernetes']).toEqual({ ok: true });
    expect(await get(`${running.url}/healthz`)).toMatchObject({ code: 200 });
    expect(await metric(running.url, 'kaito_health_check')).toMatchObject({ 'check="temporal"': 0 });

    temporalProxy.mend();
    await until('ready again', isReady);
  }, 100_000);

  it('is not ready while the API server is away, says so, stays alive, and is ready again', async () => {
    kubernetesProxy.cut();
    const told = await until('not ready', async () => {
      const { code, body } = await readiness();
      const { checks } = body as { checks: Record<string, { ok: boolean; problem?: string }> };
      return code === 503 && checks['kubernetes']?.ok === false && checks['watches']?.ok === false && checks;
    });
    expect(told['watches']?.problem).toContain('workspaces: ');
    expect(told['temporal']).toEqual({ ok: true });
    expect(await get(`${running.url}/healthz`)).toMatchObject({ code: 200 });

    kubernetesProxy.mend();
    await until('ready again', isReady);
    expect((await metric(running.url, 'kaito_watch_errors_total'))['resource="workspaces"']).toBeGreaterThan(0);
  }, 100_000);

  it('nothing else is served', async () => {
    const { url } = running;
    const codes = await Promise.all([
      fetch(`${url}/`).then(({ status }) => status),
      fetch(`${url}/metrics`, { method: 'POST' }).then(({ status }) => status),
      fetch(`${url}/healthz`, { method: 'HEAD' }).then(({ status }) => status),
    ]);
    expect(codes).toEqual([404, 405, 200]);
  });
});

it('tells Temporal’s own metrics and Node’s, too: all that alerts and dashboard ask for', async () => {
  await becomeReady('seen');
  const folderOf = path.join(ROOT, 'charts', 'kaito-temporal');
  const [alerts, dashboard] = await Promise.all([
    readFile(path.join(folderOf, 'alerts', 'kaito.yaml'), 'utf8'),
    readFile(path.join(folderOf, 'dashboards', 'kaito.json'), 'utf8'),
  ]);
  const asked = new Set(
    [...`${alerts}${dashboard}`.matchAll(/\b(?:temporal|nodejs|process)_[a-z0-9_]+/g)].map(([name]) => name),
  );
  expect(asked.size).toBeGreaterThan(8);
  const text = await (await fetch(`${running.url}/metrics`)).text();
  const told = new Set([...text.matchAll(/^([a-zA-Z_:][\w:]*)/gm)].map(([, name]) => name));
  // Requests have failed since the network was cut above.
  expect([...asked].filter((name) => !told.has(name))).toEqual([]);
});

it('Temporal’s own lines go into the same log', () => {
  expect(running.lines.filter(({ sdkComponent }) => sdkComponent !== undefined).length).toBeGreaterThan(0);
});

it('tells of Workspaces and machines what is so, also right after a restart', async () => {
  const told = async () => {
    const workspaces = await metric(running.url, 'kaito_workspaces');
    const machines = await metric(running.url, 'kaito_machines');
    return {
      ready: workspaces['kind="inference",state="Ready",step="Ready",cause=""'],
      machines: machines['provider="karpenter",instance_type="Standard_NC24ads_A100_v4",phase="Ready"'],
    };
  };
  await until('the cache has it', async () => (await told()).ready !== undefined);
  expect(await told()).toEqual({ ready: 1, machines: 1 });
  const attempts = await metric(running.url, 'kaito_step_attempts_total');
  for (const step of ['Plan', 'Machines', 'Workload', 'Serving']) {
    expect(attempts[`step="${step}",outcome="done",cause=""`]).toBeGreaterThanOrEqual(1);
  }
  const durations = await metric(running.url, 'kaito_step_duration_seconds_count');
  expect(durations['step="Machines"']).toBe(1);
  const lag = await metric(running.url, 'kaito_bridge_lag_seconds_count');
  expect(lag['reason="generation"']).toBeGreaterThanOrEqual(1);

  await stop(running);
  running = await start();
  expect(await told()).toEqual({ ready: 1, machines: 1 });
}, 100_000);

it('each line of a step names Workspace, UID, workflow, run, step and attempt; so do those of the bridge', async () => {
  const workspace = await workspaceNamed('seen');
  await client.patch(
    RESOURCES.workspaces,
    { namespace, name: 'seen' },
    {
      metadata: { annotations: { 'kaito.sh/retry': 'for the log' } },
    },
  );
  const mine = { workspace: `${namespace}/seen`, uid: workspace?.metadata.uid };
  const id = workflowIdOf({ namespace, name: 'seen' });
  await until('the steps ran', () =>
    running.lines.some(
      ({ msg, step, workspace: of }) => msg === 'attempt ended' && step === 'Serving' && of === mine.workspace,
    ),
  );
  const ofSteps = running.lines.filter(({ workspace: of, step }) => of === mine.workspace && step !== undefined);
  expect(ofSteps.length).toBeGreaterThanOrEqual(4);
  for (const line of ofSteps) {
    expect(line).toMatchObject({ ...mine, workflowId: id, attempt: 1, activity: expect.any(String) as string });
    expect(line['runId']).toMatch(/^[0-9a-f-]{36}$/);
  }
  const look = running.lines.find(({ msg, workspace: of }) => msg === 'look' && of === mine.workspace);
  expect(look).toMatchObject({ ...mine, workflowId: id, reason: 'retry', trace_id: expect.any(String) as string });
}, 60_000);

describe('traces', () => {
  const named = (spans: readonly ReceivedSpan[], name: string) => spans.find((span) => span.name === name);

  it('lead from the change of a Workspace through signal and workflow to the steps and their requests', async () => {
    await becomeReady('traced');
    const at = { 'kaito.workspace': `${namespace}/traced` };
    const trace = await until('the whole trace was sent', () => {
      const look = collector.spans.find(
        ({ name, attributes }) =>
          name === 'look: generation' && attributes['kaito.workspace'] === at['kaito.workspace'],
      );
      const spans = collector.spans.filter(({ traceId }) => traceId === look?.traceId);
      return look !== undefined && named(spans, 'waitUntilServing') !== undefined && spans;
    });

    const look = named(trace, 'look: generation');
    const signal = named(trace, 'signal: look');
    const handled = named(trace, 'workflow: look');
    const plan = named(trace, 'planWorkspace');
    expect(look).toMatchObject({ parentSpanId: '', service: 'kaito-temporal', attributes: at, status: 0 });
    expect(signal?.parentSpanId).toBe(look?.spanId);
    expect(handled?.parentSpanId).toBe(signal?.spanId);
    for (const activity of ['planWorkspace', 'acquireMachines', 'applyWorkload', 'waitUntilServing']) {
      expect(named(trace, activity)).toMatchObject({ parentSpanId: handled?.spanId, attributes: at, status: 0 });
    }
    expect(plan?.attributes).toMatchObject({ 'kaito.step': 'Plan', 'kaito.attempt': '1' });
    const requests = trace.filter(({ attributes }) => attributes['kaito.kubernetes.verb'] !== undefined);
    const apply = named(trace, 'applyWorkload');
    expect(requests.filter(({ parentSpanId }) => parentSpanId === apply?.spanId).map(({ name }) => name)).toContain(
      'patch statefulsets',
    );
    expect(look?.startMs).toBeLessThanOrEqual(plan?.startMs ?? 0);
    expect(new Set(collector.requests.map(({ path: at }) => at))).toEqual(new Set(['/v1/traces']));
  }, 60_000);

  it('a history with traces is replayed by a worker that knows nothing of them', async () => {
    const workflowId = workflowIdOf({ namespace, name: 'traced' });
    const history = await temporal.workflow.getHandle(workflowId).fetchHistory();
    expect(JSON.stringify(history)).toContain('traceparent');
    await Worker.runReplayHistory({ workflowBundle: bundle }, history, workflowId);
  });
});
