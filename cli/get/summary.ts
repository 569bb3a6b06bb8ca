import type {
  AttemptStatus,
  Condition,
  MachineStatus,
  StepName,
  TuningStatus,
  Workspace,
  WorkspaceStatus,
} from '../../api/workspace';

/** What `get` tells of a Workspace, for tables and for scripts. Nothing is guessed: what nobody knows is left out. */
export interface Summary {
  readonly namespace: string;
  readonly name: string;
  readonly state: string;
  readonly message?: string;
  readonly step?: StepName;
  /** When the step began, ISO time. */
  readonly stepStartedTime?: string;
  /** When the step gives up what it waits for, ISO time. */
  readonly deadlineTime?: string;
  readonly cause?: string;
  readonly remedy?: string;
  readonly attempt?: number;
  /** When the step is tried again, ISO time. */
  readonly nextTryTime?: string;
  /** When the training is expected to end, ISO time. */
  readonly expectedTime?: string;
  readonly createdTime?: string;
  readonly preset?: string;
  readonly purpose: 'inference' | 'tuning';
  readonly nodes: { readonly ready: number; readonly target?: number };
  /** In use, or else asked for; absent for own nodes. */
  readonly instanceType?: string;
  /** USD, of all machines. */
  readonly pricePerHour?: string;
  readonly machines: readonly MachineStatus[];
  readonly conditions: readonly Condition[];
  readonly attempts: readonly AttemptStatus[];
  readonly tuning?: TuningStatus;
  readonly adapters: readonly { readonly name: string; readonly image?: string; readonly strength?: string }[];
  readonly workflow?: NonNullable<WorkspaceStatus['workflow']>;
}

export function summaryOf(workspace: Workspace): Summary {
  const { metadata, resource, inference, tuning, status = {} } = workspace;
  const preset = inference?.preset?.name ?? tuning?.preset.name;
  const { step, machines = [] } = status;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    state: metadata.deletionTimestamp === undefined ? (status.state ?? 'Pending') : 'Deleting',
    purpose: tuning === undefined ? 'inference' : 'tuning',
    nodes: {
      ready: machines.filter(({ phase }) => phase === 'Ready').length,
      ...(status.targetNodeCount !== undefined && { target: status.targetNodeCount }),
    },
    machines,
    conditions: status.conditions ?? [],
    attempts: status.attempts ?? [],
    adapters: (inference?.adapters ?? []).map(({ source, strength }) => ({
      name: source.name ?? '',
      ...(strength !== undefined && { strength }),
      ...imageOf(workspace, source.name, source.image),
    })),
    ...defined({
      message: step?.message ?? status.message,
      step: step?.name,
      stepStartedTime: step?.startedTime,
      deadlineTime: step?.deadlineTime,
      cause: step?.cause,
      remedy: step?.remedy,
      attempt: step?.attempt,
      nextTryTime: step?.nextTryTime,
      expectedTime: expectedTime(workspace),
      createdTime: metadata.creationTimestamp,
      preset,
      instanceType: status.instanceType || resource.instanceType,
      pricePerHour: status.pricePerHour,
      tuning: status.tuning,
      workflow: status.workflow,
    }),
  };
}

/** The trainer's own estimate, from the moment that it was made. */
function expectedTime({ status }: Workspace): string | undefined {
  const { etaSeconds, time } = status?.tuning?.progress ?? {};
  if (status?.step?.name !== 'Training' || etaSeconds === undefined || time === undefined) return undefined;
  return new Date(Date.parse(time) + etaSeconds * 1_000).toISOString();
}

/** As served, by digest; else as asked for. */
function imageOf(
  { status }: Workspace,
  name: string | undefined,
  asked: string | undefined,
): { readonly image?: string } {
  const image = status?.adapters?.find((adapter) => adapter.name === name)?.image ?? asked;
  return image === undefined ? {} : { image };
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
