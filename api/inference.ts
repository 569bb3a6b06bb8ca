import type { V1PodTemplateSpec, V1Volume } from '@kubernetes/client-node';
import type { z } from 'zod';
import {
  DNS_SUBDOMAIN,
  HUB_ID,
  immutable,
  isImage,
  isObjectName,
  literal,
  literals,
  matches,
  UNIT_DECIMAL,
} from './patterns';
import { PRESET_ALIASES } from './preset-names';
import { RETIRED_PRESETS } from './retired-presets';
import { list, object, oneOf, schemaless, text } from './schema';

/** core/v1 VolumeSource: a volume without its name. */
export type VolumeSource = Omit<V1Volume, 'name'>;

const secretName = (description: string) => text({ maxLength: 253, description, rules: [isObjectName('Secret')] });

export const pullSecrets = () =>
  list(secretName('Secret name.'), {
    maxItems: 10,
    description: 'Secrets of type kubernetes.io/dockerconfigjson to pull the image with.',
  });

const aliases = literals(Object.keys(PRESET_ALIASES));
const retired = literals(Object.keys(RETIRED_PRESETS));
const successors = Object.entries(RETIRED_PRESETS).map(([name, use]) => `${literal(name)}: ${literal(use)}`);

export const presetSchema = object(
  {
    name: text({
      maxLength: 200,
      description: 'A model of the catalogue by its short name, or any org/model of Hugging Face. Immutable.',
      rules: [
        {
          rule: `!(self.lowerAscii() in ${retired})`,
          messageExpression: `'"' + self + '" is no longer served: use "' + {${successors.join(', ')}}[self.lowerAscii()] + '"'`,
        },
        {
          rule: `self.lowerAscii() in ${retired} || self.lowerAscii() in ${aliases} || self.matches(${literal(HUB_ID)})`,
          messageExpression: `'"' + self + '" is not a known model: use org/model of Hugging Face, or one of ${Object.keys(PRESET_ALIASES).join(', ')}'`,
        },
        immutable,
      ],
    }),
    accessMode: oneOf(['public', 'private'], {
      description: 'private: the weights come from presetOptions.image. Immutable.',
      rules: [immutable],
    }).default('public'),
    presetOptions: object(
      {
        image: text({
          maxLength: 512,
          description: 'Image with the model’s weights, for accessMode private. Immutable.',
          rules: [isImage],
        }).optional(),
        imagePullSecrets: pullSecrets().optional(),
        modelAccessSecret: secretName(
          'Secret in the same namespace whose key HF_TOKEN holds a Hugging Face token with access to the model.',
        ).optional(),
      },
      { description: 'How the model is reached. Names of Secrets may be changed at any time.' },
    ).optional(),
  },
  {
    description: 'The model to serve or to tune. The model is immutable.',
    rules: [
      {
        rule: `${weightsImage('self')} == ${weightsImage('oldSelf')}`,
        fieldPath: '.presetOptions.image',
        message: immutable.message,
        reason: 'FieldValueForbidden',
      },
    ],
  },
);

function weightsImage(self: 'self' | 'oldSelf'): string {
  return `(has(${self}.presetOptions) && has(${self}.presetOptions.image) ? ${self}.presetOptions.image : '')`;
}

/** CEL: 1 where the source is set. */
export const SOURCE_KINDS = {
  urls: `(has(self.urls) && self.urls.size() > 0 ? 1 : 0)`,
  image: `(has(self.image) ? 1 : 0)`,
  volumeSource: `(has(self.volumeSource) ? 1 : 0)`,
} as const;

const ADAPTER_SOURCES = `${SOURCE_KINDS.image} + ${SOURCE_KINDS.volumeSource} + (has(self.workspace) ? 1 : 0)`;

