import type { z } from 'zod';
import { int32, list, object, oneOf, stringMap, text } from './schema';

const matchExpression = object(
  {
    key: text({ maxLength: 317, description: 'Label key.' }),
    operator: oneOf(['In', 'NotIn', 'Exists', 'DoesNotExist'], { description: 'How the label is compared.' }),
    values: list(text({ maxLength: 63, description: 'Label value.' }), {
      maxItems: 64,
      description: 'Values to compare with; for In and NotIn only.',
    }).optional(),
  },
  { description: 'One requirement on a label; all must hold.' },
);

export const labelSelectorSchema = object(
  {
    matchLabels: stringMap({
      maxProperties: 64,
      maxLength: 63,
      description: 'Labels that a node must have.',
    }).optional(),
    matchExpressions: list(matchExpression, {
      maxItems: 64,
      description: 'Requirements on labels of a node.',
    }).optional(),
  },
  {
    description:
      'Chooses nodes by their labels. Machines that are bought get matchLabels as their labels. Reserved keys of KAITO are ignored. Immutable.',
    atomic: true,
  },
);

export const partitionSchema = object(
  {
    mode: oneOf(['mig', 'accelerator'], {
      description: 'mig: a MIG slice; accelerator: some of the whole GPUs of a node.',
    }),
    profile: text({ maxLength: 63, description: 'MIG profile, for example 1g.10gb; for mode mig only.' }).optional(),
    count: int32({ description: 'Number of whole GPUs; for mode accelerator only.' }, 1).optional(),
  },
  { description: 'Uses a part of a node’s GPUs. On own nodes only (no instanceType). Immutable.' },
);

export const resourceSchema = object(
  {
    labelSelector: labelSelectorSchema,
    instanceType: text({
      maxLength: 128,
      description:
        'Size of the machines to buy, by the cloud’s name. Unset means: use own nodes that match labelSelector and buy nothing. Immutable.',
    }).optional(),
    instanceTypes: list(text({ maxLength: 128, description: 'Size by the cloud’s name.' }), {
      maxItems: 10,
      description: 'Sizes to try, in this order, when instanceType cannot be had. May be changed at any time.',
      set: true,
    }).optional(),
    count: int32(
      { description: 'Number of nodes. Immutable.', deprecated: 'the number is computed from model and size.' },
      1,
    ).default(1),
    preferredNodes: list(text({ maxLength: 253, description: 'Node name.' }), {
      maxItems: 100,
      description: 'Own nodes to use before others that match.',
    }).optional(),
    partition: partitionSchema.optional(),
  },
  { description: 'The machines that the Workspace runs on.' },
);

export type LabelSelector = z.infer<typeof labelSelectorSchema>;
export type Partition = z.infer<typeof partitionSchema>;
export type ResourceSpec = z.infer<typeof resourceSchema>;
