import type { WorkspaceStatus } from '../../api/workspace';
import { Admission, inference, type Version } from './admission';

/** What the API server makes of the kind besides judging it: the status is kept whole, and kubectl prints it. */

const NAME = 'shown';
const TIME = '2026-11-21T12:00:00Z';

const STATUS: Required<WorkspaceStatus> = {
  workerNodes: ['node-1'],
  state: 'NotReady',
  conditions: [
    {
      type: 'ResourceReady',
      status: 'True',
      reason: 'R',
      message: '',
      lastTransitionTime: TIME,
      observedGeneration: 1,
    },
    { type: 'InferenceReady', status: 'False', reason: 'R', message: 'm', lastTransitionTime: TIME },
    { type: 'JobStarted', status: 'Unknown', reason: 'R', message: 'm', lastTransitionTime: TIME },
    { type: 'WorkspaceSucceeded', status: 'False', reason: 'R', message: 'm', lastTransitionTime: TIME },
  ],
  targetNodeCount: 2,
  performance: {
    metrics: {
      peakTokensPerMinute: { description: 'd', value: '1.5', unit: 'tokens/min', config: { engine: 'vllm' } },
    },
  },
  observedGeneration: 1,
  instanceType: 'Standard_NC6s_v3',
  reservation: { state: 'Held', machines: 2, instanceType: 'Standard_NC6s_v3', pricePerHour: '7.2' },
  message: '1 of 2 nodes ready',
  step: {
    name: 'Machines',
    message: '1 of 2 nodes ready',
    attempt: 2,
    startedTime: TIME,
    nextTryTime: TIME,
    cause: 'Capacity',
    remedy: 'wait',
  },
  attempts: [
    {
      step: 'Machines',
      cause: 'Capacity',
      message: 'none left',
      remedy: 'wait',
      instanceType: 'Standard_NC24ads_A100_v4',
      variant: 'spot, zone 1',
      code: 'AllocationFailed',
      operationID: 'o1',
      correlationID: 'c1',
      nextAction: 'tries on-demand',
      attempt: 1,
      time: TIME,
      count: 3,
    },
  ],
  machines: [
    {
      name: 'ws0',
      provider: 'karpenter',
      instanceType: 'Standard_NC6s_v3',
      nodeName: 'node-1',
      phase: 'Ready',
      reason: 'R',
      message: 'm',
    },
  ],
  pricePerHour: '3.673',
  workload: { name: NAME, generation: 3, revision: '1', hash: 'abc' },
  inferenceConfig: { name: 'c', resourceVersion: '7' },
  observedRetry: '1',
  tuning: {
    hash: 'a1',
    progress: { step: 3, steps: 10, loss: '2.31', tokensPerSecond: 1200, etaSeconds: 40, checkpoint: 2, time: TIME },
    volume: 'ws-results',
    trainedTime: TIME,
    loss: '2.1',
    dataDigest: 'sha256:b2',
    image: 'registry.example.com/adapter:1',
    digest: 'sha256:c3',
    pushedTime: TIME,
  },
  adapters: [{ name: 'a', image: 'registry.example.com/adapter@sha256:c3', imagePullSecrets: ['push'] }],
  workflow: { id: 'workspace/admission/shown', runID: 'r', url: 'http://127.0.0.1:8233/' },
};

let admission: Admission;
let remove: () => Promise<void>;
beforeAll(async () => {
  admission = await Admission.start();
  remove = await admission.keep(inference({ metadata: { name: NAME } }));
  expect(await admission.writeStatus(NAME, STATUS)).toHaveProperty('accepted');
});
afterAll(async () => {
  await remove();
  await admission.stop();
});

const VERSIONS: readonly Version[] = ['v1alpha1', 'v1beta1'];

test.each(VERSIONS)('%s keeps every field of the status', async (version) => {
  const read = await admission.read(NAME, version);
  expect('accepted' in read && read.accepted.status).toEqual(STATUS);
});

test.each(VERSIONS)('%s is printed by kubectl with these columns, wide ones last', async (version) => {
  const { columnDefinitions, rows } = (await admission.table(version)) as unknown as Table;
  const row = rows.find(({ object }) => object.metadata.name === NAME);
  const printed = columnDefinitions.map(({ name, priority }, index) => [
    name.toUpperCase(),
    priority,
    row?.cells[index],
  ]);
  expect(printed).toEqual([
    ['NAME', 0, NAME],
    ['INSTANCE', 0, 'Standard_NC24ads_A100_v4'],
    ['RESOURCEREADY', 0, 'True'],
    ['INFERENCEREADY', 0, 'False'],
    ['JOBSTARTED', 0, 'Unknown'],
    ['WORKSPACEREADY', 0, 'False'],
    ['STATE', 0, 'NotReady'],
    ['AGE', 0, expect.any(String)],
    ['TARGETNODES', 1, 2],
    ['STEP', 1, 'Machines'],
    ['MESSAGE', 1, '1 of 2 nodes ready'],
  ]);
});

interface Table {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
  readonly rows: readonly {
    readonly cells: readonly unknown[];
    readonly object: { readonly metadata: { readonly name: string } };
  }[];
}
