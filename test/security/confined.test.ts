import { defineResource, RESOURCES } from '../../kubernetes/resources';
import { useStage } from '../e2e/support';
import { auditOf, permissionsUsed, told, type AuditEvent } from './audit-log';
import {
  cancelledPurchase,
  edited,
  failing,
  mended,
  onOwnNode,
  removed,
  serveDataset,
  spread,
  tuned,
  unlucky,
  unknownModel,
  waiting,
  withoutData,
  type Dataset,
} from './lives';
import { found, PLANTED, type Trace } from './planted';
import {
  bundleToFile,
  endAll,
  identifyBoth,
  ProductProcess,
  variablesOf,
  type Identity,
  type ProcessName,
} from './product';
import { permissionsOf, rulesOf } from './roles';
import { commandLineTraces, logTraces, objectTraces, requestTraces, temporalTraces, textOf } from './traces';

/**
 * The worker and the bridge as processes of their own, under exactly the chart's roles, through all kinds of lives, with secrets planted wherever users
 * and operators put some. Then: what they asked of the cluster, and where the secrets got to.
 */
const TOPIC = 'confined';
const SLOW = 'confined-slow';
const PATIENCE_MS = 25_000;
const LIVES_TIMEOUT_MS = 600_000;
const stage = useStage(TOPIC, {}, []);

/** Permissions that no request shows to be used, and what they are for. */
const NOT_IN_THE_AUDIT_LOG: Readonly<Record<ProcessName, Readonly<Record<string, string>>>> = {
  worker: {
    'update kaito.sh/workspaces/finalizers':
      'asked for by the admission plugin OwnerReferencesPermissionEnforcement, which the local API server runs, while another request is admitted',
    'delete persistentvolumeclaims':
      'for what a former Workspace left, where the garbage collector missed it: test/integration/results-claim.test.ts',
    'patch karpenter.sh/nodeclaims': 'for clusters that KAITO ran: its NodeClaims get our labels',
  },
  bridge: {
    'create events': 'told when workflow tasks fail: test/e2e tells of such a workflow',
    'get events': 'the same, where another bridge told it before',
    'get kaito.sh/workspaces': 'before a workflow that was lost is started again: test/e2e/disaster.test.ts',
    'patch events': 'the same, when it goes on',
  },
};

const STORAGE_CLASSES = defineResource(RESOURCES.storageClasses);

let identities: Readonly<Record<ProcessName, Identity>>;
let dataset: Dataset | undefined;
let worker: ProductProcess | undefined;
let bridge: ProductProcess | undefined;
const outputs: Trace[] = [];
const early: Trace[] = [];
let audit: Readonly<Record<ProcessName, readonly AuditEvent[]>>;

beforeAll(async () => {
  identities = await identifyBoth(stage());
  dataset = await serveDataset();
  const variables = {
    KAITO_NODE_CLASS_NAMES_ALLOWED: SLOW,
    KAITO_DATASET_PRIVATE_HOSTS: dataset.host,
    // With it the chart grants all rules of its files, which are what both run under here.
    KAITO_NETWORK_POLICIES: 'true',
    KAITO_WORKFLOW_BUNDLE: await bundleToFile(),
    AZURE_CLIENT_SECRET: PLANTED.processVariable,
  };
  const startWorker = () => ProductProcess.start('worker', { ...variablesOf(identities.worker), ...variables });
  const startBridge = () => ProductProcess.start('bridge', { ...variablesOf(identities.bridge), ...variables });
  [worker, bridge] = await Promise.all([startWorker(), startBridge()]);

  await aDefaultStorageClass();
  const [broken, slow, dataless, unknown] = await Promise.all([
    failing(stage()),
    waiting(stage(), SLOW),
    withoutData(stage()),
    unknownModel(stage()),
  ]);
  // What is at work is described with its heartbeats and its latest failure.
  await stage().poll('a heartbeat is told', async () =>
    textOf((await stage().workflow(slow).describe()).raw).includes('heartbeatDetails'),
  );
  early.push(...(await temporalTraces(stage(), TOPIC)), ...(await objectTraces(stage())));
  // They would ask for names that nobody knows for as long as they live, which can take resolvers long.
  await Promise.all([removed(stage(), dataless), removed(stage(), unknown)]);
  await worker.stop('SIGKILL');
  outputs.push({ where: 'output of the first worker', text: worker.output });
  worker = await startWorker();
  await Promise.all([mended(stage(), broken), cancelledPurchase(stage(), slow)]);

  await Promise.all([edited(stage()), tuned(stage(), dataset)]);
  const trained = worker;
  // Simulated nodes have no logs: what is asked for them is refused by them.
  const logAsked = () => trained.says('the log of a training could not be read', PATIENCE_MS);
  await Promise.all([unlucky(stage(), logAsked), spread(stage()), onOwnNode(stage())]);

  outputs.push({ where: 'output of the worker', text: worker.output });
  outputs.push({ where: 'output of the bridge', text: bridge.output });
  audit = { worker: await auditOf(identities.worker.username), bridge: await auditOf(identities.bridge.username) };
}, LIVES_TIMEOUT_MS);

