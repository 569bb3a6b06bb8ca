import { Worker } from '@temporalio/worker';

import { coordinatorIdOf } from '../../api/coordination';
import type { Workspace } from '../../api/workspace';
import { RESOURCES } from '../../kubernetes/resources';
import { bundleWorkflows } from '../../workers/product';
import * as answers from '../fakes/arm/errors';
import * as failures from '../fakes/arm/failures';
import type { FakeArm, Pool } from '../fakes/arm/types';
import { onAzure, type AzureOptions, type AzureStage } from './azure-support';
import { anyText, inference, textWith } from './support';

const A100 = 'Standard_NC24ads_A100_v4';
const H100 = 'Standard_NC40ads_H100_v5';
const A100_FAMILY = 'StandardNCADSA100v4Family';

interface Ref {
  readonly namespace: string;
  readonly name: string;
}

/** A test through the whole product: API server, Temporal, and an Azure of its own. */
function azure(name: string, test: (it: AzureStage) => Promise<void>, options: AzureOptions = {}, timeoutMs = 90_000) {
  it(name, () => onAzure(options, test), timeoutMs);
}

async function apply({ stage }: AzureStage, parts: Parameters<typeof inference>[2] = {}): Promise<Ref> {
  const namespace = await stage.namespace();
  const resource = { instanceType: A100, ...parts.resource };
  await stage.client.create(RESOURCES.workspaces, inference(namespace, 'phi', { ...parts, resource }));
  return { namespace, name: 'phi' };
}

function bought(arm: FakeArm): readonly Pool[] {
  return arm.pools().filter(({ origin }) => origin === 'client');
}

async function gone({ stage, arm }: AzureStage, { namespace, name }: Ref): Promise<void> {
  await stage.until('nothing is left', () => {
    const isLeft = stage.view.workspace(namespace, name) !== undefined || stage.view.remains(namespace).length > 0;
    // It is gone only when Azure says so.
    if (stage.view.workspace(namespace, name) === undefined && bought(arm).length > 0) {
      throw new Error(`the Workspace is gone before its pool: ${bought(arm)[0]?.name}`);
    }
    return !isLeft;
  });
  expect(bought(arm)).toEqual([]);
}

describe('scenario 1, through the whole product', () => {
  azure('a Workspace is served by a pool of its own, and both go together', async (on) => {
    const { stage, arm } = on;
    arm.prices.set(A100, { regular: 3.673, spot: 1.2 });
    const ref = await apply(on);
    const { status } = await stage.ready(ref);
    expect(status).toMatchObject({ instanceType: A100, targetNodeCount: 1, pricePerHour: '3.673' });
    expect(status.attempts ?? []).toEqual([]);
    const [pool] = bought(arm);
    expect(status.machines).toMatchObject([
      { provider: 'azure', name: pool?.nodes[0], phase: 'Ready', instanceType: A100 },
    ]);
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    expect(stage.view.events(ref.namespace).map(({ reason }) => reason)).toContain('AgentPoolCreated');

    await stage.client.delete(RESOURCES.workspaces, ref);
    await gone(on, ref);
    await stage.workflow(ref).result();
  });

  azure('a model that one machine cannot hold gets one pool with as many as it needs', async (on) => {
    const { stage, arm } = on;
    const ref = await apply(on, { inference: { preset: { name: 'llama-3.3-70b-instruct' } } });
    const { status } = await stage.ready(ref);
    expect(status).toMatchObject({ targetNodeCount: 3 });
    expect(status.machines).toHaveLength(3);
    expect(bought(arm)).toMatchObject([{ properties: { count: 3, vmSize: A100 } }]);
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    await stage.client.delete(RESOURCES.workspaces, ref);
    await gone(on, ref);
  });
});

azure(
  'scenario 6: a size that Azure has none of makes room for the next, and the status says how it went',
  async (on) => {
    const { stage, arm } = on;
    arm.operations.on('create', ({ properties }) => properties.vmSize === A100).fails(failures.allocationFailed());
    const ref = await apply(on, { resource: { instanceTypes: [H100] } });
    const { status } = await stage.ready(ref);
    expect(status).toMatchObject({ instanceType: H100 });
    const operation = arm.requestsOf('PUT')[0]?.operationPath?.split('/').at(-1);
    expect(status.attempts).toMatchObject([
      {
        step: 'Machines',
        cause: 'Capacity',
        instanceType: A100,
        variant: textWith('on-demand'),
        code: 'AllocationFailed',
        operationID: operation,
        message: textWith('AllocationFailed: Allocation failed. We do not have sufficient capacity'),
        nextAction: textWith(H100),
        attempt: 1,
        count: 1,
      },
    ]);
    expect(bought(arm).map(({ properties }) => properties.vmSize)).toEqual([H100]);
  },
);

