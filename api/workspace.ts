import { z } from 'zod';
import { inferenceSchema } from './inference';
import { resourceSchema } from './resource';
import { statusSchema } from './status';
import { tuningSchema } from './tuning';

/**
 * The Workspace: one zod schema from which the types here, the CustomResourceDefinition (crd.ts) and the reference page are made.
 * A Workspace has no `spec`: resource, inference and tuning stand beside metadata, as in KAITO.
 */

export const API_VERSION = 'kaito.sh/v1beta1';
export const KIND = 'Workspace';
export const PLURAL = 'workspaces';

/** What the user writes. Parsing fills in the same defaults as the API server. */
export const workspaceSpecSchema = z.object({
  resource: resourceSchema,
  inference: inferenceSchema.optional(),
  tuning: tuningSchema.optional(),
});

/** The whole object below metadata. */
export const workspaceSchema = workspaceSpecSchema.extend({ status: statusSchema.optional() });

/** Metadata as read from the API server. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly deletionTimestamp?: string;
  readonly creationTimestamp?: string;
}

export type WorkspaceSpecParts = Readonly<z.infer<typeof workspaceSpecSchema>>;

export interface Workspace extends Readonly<z.infer<typeof workspaceSchema>> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

export type { AdapterSpec, DataSource, InferenceSpec, PresetSpec, VolumeSource } from './inference';
export type { LabelSelector, Partition, ResourceSpec } from './resource';
export type {
  AttemptStatus,
  Condition,
  MachinePhase,
  MachineStatus,
  StepName,
  StepStatus,
  WorkspaceState,
  WorkspaceStatus,
} from './status';
export type { DataDestination, TuningSpec } from './tuning';
