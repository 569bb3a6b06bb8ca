import { z } from 'zod';
import { CAUSES, type Cause } from './causes';
import { field, int32, int64, list, object, oneOf, stringMap, text, time } from './schema';

const STATES = ['Pending', 'Ready', 'NotReady', 'Running', 'Succeeded', 'Failed', 'Cancelled', 'Deleting'] as const;

const STEP_NAMES = [
  'Plan',
  'Machines',
  'Workload',
  'Serving',
  'Ready',
  'Data',
  'Training',
  'Push',
  'Succeeded',
  'Release',
  'Failed',
  'Cancelled',
] as const;

const MACHINE_PHASES = [
  'Pending',
  'Launched',
  'Registered',
  'Initialized',
  'Ready',
  'NotReady',
  'Deleting',
  'Lost',
] as const;

const cause = oneOf(Object.keys(CAUSES) as [Cause, ...Cause[]], {
  description: 'Class of the failure; see docs/failures.md.',
});
const message = (description: string) => text({ description });
const step = (description: string) => oneOf(STEP_NAMES, { description });

/** As metav1.Condition. */
const conditionSchema = object(
  {
    type: text({ description: 'Name of the condition.' }),
    status: oneOf(['True', 'False', 'Unknown'], { description: 'Whether it holds.' }),
    reason: text({ description: 'Why, in one CamelCase word.' }),
    message: message('Why, for people.'),
    lastTransitionTime: time({ description: 'When status last changed.' }),
    observedGeneration: int64({ description: 'Generation of the Workspace that it was judged for.' }).optional(),
  },
  { description: 'One observation on the Workspace.' },
);

const metric = object(
  {
    description: text({ description: 'What was measured.' }),
    value: text({ description: 'The figure.' }),
    unit: text({ description: 'Its unit.' }).optional(),
    config: stringMap({ description: 'How it was measured.' }).optional(),
  },
  { description: 'A measured figure.' },
);

const stepSchema = object(
  {
    name: step('Name of the step.'),
    message: message('What it waits for, or why it failed.').optional(),
    attempt: int32({ description: 'Number of the attempt, from 1.' }).optional(),
    startedTime: time({ description: 'When the step began.' }).optional(),
    deadlineTime: time({ description: 'When it gives up what it waits for now, and acts.' }).optional(),
    nextTryTime: time({ description: 'When it is tried again.' }).optional(),
    cause: cause.optional(),
    remedy: message('What to do about it.').optional(),
  },
  { description: 'The step that runs, or the one that the Workspace rests in.' },
);

const attemptSchema = object(
  {
    step: step('The step that failed.'),
    cause,
    message: message('What happened.'),
    remedy: message('What to do about it.').optional(),
    instanceType: text({ description: 'The size that was tried.' }).optional(),
    variant: text({ description: 'How it was to be bought: priority, zone, disk, reservation.' }).optional(),
    code: text({ description: 'The cloud’s code of the failure.' }).optional(),
    operationID: text({ description: 'The cloud’s ID of the operation that failed.' }).optional(),
    correlationID: text({ description: 'The cloud’s ID of the request; what its support asks for.' }).optional(),
    nextAction: text({ description: 'What was done after it.' }).optional(),
    attempt: int32({ description: 'Number of the attempt, from 1.' }),
    time: time({ description: 'When it failed last.' }),
    count: int32({ description: 'How often the same happened in a row.' }),
  },
  { description: 'A failed attempt.' },
);

const machineSchema = object(
  {
    name: text({ description: 'Name of the NodeClaim, or of the node.' }),
    provider: text({ description: 'Who provides it: karpenter, azure or own-nodes.' }),
    instanceType: text({ description: 'Its size.' }).optional(),
    nodeName: text({ description: 'Its node, once there is one.' }).optional(),
    phase: oneOf(MACHINE_PHASES, { description: 'How far it is.' }),
    reason: text({ description: 'Why it is there, in one CamelCase word.' }).optional(),
    message: message('Why it is there, for people.').optional(),
  },
  { description: 'A machine of the Workspace.' },
);

const trainingProgressSchema = object(
  {
    step: int32({ description: 'Optimizer steps done.' }),
    steps: int32({ description: 'Optimizer steps in all.' }),
    loss: text({ description: 'Training loss, a decimal.' }).optional(),
    tokensPerSecond: int32({ description: 'Tokens trained on, per second, over all GPUs.' }).optional(),
    etaSeconds: int32({ description: 'Seconds until training is expected to end.' }).optional(),
    checkpoint: int32({ description: 'Step of the last checkpoint on the output volume.' }).optional(),
    time: time({ description: 'When it was told.' }),
  },
  { description: 'How far the training is.' },
);