azure('scenario 9: what Azure refuses at once is told with the ID that its support asks for', async (on) => {
  const { stage, arm } = on;
  // Not in the list of usages, as others are quicker: only the PUT tells.
  arm.script
    .on('GET', /usages$/)
    .answer({ status: 500, body: { error: { code: 'InternalServerError', message: 'x' } } });
  arm.quota.set(A100_FAMILY, { limit: 0 });
  const ref = await apply(on, { resource: { instanceTypes: [H100] } });
  const { status } = await stage.ready(ref);
  expect(status.attempts).toMatchObject([
    {
      cause: 'Quota',
      instanceType: A100,
      code: textWith('InsufficientVCPUQuota'),
      correlationID: textWith(/^[0-9a-f-]{36}$/),
      remedy: textWith('aka.ms/AzureQuota'),
      nextAction: textWith(H100),
    },
  ]);
});

azure(
  'scenario 12: without quota nothing is asked of Azure; when it rises, the Workspace goes on by itself',
  async (on) => {
    const { stage, arm } = on;
    arm.quota.set(A100_FAMILY, { limit: 12 });
    const ref = await apply(on);
    const short = await stage.workspaceWhen(
      ref,
      'says that quota is short',
      ({ status }) => status.step?.nextTryTime !== undefined,
    );
    expect(short.status.attempts).toMatchObject([{ cause: 'Quota', message: textWith(A100_FAMILY) }]);
    expect(short.status.attempts?.[0]?.message).toMatch(/24.*12/);
    expect(arm.requestsOf('PUT')).toEqual([]);

    arm.quota.set(A100_FAMILY, { limit: 24 });
    await stage.until(
      'it is Ready',
      () => stage.view.workspace(ref.namespace, ref.name)?.status?.state === 'Ready',
      90_000,
    );
    expect(arm.requestsOf('PUT')).toHaveLength(1);
  },
  {},
  150_000,
);

azure(
  'scenario 2: a worker that is killed while its pool is created leaves one pool, which the next worker takes over',
  async (on) => {
    const { stage, arm, startWorker } = on;
    const creating = arm.operations.on('create', /./, 1).succeeds({ afterMs: 4_000 });
    const first = await startWorker();
    const ref = await apply(on);
    await creating.met();
    await arm.until('the PUT is answered', () => arm.requestsOf('PUT').some(({ status }) => status === 201), 30_000);
    process.kill(first.pid, 'SIGKILL');
    arm.clientRestarted();
    await startWorker();
    await stage.until(
      'it is Ready',
      () => stage.view.workspace(ref.namespace, ref.name)?.status?.state === 'Ready',
      60_000,
    );
    expect(arm.requestsOf('PUT')).toHaveLength(1);
    expect(bought(arm)).toHaveLength(1);
    // Its history is as short as that of an undisturbed one.
    const { events = [] } = await stage.workflow(ref).fetchHistory();
    expect(events?.length).toBeLessThan(60);
  },
  { roles: ['bridge'] },
  180_000,
);

azure(
  'scenario 38: a permission that is missing is named for as long as it is missing, then it goes on',
  async (on) => {
    const { stage, arm } = on;
    const action = 'Microsoft.ContainerService/managedClusters/agentPools/write';
    const refused = arm.script.on('PUT', /agentPools/).answer(answers.forbidden(action));
    const ref = await apply(on);
    const told = await stage.failing(ref, 'Auth');
    expect(told.status.step).toMatchObject({ name: 'Machines', remedy: textWith(action), nextTryTime: anyText });
    // It is not given up: the next attempts say the same.
    await refused.met(3);
    await stage.until('attempts are counted', () => {
      const { step } = stage.view.workspace(ref.namespace, ref.name)?.status ?? {};
      return step?.cause === 'Auth' && (step.attempt ?? 0) >= 3;
    });
    expect(stage.view.workspace(ref.namespace, ref.name)?.status?.attempts?.at(-1)).toMatchObject({
      cause: 'Auth',
      code: 'AuthorizationFailed',
      variant: 'on-demand',
      nextAction: 'waits for a correction',
    });
    refused.remove();
    await stage.ready(ref);
  },
);

azure('scenario 43: a wait of many polls leaves a short history, which the code replays', async (on) => {
  const { stage, arm } = on;
  arm.operations.on('create', /./).succeeds({ afterMs: 8_000 });
  const ref = await apply(on);
  await stage.ready(ref);
  const polls = arm.requestsOf('GET', /operations/).length;
  expect(polls).toBeGreaterThanOrEqual(50);
  const workflowBundle = await bundleWorkflows();
  const [pool] = bought(arm);
  const coordinatorId = coordinatorIdOf(pool?.properties.tags?.['kaito-cluster-id'] ?? '');
  for (const workflowId of [stage.workflow(ref).workflowId, coordinatorId]) {
    const history = await stage.temporal.workflow.getHandle(workflowId).fetchHistory();
    expect(history.events?.length).toBeLessThan(60);
    await Worker.runReplayHistory({ workflowBundle }, history, workflowId);
  }
});

