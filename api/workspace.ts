import { z } from 'zod';
import { inferenceSchema } from './inference';
import { DNS_LABEL, literal } from './patterns';
import { resourceSchema } from './resource';
import type { Rule } from './schema';
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

/** No Service, Pod or label can carry a longer name; a StatefulSet's Pods have a label with 11 characters more. */
const NAME_RULES = [
  {
    rule: `oldSelf.hasValue() || self.metadata.name.matches(${literal(DNS_LABEL)})`,
    optionalOldSelf: true,
    fieldPath: '.metadata.name',
    messageExpression: `'"' + self.metadata.name + '" cannot name a Workspace: use at most 63 lower-case letters, digits and "-", with a letter or digit at both ends (Services and labels carry this name)'`,
  },
  {
    rule: `oldSelf.hasValue() || !has(self.inference) || self.metadata.name.size() <= 52 || self.metadata.name.size() > 63`,
    optionalOldSelf: true,
    fieldPath: '.metadata.name',
    messageExpression: `'"' + self.metadata.name + '" is too long to serve a model: use at most 52 characters (the Pods of its StatefulSet carry it in a label, with a suffix)'`,
  },
] satisfies readonly Rule[];

/** Rules that look at more than one part of the Workspace. */
export const workspaceRules: readonly Rule[] = [
  ...NAME_RULES,
  {
    rule: 'has(self.inference) || has(self.tuning)',
    fieldPath: '.inference',
    message: 'neither inference nor tuning is set: set exactly one of them',
    reason: 'FieldValueRequired',
  },
  {
    rule: '!(has(self.inference) && has(self.tuning))',
    fieldPath: '.tuning',
    message: 'inference is set, too: set exactly one of them, and use a second Workspace for the other',
    reason: 'FieldValueForbidden',
  },
  {
    rule: 'has(self.inference) == has(oldSelf.inference) && has(self.tuning) == has(oldSelf.tuning)',
    fieldPath: '.inference',
    message:
      'a Workspace stays what it was made for: delete it and create it anew to go from inference to tuning or back',
    reason: 'FieldValueForbidden',
  },
  {
    rule: '!has(self.tuning) || !has(self.resource.count) || self.resource.count <= 1',
    fieldPath: '.resource.count',
    message:
      'more than one node cannot tune a model: remove resource.count or set it to 1, and choose a larger instanceType',
  },
  {
    rule: '!has(self.tuning) || !has(self.resource.partition)',
    fieldPath: '.resource.partition',
    message: 'a part of a GPU cannot tune a model: remove resource.partition',
    reason: 'FieldValueForbidden',
  },
];

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
  Reservation,
  StepName,
  StepStatus,
  TrainingProgress,
  TuningStatus,
  WorkspaceState,
  WorkspaceStatus,
} from './status';
export type { DataDestination, TuningSpec } from './tuning';