afterAll(async () => {
  await endAll([worker, bridge]);
  dataset?.close();
});

async function aDefaultStorageClass(): Promise<void> {
  await stage().create(STORAGE_CLASSES, {
    metadata: { name: TOPIC, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'kubernetes.io/no-provisioner',
  });
  stage().defer(() => stage().client.delete(STORAGE_CLASSES, { name: TOPIC }));
}

describe.each(['worker', 'bridge'] as const)('the role of the %s', (name) => {
  it('allows all that it asks for', () => {
    const refused = audit[name].filter(({ responseStatus }) => [401, 403].includes(responseStatus?.code ?? 0));
    expect(refused.map(told)).toEqual([]);
  });

  it('allows nothing that it does not need', () => {
    const used = new Set(audit[name].flatMap(permissionsUsed));
    const unused = permissionsOf(rulesOf(name)).filter((one) => !used.has(one));
    expect(unused).toEqual(Object.keys(NOT_IN_THE_AUDIT_LOG[name]).sort());
  });
});

describe('Secrets', () => {
  const ofSecrets = (name: ProcessName): readonly AuditEvent[] =>
    audit[name].filter(({ objectRef }) => objectRef?.resource === 'secrets');

  it('are read by name, by the worker only', () => {
    expect(ofSecrets('worker').length).toBeGreaterThan(0);
    expect(ofSecrets('worker').filter(({ verb, objectRef }) => verb !== 'get' || !objectRef?.name)).toEqual([]);
    expect(ofSecrets('bridge')).toEqual([]);
  });

  it('are only those that Workspaces name and the plan needs', () => {
    const names = new Set(ofSecrets('worker').map(({ objectRef }) => objectRef?.name));
    expect([...names].sort()).toEqual(['hub', 'push']);
  });
});

describe('planted secrets', () => {
  it('are in no history, heartbeat, failure, search attribute or memo', async () => {
    const traces = [...early, ...(await temporalTraces(stage(), TOPIC))];
    expect(traces.some(({ text }) => text.includes('heartbeatDetails'))).toBe(true);
    expect(traces.length).toBeGreaterThan(10);
    expect(found(traces)).toEqual([]);
  });

  it('are in no object: status, Event, ConfigMap, NodeClaim, argument, environment variable', async () => {
    const traces = [...early, ...(await objectTraces(stage()))];
    expect(found(traces)).toEqual([]);
  });

  it('are in no request to the API server, from which audit logs are made', () => {
    const traces = requestTraces([...audit.worker, ...audit.bridge]);
    expect(traces.length).toBeGreaterThan(100);
    expect(found(traces)).toEqual([]);
  });

  it('are in no log, of the product’s or of another program', async () => {
    expect(outputs.map(({ text }) => text.length > 1000)).toEqual([true, true, true]);
    expect(found([...outputs, ...(await logTraces())])).toEqual([]);
  });

  it('are on no command line', async () => {
    expect(found(await commandLineTraces())).toEqual([]);
  });
});
