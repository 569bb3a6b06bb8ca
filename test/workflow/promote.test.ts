import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { ROOT } from '../../local/defaults';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import { Telemetry } from '../../telemetry/telemetry';
import { observeWorker } from '../../workers/observability';
import { bundleWorkflows } from '../../workers/product';
import { currentVersion, deploymentOptions, promote, type WorkerVersion } from '../../workers/versioning';
import { useTemporal } from '../environment';
import { certificateAuthority } from '../fakes/certificates';
import { TemporalProxy } from '../security/temporal-proxy';
import { until } from './harness';

/** The command of operators and of the chart's Job, as a process of its own. */

const AUTHORITY = certificateAuthority('authority');
const API_KEY = 'promoters-key';

let folder: string;
let proxy: TemporalProxy;
let gate: Server;
let connection: NativeConnection;
let bundle: WorkflowBundleWithSourceMap;
const through: Socket[] = [];

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-promote-'));
  await writeFile(path.join(folder, 'ca.crt'), AUTHORITY.certificate);
  await writeFile(path.join(folder, 'api-key'), `${API_KEY}\n`, { mode: 0o600 });
  proxy = await TemporalProxy.start({
    server: AUTHORITY.issue('server'),
    target: useTemporal().address,
    apiKeys: new Set([API_KEY]),
  });
  connection = await NativeConnection.connect({ address: useTemporal().address });
  bundle = await bundleWorkflows();
});
afterAll(async () => {
  for (const socket of through) socket.destroy();
  await new Promise((resolve) => gate.close(resolve));
  await proxy.stop();
  await connection.close();
  await rm(folder, { recursive: true });
});

/** An address at which nothing answers until {@link open}. */
async function closedGate(): Promise<string> {
  gate = createServer((socket) => {
    const [host, port] = proxy.address.split(':');
    const onward = connect(Number(port), host);
    through.push(socket, onward);
    for (const one of [socket, onward]) one.on('error', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  gate.listen(0, '127.0.0.1');
  await once(gate, 'listening');
  const { port } = gate.address() as AddressInfo;
  gate.close();
  await once(gate, 'close');
  return `127.0.0.1:${port}`;
}

async function open(address: string): Promise<void> {
  gate.listen(Number(address.split(':')[1]), '127.0.0.1');
  await once(gate, 'listening');
}

function workerOf(version: WorkerVersion, identity?: string): Promise<Worker> {
  const { namespace } = useTemporal();
  const { taskQueue } = version;
  return Worker.create({
    connection,
    namespace,
    taskQueue,
    workflowBundle: bundle,
    // With none it would not ask for activities, as every worker of the product does.
    activities: { rest: () => Promise.resolve() },
    ...deploymentOptions(version),
    ...(identity !== undefined && { identity }),
  });
}

function command(variables: Readonly<Record<string, string>>, wait: string, ...options: string[]) {
  const child = spawn(process.execPath, ['local/bootstrap.cjs', 'workers/promote.ts', '--wait', wait, ...options], {
    cwd: ROOT,
    env: {
      ...process.env,
      TEMPORAL_NAMESPACE: useTemporal().namespace,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: path.join(folder, 'ca.crt'),
      KAITO_TEMPORAL_API_KEY_FILE: path.join(folder, 'api-key'),
      ...variables,
    },
  });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, ...said }));
  return { said, ended };
}

it('waits for Temporal, then for a worker; gives it the work, and says so; done again it changes nothing', async () => {
  const taskQueue = `promote-${randomUUID().slice(0, 8)}`;
  const address = await closedGate();
  const variables = { TEMPORAL_ADDRESS: address, KAITO_TASK_QUEUE: taskQueue, KAITO_BUILD_ID: 'next' };
  const first = command(variables, '60');
  await until('it says that it waits', () => first.said.err.includes(`Temporal at ${address} cannot be reached`));
  await open(address);
  await until('it shows its key', () => proxy.seenApiKeys.has(API_KEY));
  expect(first.said.out).toBe('');

  const worker = await workerOf({ deploymentName: taskQueue, taskQueue, buildId: 'next' });
  await worker.runUntil(async () => {
    const line = `deployment ${taskQueue}: version next gets the work`;
    expect(await first.ended).toMatchObject({ code: 0, out: `${line} (before: workers without version)\n` });
    expect(await command(variables, '30').ended).toMatchObject({ code: 0, out: `${line} (as before)\n` });
  });

  const never = await command({ ...variables, KAITO_BUILD_ID: 'never-there' }, '1').ended;
  expect(never).toMatchObject({ code: 1, out: '' });
  expect(never.err).toContain(`has no worker of version 'never-there' on task queue '${taskQueue}' after`);
  expect(JSON.stringify([first.said, never])).not.toContain(API_KEY);
}, 120_000);

it('does not keep a rollout waiting: a worker is ready before its version gets the work', async () => {
  const server = { connection, namespace: useTemporal().namespace };
  const taskQueue = `promote-${randomUUID().slice(0, 8)}`;
  const [old, next] = ['old', 'next'].map((buildId) => ({ deploymentName: taskQueue, taskQueue, buildId })) as [
    WorkerVersion,
    WorkerVersion,
  ];
  const oldWorker = await workerOf(old);
  await oldWorker.runUntil(async () => {
    await promote(server, old, 30_000);
    const worker = await workerOf(next);
    const telemetry = Telemetry.open({ environment: {}, logger: SILENT_LOGGER, version: '1', roles: ['worker'] });
    observeWorker(telemetry, worker, connection);
    telemetry.started();
    expect(await telemetry.health.ready()).toMatchObject({ ok: false });
    await worker.runUntil(() => until('it is ready', async () => (await telemetry.health.ready()).ok));
    expect(await currentVersion(server, old)).toMatchObject({ buildId: 'old' });
    await telemetry.close();
  });
}, 60_000);

it('says which workers it took for those without version: one may have ended a moment ago', async () => {
  const taskQueue = `promote-${randomUUID().slice(0, 8)}`;
  const variables = { TEMPORAL_ADDRESS: proxy.address, KAITO_TASK_QUEUE: taskQueue };
  const none = { deploymentName: taskQueue, taskQueue, buildId: undefined };
  const one = await workerOf({ ...none, buildId: 'one' }, '1@with-version');
  await one.runUntil(async () => {
    await promote({ connection, namespace: useTemporal().namespace }, { ...none, buildId: 'one' }, 30_000);
    const worker = await workerOf(none, '1@without-version');
    await worker.runUntil(async () => {
      const { code, out } = await command(variables, '30', '--unversioned').ended;
      expect(code).toBe(0);
      expect(out).toMatch(/^deployment \S+: workers without version get the work \(before: version one\)\n/);
      expect(out).toMatch(/\ncounted as such workers: 1@without-version \(asked \d+ s ago\)\. .* counted for 90 s\n$/);
    });
  });
}, 60_000);