const adapterSourceSchema = object(
  {
    name: text({
      maxLength: 253,
      description: 'Name of the adapter, by which clients ask for it. Unique in the Workspace; required.',
      rules: [
        matches(
          DNS_SUBDOMAIN,
          'cannot name an adapter (it becomes a folder and a model name): use lower-case letters, digits, "-" and "."',
        ),
      ],
    }).optional(),
    urls: list(text({ maxLength: 2048, description: 'Not supported for adapters.' }), {
      maxItems: 1,
      description: 'Not supported for adapters: use image, volumeSource or workspace.',
    }).optional(),
    volumeSource: volume('A volume of Kubernetes with the adapter’s files, as in a Pod.').optional(),
    image: text({
      maxLength: 512,
      description: 'Image whose folder /data holds adapter_config.json and adapter_model.safetensors.',
      rules: [isImage],
    }).optional(),
    imagePullSecrets: pullSecrets().optional(),
    workspace: text({
      maxLength: 253,
      description:
        'Tuning Workspace in the same namespace: its pushed image is waited for, and used by its digest. Without imagePullSecrets its imagePushSecret pulls it.',
      rules: [isObjectName('Workspace')],
    }).optional(),
  },
  {
    description: 'Where the adapter’s files come from: exactly one of image, volumeSource and workspace.',
    rules: [
      {
        rule: 'has(self.name)',
        fieldPath: '.name',
        message: 'is missing: name the adapter; clients ask for it by this name',
        reason: 'FieldValueRequired',
      },
      {
        rule: `${SOURCE_KINDS.urls} == 0`,
        fieldPath: '.urls',
        message: 'cannot be the source of an adapter: use image, volumeSource or workspace',
        reason: 'FieldValueForbidden',
      },
      {
        rule: `${SOURCE_KINDS.urls} + ${ADAPTER_SOURCES} > 0`,
        messageExpression: `'adapter "' + (has(self.name) ? self.name : '') + '" has no source: set exactly one of image, volumeSource and workspace'`,
        reason: 'FieldValueRequired',
      },
      {
        rule: `${ADAPTER_SOURCES} < 2`,
        messageExpression: `'adapter "' + (has(self.name) ? self.name : '') + '" has several sources: set exactly one of image, volumeSource and workspace'`,
      },
    ],
  },
);

export function volume(description: string) {
  return schemaless<VolumeSource>({ description });
}

const adapterSchema = object(
  {
    source: adapterSourceSchema,
    strength: text({
      maxLength: 32,
      description: 'How much the adapter changes the model: a decimal from 0 to 1 as a string. Unset means 1.0.',
      rules: [matches(UNIT_DECIMAL, 'is not a strength: write a decimal from 0 to 1 in quotes, for example "0.5"')],
    }).optional(),
  },
  { description: 'A LoRA adapter that is served beside the model, under the name of its source.' },
);

const sourceName = (item: string) => `(has(${item}.source.name) ? ${item}.source.name : '')`;

export const inferenceSchema = object(
  {
    preset: presetSchema.optional(),
    template: schemaless<V1PodTemplateSpec>({
      description: 'The user’s own Pod template, instead of a preset.',
    }).optional(),
    config: text({
      maxLength: 253,
      description: 'ConfigMap in the same namespace whose key inference_config.yaml holds options of the model server.',
      rules: [isObjectName('ConfigMap')],
    }).optional(),
    adapters: list(adapterSchema, {
      maxItems: 10,
      description: 'Adapters to serve with the model.',
      rules: [
        {
          rule: `self.all(a, self.exists_one(b, ${sourceName('a')} == ${sourceName('b')}))`,
          message: 'holds the same source.name twice: give each adapter a name of its own',
        },
      ],
    }).optional(),
  },
  {
    description: 'Serves a model. Exactly one of inference and tuning is set, and it stays that one.',
    rules: [
      {
        rule: 'has(self.preset) || has(self.template)',
        message: 'has neither preset nor template: set exactly one of them',
        reason: 'FieldValueRequired',
      },
      {
        rule: '!(has(self.preset) && has(self.template))',
        message: 'has both preset and template: set exactly one of them',
      },
      {
        rule: 'has(self.preset) == has(oldSelf.preset) && has(self.template) == has(oldSelf.template)',
        message: 'cannot go from preset to template or back: delete the Workspace and create it anew',
        reason: 'FieldValueForbidden',
      },
    ],
  },
);

export type PresetSpec = z.infer<typeof presetSchema>;
export type AdapterSpec = z.infer<typeof adapterSchema>;
export type InferenceSpec = z.infer<typeof inferenceSchema>;
export type DataSource = AdapterSpec['source'];
