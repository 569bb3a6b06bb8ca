/**
 * The closed vocabulary of failures. Every failure that a user sees has a cause class; the class decides whether trying again by itself makes
 * sense, whether another instance type is tried, and what the user is told to do. docs/failures.md is generated from this table.
 */
export const CAUSES = {
  InvalidInput: { retryable: false, remedy: 'Correct the field that the message names and apply the Workspace again.' },
  NotSupported: {
    retryable: false,
    remedy: 'Use a field, model or size that this release serves; the message names the alternatives.',
  },
  DoesNotFit: {
    retryable: false,
    remedy: 'Choose a size with more GPU memory, or a shorter max-model-len in inference.config.',
  },
  MissingReference: {
    retryable: true,
    remedy: 'Create the object that the message names; the Workspace goes on by itself.',
  },
  NoMatchingNodes: {
    retryable: true,
    remedy: 'Label a GPU node so that it matches resource.labelSelector, or set resource.instanceType.',
  },
  HubUnavailable: {
    retryable: true,
    remedy: 'Give the cluster access to the Hugging Face hub, or use a preset of the catalogue.',
  },
  HubDenied: {
    retryable: true,
    remedy:
      'Put a token with access to the model into a Secret (key HF_TOKEN) and name it in presetOptions.modelAccessSecret.',
  },
  Quota: {
    retryable: true,
    nextCandidate: true,
    remedy: 'Ask the cloud for more quota of this family, or add resource.instanceTypes.',
  },
  Capacity: {
    retryable: true,
    nextCandidate: true,
    remedy: 'The cloud has no machine of this size now; add resource.instanceTypes to try others.',
  },
  PriceTooHigh: {
    retryable: true,
    nextCandidate: true,
    remedy: 'Raise resource.maxPricePerHour, or add a cheaper size to resource.instanceTypes.',
  },
  NamespaceQuota: {
    retryable: true,
    nextCandidate: true,
    remedy:
      'Nothing to do: it goes on by itself when other Workspaces of the namespace let go of machines, or its quota grows.',
  },
  NotReadyInTime: {
    retryable: true,
    nextCandidate: true,
    remedy: 'Look at the machine: kubectl describe nodeclaim, or kubectl describe node.',
  },
  CloudApi: {
    retryable: true,
    nextCandidate: true,
    remedy: 'Nothing to do: the cloud’s API did not answer as it should; it is tried again.',
  },
  ClusterNotRunning: {
    retryable: true,
    remedy: 'Start the cluster; the Workspace goes on by itself.',
  },
  MachineLost: { retryable: true, remedy: 'Nothing to do: the machine is replaced.' },
  NodeNotReady: { retryable: true, remedy: 'Look at the node: kubectl describe node.' },
  NodeClass: {
    retryable: true,
    remedy: 'Create the NodeClass that the message names, or set the one to use in the configuration.',
  },
  Auth: { retryable: true, remedy: 'Give the worker the permission that the message names.' },
  DatasetUnavailable: {
    retryable: true,
    remedy: 'Check that the address in tuning.input.urls can be reached from the cluster; it is tried again.',
  },
  RegistryUnavailable: {
    retryable: true,
    remedy: 'Nothing to do once the registry answers again: the adapter is kept, and only the push is tried again.',
  },
  RegistryDenied: {
    retryable: true,
    remedy:
      'Correct the Secret in tuning.output.imagePushSecret; the adapter is kept, and only the push is tried again.',
  },
  ImagePull: { retryable: true, remedy: 'Check the image reference, the pull secret and the registry.' },
  OutOfMemory: { retryable: true, remedy: 'Lower max-model-len or choose a size with more memory.' },
  TrainingCrashed: {
    retryable: false,
    remedy:
      'Read the log: kubectl logs job/NAME. Then set the annotation kaito.sh/retry: training goes on from its last checkpoint.',
  },
  DeadlineExceeded: {
    retryable: false,
    remedy: 'Raise tuning.activeDeadlineSeconds: training goes on from its last checkpoint.',
  },
  CrashLoop: { retryable: true, remedy: 'Read the log: kubectl logs --previous.' },
  ContainerStart: { retryable: true, remedy: 'Look at the pod: kubectl describe pod.' },
  Unschedulable: { retryable: true, remedy: 'Look at the pod: kubectl describe pod names what no node offers.' },
  Evicted: { retryable: true, remedy: 'Give the node more disk or memory.' },
  Conflict: {
    retryable: true,
    remedy: 'Another owner holds the object that the message names; rename the Workspace or remove the object.',
  },
  KubernetesApi: { retryable: true, remedy: 'The Kubernetes API did not answer as it should; it is tried again.' },
  Internal: {
    retryable: true,
    remedy: 'This is a defect or an outage of our own; see the workflow in the Temporal UI.',
  },
} as const satisfies Record<string, CauseFacts>;

export interface CauseFacts {
  /** Trying the same again can help, without the user. */
  readonly retryable: boolean;
  /** Another instance type may help. */
  readonly nextCandidate?: boolean;
  /** What the user can do: one sentence, imperative. */
  readonly remedy: string;
}

export type Cause = keyof typeof CAUSES;

/** A failure as users see it, on the Workspace, as an Event, and in Temporal (type = cause, details = [this]). */
export interface Failure {
  readonly cause: Cause;
  readonly message: string;
  /** Overrides the cause's remedy where more is known. */
  readonly remedy?: string;
  /** It was tried often enough: not tried again by itself, though the cause could pass. */
  readonly isFinal?: boolean;
  /** What the cloud calls it, and the IDs that its support asks for. */
  readonly cloud?: CloudReference;
}

/** How a cloud tells one failure from others. */
export interface CloudReference {
  /** The innermost, most telling code. */
  readonly code: string;
  readonly operationID?: string;
  readonly correlationID?: string;
}

/** Thrown by activities' inner code; turned into an ApplicationFailure at the activity's edge. */
export class CauseError extends Error {
  override readonly name = 'CauseError';

  constructor(
    readonly failure: Failure,
    options?: { readonly cause?: unknown },
  ) {
    super(failure.message, options);
  }
}

/** The remedy to show for a failure. */
export function remedyOf(failure: Failure): string {
  return failure.remedy ?? CAUSES[failure.cause].remedy;
}
