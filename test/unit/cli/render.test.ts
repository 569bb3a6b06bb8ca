import type { Workspace } from '../../../api/workspace';
import { workspacePage } from '../../../cli/get/page';
import { workspaceTable } from '../../../cli/get/rows';
import { summaryOf } from '../../../cli/get/summary';
import { pairs, table } from '../../../cli/table';
import { age, duration, parseDuration } from '../../../cli/times';
import { NOW } from './io';

/** Seconds from now, as Kubernetes writes times. */
const at = (seconds: number): string => new Date(NOW.getTime() + seconds * 1_000).toISOString();

const TUNING = {
  apiVersion: 'kaito.sh/v1beta1',
  kind: 'Workspace',
  metadata: {
    namespace: 'team',
    name: 'tune',
    uid: 'u',
    generation: 1,
    resourceVersion: '1',
    creationTimestamp: at(-7_200),
  },
  resource: { instanceType: 'Standard_NC24ads_A100_v4', count: 1 },
  tuning: { preset: { name: 'phi-4' }, method: 'lora', input: {}, output: {} },
  status: {
    state: 'Running',
    step: { name: 'Training', message: 'step 50 of 200', startedTime: at(-3_660) },
    targetNodeCount: 1,
    instanceType: 'Standard_NC48ads_A100_v4',
    pricePerHour: '7.35',
    machines: [{ name: 'wsabc', provider: 'karpenter', phase: 'Ready', nodeName: 'node-1' }],
    attempts: [
      {
        step: 'Machines',
        cause: 'Capacity',
        message: 'no Standard_NC24ads_A100_v4\nin this region',
        remedy: 'Add sizes.',
        instanceType: 'Standard_NC24ads_A100_v4',
        attempt: 1,
        time: at(-3_600),
        count: 2,
      },
    ],
    tuning: {
      hash: 'h',
      progress: { step: 50, steps: 200, loss: '1.5', etaSeconds: 900, time: at(-60), checkpoint: 40 },
    },
    workflow: { id: 'workspace/team/tune', url: 'https://temporal/ui' },
  },
} as unknown as Workspace;

const SERVING = {
  apiVersion: 'kaito.sh/v1beta1',
  kind: 'Workspace',
  metadata: {
    namespace: 'team',
    name: 'phi',
    uid: 'v',
    generation: 1,
    resourceVersion: '1',
    creationTimestamp: at(-90),
  },
  resource: { labelSelector: {}, count: 1 },
  inference: {
    preset: { name: 'phi-4' },
    adapters: [{ source: { name: 'support', workspace: 'tune' }, strength: '0.5' }],
  },
  status: {
    state: 'Pending',
    step: {
      name: 'Plan',
      cause: 'MissingReference',
      message: 'no Secret',
      remedy: 'Create it.',
      attempt: 3,
      nextTryTime: at(25),
    },
    adapters: [{ name: 'support', image: 'registry/support@sha256:1' }],
  },
} as unknown as Workspace;

const NEW = {
  ...SERVING,
  metadata: { ...SERVING.metadata, name: 'new', deletionTimestamp: at(-1) },
  status: undefined,
} as unknown as Workspace;

test('the list tells what is known, and nothing else', () => {
  const summaries = [TUNING, SERVING, NEW].map(summaryOf);
  expect(`\n${workspaceTable(summaries, { now: NOW, wide: true, withNamespace: true })}`).toMatchInlineSnapshot(`
   "
   NAMESPACE  NAME  STATE     STEP      CAUSE             ETA           NODES  SIZE                      COST/H  AGE  MODEL  ATTEMPT  MESSAGE
   team       tune  Running   Training  -                 14m           1/1    Standard_NC48ads_A100_v4  $7.35   2h   phi-4  -        step 50 of 200
   team       phi   Pending   Plan      MissingReference  next try 25s  0/?    own nodes                 -       90s  phi-4  3        no Secret
   team       new   Deleting  -         -                 -             0/?    own nodes                 -       90s  phi-4  -        -
   "
  `);
});

