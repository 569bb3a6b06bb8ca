import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RESOURCES } from '../../kubernetes/resources';
import { inference, useStage } from '../e2e/support';
import { useEnvironment } from '../environment';
import { certificateAuthority, type Certified } from '../fakes/certificates';
import { bundleToFile, endAll, ProductProcess, type ProcessName } from './product';
import { TemporalProxy, type ProxyOptions } from './temporal-proxy';

/** The product before a Temporal server that asks who is there: by certificates, and by API keys. */
const stage = useStage('access', {}, []);
const PATIENCE_MS = 30_000;
const AUTHORITY = certificateAuthority('authority');
const SERVER = AUTHORITY.issue('server');

let folder: string;
let bundle: string;
const processes: ProductProcess[] = [];
const proxies: TemporalProxy[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-temporal-access-'));
  bundle = await bundleToFile();
}, 120_000);

afterEach(async () => {
  await endAll(processes.splice(0));
  for (const proxy of proxies.splice(0)) await proxy.stop();
});

afterAll(() => rm(folder, { recursive: true }));

/** A file in a folder that is the test's alone. */
async function write(name: string, text: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

async function proxy(options: Pick<ProxyOptions, 'clientAuthority' | 'apiKeys'>): Promise<TemporalProxy> {
  const { temporal } = useEnvironment();
  const started = await TemporalProxy.start({ server: SERVER, target: temporal.address, ...options });
  proxies.push(started);
  return started;
}

async function start(role: ProcessName, variables: Readonly<Record<string, string>>): Promise<ProductProcess> {
  const { kubeconfig, temporal } = useEnvironment();
  const process = await ProductProcess.start(role, {
    KUBECONFIG: kubeconfig,
    TEMPORAL_NAMESPACE: temporal.namespace,
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: await write('ca.crt', AUTHORITY.certificate),
    KAITO_NODE_CLASS_PROFILE: 'kwok',
    KAITO_WORKFLOW_BUNDLE: bundle,
    KAITO_HTTP_PORT: '0',
    KAITO_LOG_LEVEL: 'debug',
    ...variables,
  });
  processes.push(process);
  return process;
}

/** What says which certificate to show. */
async function shown(name: string, { certificate, key }: Certified): Promise<Readonly<Record<string, string>>> {
  return {
    TEMPORAL_TLS_CLIENT_CERT_PATH: await write(`${name}.crt`, certificate),
    TEMPORAL_TLS_CLIENT_KEY_PATH: await write(`${name}.key`, key),
  };
}

/** A Workspace's whole life, which takes both processes. */
async function serves(): Promise<void> {
  const ref = { namespace: await stage().namespace(), name: 'phi' };
  await stage().client.create(RESOURCES.workspaces, inference(ref.namespace, ref.name));
  await stage().ready(ref);
  await stage().client.delete(RESOURCES.workspaces, ref);
  await stage().until('it is gone', () => stage().view.workspace(ref.namespace, ref.name) === undefined);
}

it('serves through mutual TLS, and is refused without a certificate or with another authority’s', async () => {
  const { address } = await proxy({ clientAuthority: AUTHORITY.certificate });
  const anonymous = { TEMPORAL_ADDRESS: address, TEMPORAL_TLS: 'true' };
  const known = { ...anonymous, ...(await shown('client', AUTHORITY.issue('client'))) };
  await Promise.all([start('worker', known), start('bridge', known)]);
  await serves();

  const stranger = { ...anonymous, ...(await shown('stranger', certificateAuthority('other').issue('stranger'))) };
  const refused = new RegExp(`Temporal at ${address} cannot be reached`);
  await Promise.all([
    expect(start('worker', anonymous)).rejects.toThrow(refused),
    expect(start('bridge', stranger)).rejects.toThrow(refused),
  ]);
}, 240_000);

it('shows its API key, is refused with another one, and goes on with the new one when the file changes', async () => {
  const apiKeys = new Set(['first-key']);
  const server = await proxy({ apiKeys });
  const file = await write('api-key', 'first-key\n');
  const variables = { TEMPORAL_ADDRESS: server.address, KAITO_TEMPORAL_API_KEY_FILE: file };
  const [worker, bridge] = await Promise.all([start('worker', variables), start('bridge', variables)]);
  await serves();
  expect([...server.seenApiKeys]).toEqual(['first-key']);

  apiKeys.add('second-key');
  await write('api-key', 'second-key\n');
  await Promise.all([worker, bridge].map((one) => one.says('the API key of Temporal was renewed', PATIENCE_MS)));
  apiKeys.delete('first-key');
  await serves();
  expect([...server.seenApiKeys]).toEqual(['first-key', 'second-key']);
  expect(worker.output + bridge.output).not.toMatch(/first-key|second-key/);

  await write('api-key', 'wrong-key\n');
  await expect(start('worker', variables)).rejects.toThrow(/API key is not known/);
}, 240_000);
