import type { z } from 'zod';
import { dataSourceShape, presetSchema, type VolumeSource } from './inference';
import { object, schemaless, text } from './schema';

export const dataDestinationSchema = object(
  {
    volumeSource: schemaless<VolumeSource>({
      description: 'A volume of Kubernetes, as in a Pod, that receives the results.',
    }).optional(),
    image: text({ maxLength: 512, description: 'Image to push the adapter to.' }).optional(),
    imagePushSecret: text({
      maxLength: 253,
      description: 'Secret of type kubernetes.io/dockerconfigjson to push the image with; required with image.',
    }).optional(),
  },
  { description: 'Where the adapter goes: exactly one of image and volumeSource.' },
);

export const tuningSchema = object(
  {
    preset: presetSchema.optional(),
    method: text({ maxLength: 16, description: 'lora or qlora. Immutable.' }).optional(),
    config: text({
      maxLength: 253,
      description: 'ConfigMap in the same namespace whose key training_config.yaml holds the training’s parameters.',
    }).optional(),
    input: object(dataSourceShape, { description: 'The training data: exactly one of urls, image and volumeSource.' }),
    output: dataDestinationSchema,
  },
  { description: 'Tunes a model into an adapter. Exactly one of inference and tuning is set, and it stays that one.' },
);

export type DataDestination = z.infer<typeof dataDestinationSchema>;
export type TuningSpec = z.infer<typeof tuningSchema>;
