import { z } from 'zod';
import { GROUP } from './labels';
import type { Rule } from './schema';
import { KIND, PLURAL, workspaceRules, workspaceSchema } from './workspace';

/** A node of a structural schema, as a CustomResourceDefinition holds it. */
export interface Structural {
  description?: string;
  type?: string;
  format?: string;
  default?: unknown;
  enum?: readonly string[];
  minimum?: number;
  maxItems?: number;
  properties?: Record<string, Structural>;
  required?: string[];
  items?: Structural;
  additionalProperties?: Structural;
  'x-kubernetes-validations'?: readonly Rule[];
  [constraint: string]: unknown;
}

/** What a v1alpha1 manifest without a size gets in KAITO. */
export const V1ALPHA1_INSTANCE_TYPE = 'Standard_NC24ads_A100_v4';

/** As in KAITO: v1beta1 takes accessMode private without an image, where the field is deprecated. */
const PRIVATE_NEEDS_IMAGE: Rule = {
  rule: `self.accessMode != 'private' || (has(self.presetOptions) && has(self.presetOptions.image))`,
  fieldPath: '.presetOptions.image',
  message: 'is missing: accessMode private needs the image that holds the weights',
  reason: 'FieldValueRequired',
};

/**
 * The CustomResourceDefinition, made from the schema.
 *
 * Both versions have every field, as etcd stores one shape and nothing converts (strategy None): a field that one version lacked would
 * be lost by a write in it. They differ as KAITO's do in what an unset instanceType means: in v1beta1 the user's own nodes; in v1alpha1, which
 * knows no own nodes, a size that users of old manifests count on. Defaults apply to what is written in that version, never to what is
 * read, so reading is lossless; and since instanceType is immutable, a write in v1alpha1 cannot make a Workspace on own nodes buy.
 */
export function workspaceCrd() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: 'workspace',
        shortNames: ['wk', 'wks'],
        categories: ['workspace'],
      },
      scope: 'Namespaced',
      conversion: { strategy: 'None' },
      versions: [version('v1alpha1', v1alpha1Schema()), version('v1beta1', workspaceStructural())],
    },
  };
}

function version(name: 'v1alpha1' | 'v1beta1', openAPIV3Schema: Structural) {
  return {
    name,
    served: true,
    storage: name === 'v1beta1',
    subresources: { status: {} },
    additionalPrinterColumns: COLUMNS,
    schema: { openAPIV3Schema },
  };
}

const condition = (type: string) => `.status.conditions[?(@.type=="${type}")].status`;

/** kubectl prints the names in capitals. */
const COLUMNS = [
  { name: 'Instance', type: 'string', jsonPath: '.resource.instanceType' },
  { name: 'ResourceReady', type: 'string', jsonPath: condition('ResourceReady') },
  { name: 'InferenceReady', type: 'string', jsonPath: condition('InferenceReady') },
  { name: 'JobStarted', type: 'string', jsonPath: condition('JobStarted') },
  { name: 'WorkspaceReady', type: 'string', jsonPath: condition('WorkspaceSucceeded') },
  { name: 'State', type: 'string', jsonPath: '.status.state' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  { name: 'TargetNodes', type: 'integer', jsonPath: '.status.targetNodeCount', priority: 1 },
  { name: 'Step', type: 'string', jsonPath: '.status.step.name', priority: 1 },
  { name: 'Message', type: 'string', jsonPath: '.status.message', priority: 1 },
];

/** The schema of v1beta1, with the object's head around what zod describes. */
export function workspaceStructural(): Structural {
  const { properties, required } = structural(workspaceSchema);
  return {
    description: 'A model to serve or to tune, and the machines for it.',
    type: 'object',
    properties: {
      apiVersion: { type: 'string', description: 'Version of the schema.' },
      kind: { type: 'string', description: 'Always Workspace.' },
      // The greatest length bounds the estimated cost of rules on the name.
      metadata: { type: 'object', properties: { name: { type: 'string', maxLength: 253 } } },
      ...properties,
    },
    required: required ?? [],
    'x-kubernetes-validations': workspaceRules,
  };
}

function v1alpha1Schema(): Structural {
  const schema = workspaceStructural();
  const size = schema.properties?.resource?.properties?.instanceType;
  if (!size) throw new Error('the schema has no resource.instanceType');
  size.default = V1ALPHA1_INSTANCE_TYPE;
  for (const part of ['inference', 'tuning']) {
    const preset = schema.properties?.[part]?.properties?.preset;
    if (!preset) throw new Error(`the schema has no ${part}.preset`);
    preset['x-kubernetes-validations'] = [...(preset['x-kubernetes-validations'] ?? []), PRIVATE_NEEDS_IMAGE];
  }
  size.description = `${size.description} In v1alpha1 unset means ${V1ALPHA1_INSTANCE_TYPE}; use v1beta1 for own nodes.`;
  return schema;
}

/** JSON Schema of zod, narrowed to what a structural schema may hold. */
function structural(schema: z.ZodType): Structural {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ jsonSchema }) => {
      const node = jsonSchema as Record<string, unknown>;
      delete node.readOnly;
      delete node.propertyNames;
      if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum;
      if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum;
    },
  }) as Structural;
}
