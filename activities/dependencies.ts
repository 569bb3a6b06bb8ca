import type { MachineConfiguration, WorkloadConfiguration } from '../manifests/configuration';
import type { KubernetesClient } from '../kubernetes/client';
import type { EventRecorder } from '../kubernetes/events';
import type { Logger } from '../kubernetes/logger';
import type { Model } from '../presets/types';
import type { Machines } from './machines/provider';
import type { World } from './observe/world';
import type { Quotas } from './quotas/limits';
import type { StatusWriter } from './status/status-writer';

/** How long each phase of a machine's life may take, milliseconds. */
export interface MachineDeadlines {
  readonly launchedMs: number;
  readonly registeredMs: number;
  readonly initializedMs: number;
  /** Until the node is Ready and as many GPUs are allocatable as the size has. */
  readonly gpusAllocatableMs: number;
}

/** Where checkpoints and adapters are kept. */
export interface TuningConfiguration {
  /** The cluster's default unless set. */
  readonly storageClassName?: string;
  /** Size of the volume, GiB. */
  readonly volumeGiB: number;
  /** How long the training's machines are kept for a push that is not done, milliseconds. */
  readonly pushPatienceMs: number;
}

/** What the activities work with. */
export interface Dependencies {
  readonly client: KubernetesClient;
  readonly world: World;
  readonly events: EventRecorder;
  readonly status: StatusWriter;
  readonly logger: Logger;
  /** Describes a model of the Hugging Face hub that the catalogue lacks. */
  readonly describeModel: (
    id: string,
    options: { readonly token?: string; readonly signal: AbortSignal },
  ) => Promise<Model>;
  readonly workload: WorkloadConfiguration;
  readonly machines: MachineConfiguration;
  /** Present where this installation buys agent pools of AKS itself, or did before. */
  readonly azure?: Machines;
  readonly deadlines: MachineDeadlines;
  readonly tuning: TuningConfiguration;
  /** What namespaces may buy; nothing is limited unless set. */
  readonly quotas?: Quotas;
  /** Delay before the next attempt of a failed step: doubled from `firstMs`, up to `mostMs`. */
  readonly retryDelays: { readonly firstMs: number; readonly mostMs: number };
  /** The Temporal UI's address, and the namespace to show there. */
  readonly temporalUi?: { readonly address: string; readonly namespace: string };
  readonly now: () => Date;
}
