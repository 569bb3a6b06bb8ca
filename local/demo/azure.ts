/**
 * The demo of machines on AKS: a Workspace is planned, bought as an agent pool, served, and released, against a strict stand-in for Azure Resource
 * Manager that makes simulated nodes.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { styleText } from 'node:util';

import { ROOT } from '../defaults';
import type { Environment } from '../environment';
import type { FromFakeAzure } from './azure-messages';
import { startChild, type Child } from './child';
import type { Cleanup } from './cleanup';
import { follow, isReady } from './follow';
import { kubectlOf } from './kubectl';
import { startProduct } from './product';
import { seconds } from './progress';
import { command, heading, indented, say, shown } from './words';

const NAME = 'phi-on-aks';
const MANIFEST = path.join('local', 'demo', 'azure-workspace.yaml');
const READY_WITHIN_MS = 180_000;
const GONE_WITHIN = '120s';

type Started = Extract<FromFakeAzure, { kind: 'started' }>;
type Request = Extract<FromFakeAzure, { kind: 'request' }>;

export async function playAzure(
  bringUp: () => Promise<Environment>,
  cleanup: Cleanup,
  signal: AbortSignal,
): Promise<Child> {
  const startedAt = Date.now();
  say(
    styleText(
      'bold',
      'GPU machines on AKS: planned, bought as an agent pool, served on, and released until Azure says 404.',
    ),
  );
  say(
    'Control plane, Temporal and the SDK of Azure are real. Azure itself is a strict stand-in; nodes, GPUs and pods are simulated.',
  );

  say(heading('1. The local environment, and a stand-in for Azure'));
  const environment = await bringUp();
  const requests: Request[] = [];
  const azure = await startAzure(environment, requests, cleanup, signal);
  say(`  Azure Resource Manager, its price list and its tokens: ${azure.url}`);

  say(heading('2. Worker and bridge'));
  const product = await startProduct(environment, { signal, variables: await variablesFor(environment, azure) });
  cleanup.push(() => product.stop());
  say(`  at work, with a token by workload identity; they log to ${shown(product.logFile)}`);

  const kubectl = kubectlOf(environment);
  const runShown = async (...args: readonly string[]): Promise<void> => {
    say(`  ${command('kubectl', ...args)}`);
    say(indented(await kubectl(...args)));
  };
  const remove = (): Promise<string> =>
    kubectl('delete', 'workspace', NAME, '--ignore-not-found', `--timeout=${GONE_WITHIN}`);

  say(heading('3. The Workspace: of its preferred size Azure has none just now'));
  await runShown('apply', '-f', MANIFEST);
  cleanup.push(remove);
  const appliedAt = Date.now();
  const workspace = await Promise.race([
    follow(kubectl, environment, { name: NAME, isDone: isReady, withinMs: READY_WITHIN_MS, signal }),
    product.ended,
  ]);
  const readyAt = Date.now();
  await runShown('get', 'workspace', NAME);
  say(`  It costs $${workspace.status?.pricePerHour ?? '?'} an hour, by the price list. What was tried before:`);
  for (const { instanceType, variant, code, operationID, nextAction } of workspace.status?.attempts ?? []) {
    say(
      `    ${instanceType ?? ''} (${variant ?? ''}): ${code ?? ''}, operation ${operationID ?? '?'}; ${nextAction ?? ''}`,
    );
  }
  await runShown(
    'get',
    'nodes',
    '-l',
    'kaito.sh/machine-provider=azure',
    '-L',
    'agentpool,node.kubernetes.io/instance-type',
  );

  say(heading('4. Its end: it is gone when its pool is'));
  await runShown('delete', 'workspace', NAME, `--timeout=${GONE_WITHIN}`);

  say(heading('5. What Azure was asked'));
  for (const line of summaryOf(requests)) say(`  ${line}`);
  say(
    `\n  kubectl apply to Ready ${seconds(readyAt - appliedAt)}, of which Azure's part is made up; all of it ${seconds(Date.now() - startedAt)}.`,
  );
  say('  The pod is simulated: no model runs in it, so /chat does not answer here.');
  say(
    `  To see it again: source ${shown(environment.envFile)}; kubectl apply -f ${MANIFEST}; kubectl get workspace -w`,
  );
  say(
    `  Temporal UI: ${environment.temporal?.uiUrl ?? ''} (the workflows workspace/…, coordinator/…, and the schedule sweep/…)`,
  );
  return product;
}

/** Starts the stand-in; what it is asked is collected. */
async function startAzure(
  environment: Environment,
  requests: Request[],
  cleanup: Cleanup,
  signal: AbortSignal,
): Promise<Started> {
  const started = Promise.withResolvers<Started>();
  const child = await startChild({
    name: 'stand-in for Azure',
    entry: path.join(ROOT, 'test', 'fakes', 'arm', 'serve.ts'),
    env: environment.variables,
    logFile: path.join(environment.logs, 'azure.log'),
    signal,
    onMessage(message) {
      const told = message as FromFakeAzure;
      if (told.kind === 'started') started.resolve(told);
      else requests.push(told);
    },
  });
  cleanup.push(() => child.stop());
  return Promise.race([started.promise, child.ended]);
}

/** What an installation on AKS sets, and what AKS gives to pods with workload identity. */
async function variablesFor(
  { dir }: Environment,
  { url, caFile, subscriptionId, cluster }: Started,
): Promise<Readonly<Record<string, string>>> {
  const tokenFile = path.join(dir, 'federated-token');
  await writeFile(tokenFile, 'as the API server issues it to a service account\n');
  return {
    KAITO_MACHINES: 'azure',
    KAITO_AZURE_SUBSCRIPTION_ID: subscriptionId,
    KAITO_AZURE_RESOURCE_GROUP: cluster.resourceGroup,
    KAITO_AZURE_CLUSTER_NAME: cluster.name,
    KAITO_AZURE_LOCATION: cluster.location,
    KAITO_AZURE_ENDPOINT: url,
    KAITO_AZURE_AUDIENCE: url,
    KAITO_AZURE_PRICE_ENDPOINT: url,
    KAITO_AZURE_POLL: '1s',
    AZURE_AUTHORITY_HOST: url,
    AZURE_TENANT_ID: 'tenant',
    AZURE_CLIENT_ID: '00000000-0000-0000-0000-000000000001',
    AZURE_FEDERATED_TOKEN_FILE: tokenFile,
    NODE_EXTRA_CA_CERTS: caFile,
  };
}

/** Requests in their order; the same in a row is counted. */
function summaryOf(requests: readonly Request[]): readonly string[] {
  const rows: { readonly text: string; count: number }[] = [];
  for (const { method, path: asked, status } of requests) {
    const place = asked
      .replace(/^\/subscriptions\/[^/]+/, '')
      .replace(/^.*\/managedClusters\/[^/]+/, '<cluster>')
      .replace(/\/(operations|operationresults)\/.*$/, '/$1/…');
    const text = `${method.padEnd(6)} ${status}  ${place}`;
    const last = rows.at(-1);
    if (last?.text === text) last.count += 1;
    else rows.push({ text, count: 1 });
  }
  return rows.map(({ text, count }) => (count === 1 ? text : `${text}  ×${count}`));
}