azure(
  'scenarios 24, 25: a pool whose Workspace is gone is told and released; one that is not ours stays',
  async (on) => {
    const { stage, arm } = on;
    const namespace = await stage.namespace();
    const ref = await apply(on);
    await stage.ready(ref);
    const [living] = bought(arm);
    const tags = {
      ...living?.properties.tags,
      'kaito-workspace-namespace': namespace,
      'kaito-workspace-name': 'gone',
      'kaito-workspace-uid': 'dead',
    };
    // What a worker bought that was cut off while its Workspace was released.
    arm.addPool('korphan', { vmSize: A100, count: 1, tags }, { owned: true });
    arm.addPool('foreign', { vmSize: A100, count: 1, nodeLabels: living?.properties.nodeLabels ?? {} });

    const told = await stage.until('it is told', () =>
      stage.view.events(namespace).find(({ reason }) => reason === 'OrphanedMachines'),
    );
    expect(told).toMatchObject({ involvedObject: { kind: 'Workspace', name: 'gone' }, message: textWith('korphan') });
    await arm.until('it is gone', () => arm.pool('korphan') === undefined, 30_000);
    expect(arm.pool('foreign')).toBeDefined();
    expect(arm.pool(living?.name ?? '')).toBeDefined();
  },
  { variables: { KAITO_SWEEP_INTERVAL: '1s', KAITO_SWEEP_GRACE: '2s' } },
);

describe('scenario 29: temporal workflow cancel', () => {
  const isCancelled = ({ status }: Workspace): boolean =>
    status?.state === 'Cancelled' && status.step?.name === 'Cancelled';

  const moments: readonly (readonly [
    when: string,
    prepare: (arm: FakeArm) => void,
    isReached: (arm: FakeArm, workspace: Workspace | undefined) => boolean,
  ])[] = [
    [
      'the pools are listed',
      (arm) => void arm.script.on('GET', /agentPools$/, 1).delay(1_500),
      (arm) => arm.requestsOf('GET', /agentPools$/).length > 0,
    ],
    [
      'quota is read',
      (arm) => void arm.script.on('GET', /usages$/, 1).delay(1_500),
      (arm) => arm.requestsOf('GET', /usages$/).length > 0,
    ],
    [
      'the PUT is under way',
      (arm) => void arm.script.on('PUT', /agentPools/, 1).delay(1_500),
      (arm) => arm.requestsOf('PUT').length > 0,
    ],
    [
      'the pool is created',
      (arm) => void arm.operations.on('create', /./).neverEnds(),
      (arm) => arm.requestsOf('GET', /operations/).length > 1,
    ],
    [
      'nodes are awaited',
      (arm) => void arm.operations.on('create', /./).succeeds({ nodes: 0 }),
      (arm) => bought(arm)[0]?.properties.provisioningState === 'Succeeded',
    ],
    [
      'GPUs are awaited',
      (arm) => void arm.operations.on('create', /./).succeeds({ gpus: 0 }),
      (_, workspace) => workspace?.status?.machines?.[0]?.phase === 'Initialized',
    ],
    ['it serves', () => undefined, (_, workspace) => workspace?.status?.state === 'Ready'],
  ];

  it.each(moments)(
    'while %s leaves nothing in Azure, and a Workspace that rests',
    (_, prepare, isReached) =>
      onAzure({}, async (on) => {
        const { stage, arm } = on;
        prepare(arm);
        const ref = await apply(on);
        await stage.poll('that moment', async () => isReached(arm, stage.view.workspace(ref.namespace, ref.name)));
        await stage.workflow(ref).cancel();
        await stage.workspaceWhen(ref, 'is Cancelled', isCancelled);
        expect(bought(arm)).toEqual([]);
        await expect(stage.workflow(ref).result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
        arm.assertInvariants({ nothingLeft: true });
      }),
    90_000,
  );
});

azure('scenario 22: two Workspaces of one name in two namespaces, applied at once, have a pool each', async (on) => {
  const { stage, arm } = on;
  const [one, other] = await Promise.all([apply(on), apply(on)]);
  await Promise.all([stage.ready(one), stage.ready(other)]);
  expect(bought(arm)).toHaveLength(2);
  expect(new Set(bought(arm).map(({ properties }) => properties.tags?.['kaito-workspace-uid'])).size).toBe(2);
  expect(arm.requestsOf('PUT')).toHaveLength(2);
});

azure('scenario 22: two workers of one installation buy one pool', async (on) => {
  const { stage, arm } = on;
  await stage.start(['worker', 'bridge'], { azure: { credential: arm.credential, tls: { ca: arm.ca } } });
  const ref = await apply(on);
  await stage.ready(ref);
  expect(bought(arm)).toHaveLength(1);
  expect(arm.requestsOf('PUT')).toHaveLength(1);
});