test('the page of one tells its training, its failed attempts and its adapters', () => {
  expect(`\n${workspacePage(summaryOf(TUNING), NOW)}`).toMatchInlineSnapshot(`
   "
   Workspace  team/tune
   State      Running
   Step       Training, for 1h1m
   Message    step 50 of 200
   ETA        14m
   Model      phi-4
   Nodes      1 ready of 1, Standard_NC48ads_A100_v4
   Cost       $7.35 an hour
   Age        2h
   Workflow   https://temporal/ui

   MACHINE  PHASE  SIZE  NODE    PROVIDER   MESSAGE
   wsabc    Ready  -     node-1  karpenter  -

   Training    step 50 of 200 (25 %), as of 60s ago
   Loss        1.5
   Then left   15m
   Checkpoint  step 40

   FAILED  STEP      SIZE                      TIMES  CAUSE     MESSAGE                                     WHAT TO DO
   1h ago  Machines  Standard_NC24ads_A100_v4  2      Capacity  no Standard_NC24ads_A100_v4 in this region  Add sizes.
   "
  `);
  expect(`\n${workspacePage(summaryOf(SERVING), NOW)}`).toMatchInlineSnapshot(`
   "
   Workspace   team/phi
   State       Pending
   Step        Plan, attempt 3
   Message     no Secret
   Cause       MissingReference
   What to do  Create it.
   ETA         next try 25s
   Model       phi-4
   Nodes       0 ready of a number not known yet, own nodes
   Age         90s

   ADAPTER  STRENGTH  IMAGE
   support  0.5       registry/support@sha256:1
   "
  `);
});

test.each([
  ['Machines', 90, 'in 90s, at 2026-'],
  ['Training', -1, 'now\n'],
  ['Push', -1, 'now: the machines; the push goes on\n'],
])('says when what is waited for is given up: %s, %i s', (name, seconds, words) => {
  const { status } = SERVING;
  const waiting = { ...SERVING, status: { ...status, step: { name, deadlineTime: at(seconds) } } };
  expect(workspacePage(summaryOf(waiting as Workspace), NOW)).toContain(`Gives up   ${words}`);
});

test('what was expected to be over is said to come at any moment, and a try that is due is none to come', () => {
  const later = new Date(NOW.getTime() + 3_600_000);
  const rows = workspaceTable([TUNING, SERVING].map(summaryOf), { now: later, wide: false, withNamespace: false });
  expect(
    rows
      .split('\n')
      .slice(1, 3)
      .map((row) => row.split(/ {2,}/)[4]),
  ).toEqual(['any moment', '-']);
});

test('tables keep columns apart and each row on its line', () => {
  expect(
    table(
      ['A', 'LONG'],
      [
        ['1', 'two\n  lines'],
        ['longer', ''],
      ],
    ),
  ).toBe('A       LONG\n1       two lines\nlonger\n');
  expect(
    pairs([
      ['A', '1'],
      ['Unset', undefined],
      ['Long', '2'],
    ]),
  ).toBe('A     1\nLong  2\n');
});

test.each([
  [0, '0ms'],
  [340, '340ms'],
  [12_900, '12s'],
  [119_000, '119s'],
  [200_000, '3m20s'],
  [7_200_000, '2h'],
  [18_120_000, '5h2m'],
  [277_200_000, '3d5h'],
  [-5, '0ms'],
])('%d ms are read as %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test('lengths of time are read as they are written', () => {
  expect(['90s', '10m', '2h', '300ms', '1d', '5', ''].map(parseDuration)).toEqual([
    90_000,
    600_000,
    7_200_000,
    300,
    undefined,
    undefined,
    undefined,
  ]);
  expect(age(undefined, NOW)).toBe('-');
  expect(age(at(-61), NOW)).toBe('61s');
});