const tuningStatusSchema = object(
  {
    hash: text({ description: 'SHA-256 of what determines the adapter: model, method, config and input.' }),
    progress: trainingProgressSchema.optional(),
    volume: text({ description: 'PersistentVolumeClaim that holds checkpoints and adapter.' }).optional(),
    trainedTime: time({ description: 'When the adapter was complete.' }).optional(),
    loss: text({ description: 'Training loss at the end, a decimal.' }).optional(),
    dataDigest: text({ description: 'SHA-256 of the training data.' }).optional(),
    image: text({ description: 'Image that the adapter was pushed to.' }).optional(),
    digest: text({ description: 'Digest of the pushed manifest, sha256:….' }).optional(),
    pushedTime: time({ description: 'When it was pushed.' }).optional(),
  },
  { description: 'The tuning: how far it is, and where its adapter is.' },
);

const adapterStatusSchema = object(
  {
    name: text({ description: 'Name of the adapter.' }),
    image: text({ description: 'Its image, by digest.' }),
    imagePullSecrets: list(text({ description: 'Secret name.' }), {
      description: 'Secrets that it is pulled with.',
    }).optional(),
  },
  { description: 'An adapter of a tuning Workspace, as it is served.' },
);

const reservationSchema = object(
  {
    state: oneOf(['Asked', 'Held', 'Waiting'], {
      description: 'Asked: being judged; Held: machines may be bought; Waiting: until others let go of theirs.',
    }),
    machines: int32({ description: 'How many.' }),
    instanceType: text({ description: 'Of which size.' }),
    pricePerHour: text({ description: 'What they cost, USD an hour; set where the quota limits prices.' }).optional(),
  },
  { description: 'The machines that count against the quota of the namespace; set only where it has one.' },
);

export const statusSchema = object(
  {
    workerNodes: list(text({ description: 'Node name.' }), {
      description: 'Names of the nodes of the Workspace, sorted.',
    }).optional(),
    state: oneOf(STATES, { description: 'The whole in one word.' }).optional(),
    conditions: list(conditionSchema, {
      description: 'What holds and what does not.',
      listMapKeys: ['type'],
    }).optional(),
    targetNodeCount: int32({ description: 'Number of nodes that model and size need.' }).optional(),
    performance: object(
      {
        metrics: field(z.record(z.string(), metric).readonly(), { description: 'Figures by name.' }).optional(),
      },
      { description: 'Measured performance.' },
    ).optional(),
    observedGeneration: int64({ description: 'Generation of the Workspace that this status tells about.' }).optional(),
    observedRetry: text({
      description: 'Value of the annotation kaito.sh/retry that was acted on last.',
    }).optional(),
    instanceType: text({ description: 'The size in use.' }).optional(),
    pricePerHour: text({
      description: 'What the machines cost, USD an hour by the cloud’s public list; unset where it is not known.',
    }).optional(),
    reservation: reservationSchema.optional(),
    message: text({ description: 'The whole in one line.' }).optional(),
    step: stepSchema.optional(),
    attempts: list(attemptSchema, { maxItems: 10, description: 'The last failed attempts, newest last.' }).optional(),
    machines: list(machineSchema, { description: 'The machines, with how far they are.' }).optional(),
    workload: object(
      {
        name: text({ description: 'Name of the StatefulSet or Job.' }),
        generation: int64({ description: 'Generation of the workload object as applied.' }),
        revision: text({ description: 'Number of the ControllerRevision that it was rendered from.' }),
        hash: text({ description: 'SHA-256 of the rendered workload.' }),
      },
      { description: 'The workload that was applied last.' },
    ).optional(),
    inferenceConfig: object(
      {
        name: text({ description: 'Name of the ConfigMap.' }),
        resourceVersion: text({ description: 'Its resource version when it was read.' }),
      },
      { description: 'The ConfigMap of inference.config or tuning.config, as it was read for the plan.' },
    ).optional(),
    tuning: tuningStatusSchema.optional(),
    adapters: list(adapterStatusSchema, {
      description: 'The adapters that come from tuning Workspaces.',
      listMapKeys: ['name'],
    }).optional(),
    workflow: object(
      {
        id: text({ description: 'Workflow ID.' }),
        runID: text({ description: 'Run ID.' }).optional(),
        url: text({ description: 'Its page in the Temporal UI.' }).optional(),
      },
      { description: 'The Temporal workflow behind the Workspace.' },
    ).optional(),
  },
  { description: 'What is so now; written by the controller.' },
);

export type WorkspaceState = (typeof STATES)[number];
export type StepName = (typeof STEP_NAMES)[number];
export type MachinePhase = (typeof MACHINE_PHASES)[number];
export type Condition = z.infer<typeof conditionSchema>;
export type Reservation = z.infer<typeof reservationSchema>;
export type StepStatus = z.infer<typeof stepSchema>;
export type AttemptStatus = z.infer<typeof attemptSchema>;
export type MachineStatus = z.infer<typeof machineSchema>;
export type TrainingProgress = z.infer<typeof trainingProgressSchema>;
export type TuningStatus = z.infer<typeof tuningStatusSchema>;
export type WorkspaceStatus = z.infer<typeof statusSchema>;

/** Where a Workspace may stay for good: nothing is waited for. */
export function isRest(step: StepName): boolean {
  return step === 'Ready' || step === 'Succeeded' || step === 'Failed' || step === 'Cancelled';
}
