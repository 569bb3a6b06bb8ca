import type { V1PodTemplateSpec, V1Volume } from '@kubernetes/client-node';
import type { z } from 'zod';
import { list, object, oneOf, schemaless, text } from './schema';

/** core/v1 VolumeSource: a volume without its name. */
export type VolumeSource = Omit<V1Volume, 'name'>;

const secretName = (description: string) => text({ maxLength: 253, description });

export const presetSchema = object(
  {
    name: text({ maxLength: 200, description: 'A model of the catalogue, or any org/model of Hugging Face.' }),
    accessMode: oneOf(['public', 'private'], {
      description: 'private: the weights come from presetOptions.image.',
    }).default('public'),
    presetOptions: object(
      {
        image: text({
          maxLength: 512,
          description: 'Image with the model’s weights, for accessMode private.',
        }).optional(),
        imagePullSecrets: list(secretName('Secret name.'), {
          maxItems: 10,
          description: 'Secrets of type kubernetes.io/dockerconfigjson to pull the image with.',
        }).optional(),
        modelAccessSecret: secretName(
          'Secret in the same namespace whose key HF_TOKEN holds a Hugging Face token with access to the model.',
        ).optional(),
      },
      { description: 'How the model is reached.' },
    ).optional(),
  },
  { description: 'The model to serve or to tune.' },
);

/** Shape of adapter sources and of tuning input; their rules differ. */
export const dataSourceShape = {
  name: text({ maxLength: 253, description: 'Name of the source.' }).optional(),
  urls: list(text({ maxLength: 2048, description: 'An http or https address.' }), {
    maxItems: 100,
    description: 'Files to download.',
  }).optional(),
  volumeSource: schemaless<VolumeSource>({
    description: 'A volume of Kubernetes, as in a Pod (persistentVolumeClaim, nfs, hostPath, …).',
  }).optional(),
  image: text({ maxLength: 512, description: 'Image whose folder /data holds the files.' }).optional(),
  imagePullSecrets: list(secretName('Secret name.'), {
    maxItems: 10,
    description: 'Secrets of type kubernetes.io/dockerconfigjson to pull the image with.',
  }).optional(),
};

export const adapterSchema = object(
  {
    source: object(dataSourceShape, { description: 'Where the adapter’s files come from: image or volumeSource.' }),
    strength: text({
      maxLength: 32,
      description: 'How much the adapter changes the model: a decimal from 0 to 1 as a string. Unset means 1.0.',
    }).optional(),
  },
  { description: 'A LoRA adapter that is served beside the model, under the name of its source.' },
);

export const inferenceSchema = object(
  {
    preset: presetSchema.optional(),
    template: schemaless<V1PodTemplateSpec>({
      description: 'The user’s own Pod template, instead of a preset.',
    }).optional(),
    config: text({
      maxLength: 253,
      description: 'ConfigMap in the same namespace whose key inference_config.yaml holds options of the model server.',
    }).optional(),
    adapters: list(adapterSchema, { maxItems: 10, description: 'Adapters to serve with the model.' }).optional(),
  },
  { description: 'Serves a model. Exactly one of inference and tuning is set, and it stays that one.' },
);

export type PresetSpec = z.infer<typeof presetSchema>;
export type AdapterSpec = z.infer<typeof adapterSchema>;
export type InferenceSpec = z.infer<typeof inferenceSchema>;
export type DataSource = AdapterSpec['source'];
