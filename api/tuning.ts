import type { z } from 'zod';
import { presetSchema, pullSecrets, SOURCE_KINDS, volume } from './inference';
import { isImage, isObjectName } from './patterns';
import { int32, list, object, text } from './schema';
import { isWebUrl } from './urls';

const dataSourceSchema = object(
  {
    name: text({ maxLength: 253, description: 'Name of the data. Cannot be changed once set.' }).optional(),
    urls: list(text({ maxLength: 2048, description: 'An http or https address.', rules: [isWebUrl] }), {
      maxItems: 100,
      description: 'Files to download: parquet, json, jsonl, csv or arrow.',
    }).optional(),
    volumeSource: volume('A volume of Kubernetes with the data, as in a Pod.').optional(),
    image: text({
      maxLength: 512,
      description: 'Image whose folder /data holds the data.',
      rules: [isImage],
    }).optional(),
    imagePullSecrets: pullSecrets().optional(),
  },
  {
    description: 'The training data: exactly one of urls, image and volumeSource.',
    rules: [
      {
        rule: `${SOURCE_KINDS.urls} + ${SOURCE_KINDS.image} + ${SOURCE_KINDS.volumeSource} > 0`,
        message: 'names no data: set exactly one of urls, image and volumeSource',
        reason: 'FieldValueRequired',
      },
      {
        rule: `${SOURCE_KINDS.urls} + ${SOURCE_KINDS.image} + ${SOURCE_KINDS.volumeSource} < 2`,
        message: 'names data more than once: set exactly one of urls, image and volumeSource',
      },
      {
        rule: '!has(oldSelf.name) || (has(self.name) && self.name == oldSelf.name)',
        fieldPath: '.name',
        messageExpression: `'cannot be changed once set, it was "' + oldSelf.name + '": delete the Workspace and create it anew'`,
        reason: 'FieldValueForbidden',
      },
    ],
  },
);

const dataDestinationSchema = object(
  {
    volumeSource: volume(
      'A volume of Kubernetes that receives the results, as in a Pod. With image beside it: the results are kept there and pushed from there.',
    ).optional(),
    image: text({
      maxLength: 512,
      description: 'Image to push the adapter to.',
      rules: [
        isImage,
        {
          rule: `!self.contains('@')`,
          messageExpression: `'"' + self + '" names a digest, which is known only after the push: write registry/repository:tag'`,
        },
      ],
    }).optional(),
    imagePushSecret: text({
      maxLength: 253,
      description: 'Secret of type kubernetes.io/dockerconfigjson to push the image with; required with image.',
      rules: [isObjectName('Secret')],
    }).optional(),
  },
  {
    description: 'Where the adapter goes: to an image, onto a volume, or both.',
    rules: [
      {
        rule: 'has(self.image) || has(self.volumeSource)',
        message: 'names neither image nor volumeSource: set at least one of them',
        reason: 'FieldValueRequired',
      },
      {
        rule: '!has(self.image) || has(self.imagePushSecret)',
        fieldPath: '.imagePushSecret',
        messageExpression: `'is missing: name the Secret (type kubernetes.io/dockerconfigjson) that may push "' + self.image + '"'`,
        reason: 'FieldValueRequired',
      },
    ],
  },
);

export const tuningSchema = object(
  {
    preset: presetSchema,
    method: text({
      maxLength: 16,
      description: 'lora or qlora, in any case. Immutable.',
      rules: [
        {
          rule: `self.lowerAscii() in ['lora', 'qlora']`,
          messageExpression: `'"' + self + '" is not a tuning method: use lora or qlora'`,
        },
        {
          rule: 'self.lowerAscii() == oldSelf.lowerAscii()',
          messageExpression: `'is immutable, it was "' + oldSelf + '": delete the Workspace and create it anew'`,
          reason: 'FieldValueForbidden',
        },
      ],
    }),
    config: text({
      maxLength: 253,
      description: 'ConfigMap in the same namespace whose key training_config.yaml holds the training’s parameters.',
      rules: [isObjectName('ConfigMap')],
    }).optional(),
    input: dataSourceSchema,
    output: dataDestinationSchema,
    activeDeadlineSeconds: int32(
      {
        description:
          'Longest time, in seconds, that data and training may take, retries included; then training is ended. Unset: no limit.',
      },
      60,
    ).optional(),
  },
  { description: 'Tunes a model into an adapter. Exactly one of inference and tuning is set, and it stays that one.' },
);

export type DataDestination = z.infer<typeof dataDestinationSchema>;
export type TuningSpec = z.infer<typeof tuningSchema>;
