import type { z } from 'zod';
import { LABEL_CAPACITY_TYPE, RESERVED_SELECTOR_KEYS } from './labels';
import {
  immutable,
  isNodeName,
  isSize,
  LABEL_KEY,
  LABEL_VALUE,
  literal,
  literals,
  matches,
  MIG_PROFILE,
} from './patterns';
import { decimal, int32, list, object, oneOf, stringMap, text } from './schema';

const isLabelValue = matches(
  LABEL_VALUE,
  'is not a label value: use at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends',
);

const matchExpression = object(
  {
    key: text({
      maxLength: 317,
      description: 'Label key.',
      rules: [matches(LABEL_KEY, 'is not a label key: write name or prefix/name')],
    }),
    operator: oneOf(['In', 'NotIn', 'Exists', 'DoesNotExist'], { description: 'How the label is compared.' }),
    values: list(text({ maxLength: 63, description: 'Label value.', rules: [isLabelValue] }), {
      maxItems: 64,
      description: 'Values to compare with; for In and NotIn only.',
    }).optional(),
  },
  {
    description: 'One requirement on a label; all must hold.',
    rules: [
      {
        rule: `!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)`,
        messageExpression: `'operator ' + self.operator + ' on "' + self.key + '" has no values: list the values to compare with'`,
      },
      {
        rule: `self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0`,
        messageExpression: `'operator ' + self.operator + ' on "' + self.key + '" takes no values: remove them'`,
      },
    ],
  },
);

const labelSelectorSchema = object(
  {
    matchLabels: stringMap({
      maxProperties: 64,
      maxLength: 63,
      description: 'Labels that a node must have.',
      rules: [
        {
          rule: `self.all(key, key.size() <= 317 && key.matches(${literal(LABEL_KEY)}) && self[key].matches(${literal(LABEL_VALUE)}))`,
          message:
            'holds what cannot be a node label: a key is name or prefix/name; a value is at most 63 letters, digits, "-", "_" and "."',
        },
        {
          rule: `self.size() == 0 || !self.all(key, key in ${literals(RESERVED_SELECTOR_KEYS)})`,
          message: 'has only labels that the controller sets itself: add a label that your nodes have',
        },
      ],
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
    rules: [immutable],
  },
);

const partitionSchema = object(
  {
    mode: oneOf(['mig', 'accelerator'], {
      description: 'mig: a MIG slice; accelerator: some of the whole GPUs of a node.',
    }),
    profile: text({
      maxLength: 63,
      description: 'MIG profile, for example 1g.10gb; for mode mig only.',
      rules: [matches(MIG_PROFILE, 'is not a MIG profile: write, for example, 1g.10gb')],
    }).optional(),
    count: int32({ description: 'Number of whole GPUs; for mode accelerator only.' }, 1).optional(),
  },
  {
    description: 'Uses a part of a node’s GPUs. On own nodes only (no instanceType). Immutable.',
    rules: [
      {
        rule: `self.mode != 'mig' || (has(self.profile) && !has(self.count))`,
        message: 'mode mig takes a profile and no count: set profile, for example 1g.10gb, and remove count',
      },
      {
        rule: `self.mode != 'accelerator' || (has(self.count) && !has(self.profile))`,
        message: 'mode accelerator takes a count and no profile: set count to the number of GPUs and remove profile',
      },
    ],
  },
);

/** The size as a string, empty where unset. (`orValue` would lose the greatest length, and with it the estimate of the rule's cost.) */
const sizeOf = (self: 'self' | 'oldSelf') => `(has(${self}.instanceType) ? ${self}.instanceType : '')`;

const size = (description: string) => text({ maxLength: 63, description, rules: [isSize] });

export const resourceSchema = object(
  {
    labelSelector: labelSelectorSchema,
    instanceType: size(
      'Size of the machines to buy, by the cloud’s name. Unset means: use own nodes that match labelSelector and buy nothing. Immutable.',
    ).optional(),
    instanceTypes: list(size('Size by the cloud’s name.'), {
      maxItems: 10,
      description: 'Sizes to try, in this order, when instanceType cannot be had. May be changed at any time.',
      set: true,
    }).optional(),
    capacityType: oneOf(['on-demand', 'spot', 'spot-then-on-demand'], {
      description:
        'How machines are bought. Spot machines are cheaper, and may be taken away at any moment. Unset means on-demand, or what the label karpenter.sh/capacity-type in labelSelector says. Counts for what is bought from now on.',
    }).optional(),
    maxPricePerHour: decimal({
      description:
        'Most that all machines of the Workspace may cost, USD an hour by the cloud’s public list. A size whose price is higher, or not known, is not bought. Counts for what is bought from now on.',
      rules: [{ rule: 'self > 0.0', message: 'must be more than 0: remove it to buy at any price' }],
    }).optional(),
    count: int32(
      {
        description: 'Number of nodes for inference.template. Immutable.',
        deprecated: 'for a preset the number is computed from model and size.',
        rules: [immutable],
      },
      1,
    ).default(1),
    preferredNodes: list(text({ maxLength: 253, description: 'Node name.', rules: [isNodeName] }), {
      maxItems: 100,
      description: 'Own nodes to use before others that match.',
    }).optional(),
    partition: partitionSchema.optional(),
  },
  {
    description: 'The machines that the Workspace runs on.',
    rules: [
      {
        rule: `${sizeOf('self')} == ${sizeOf('oldSelf')}`,
        fieldPath: '.instanceType',
        messageExpression: `'is immutable, it was "' + ${sizeOf('oldSelf')} + '": delete the Workspace and create it anew with another size, or list fallbacks in resource.instanceTypes (v1beta1 reads an unset size as own nodes)'`,
        reason: 'FieldValueForbidden',
      },
      {
        rule: `!has(self.instanceTypes) || self.instanceTypes.size() == 0 || has(self.instanceType)`,
        fieldPath: '.instanceTypes',
        message: 'has fallbacks but resource.instanceType is not set: set it to the size to try first',
      },
      {
        rule: `!has(self.instanceTypes) || !(${sizeOf('self')} in self.instanceTypes)`,
        fieldPath: '.instanceTypes',
        messageExpression: `'repeats resource.instanceType "' + ${sizeOf('self')} + '": it is tried first anyway, remove it here'`,
      },
      ...(['capacityType', 'maxPricePerHour'] as const).map((name) => ({
        rule: `!has(self.${name}) || has(self.instanceType)`,
        fieldPath: `.${name}`,
        message:
          'is about machines that are bought, but resource.instanceType is not set: set it, or remove this field (own nodes are not bought)',
      })),
      {
        rule: `!has(self.capacityType) || !has(self.labelSelector) || !has(self.labelSelector.matchLabels) || !(${literal(LABEL_CAPACITY_TYPE)} in self.labelSelector.matchLabels)`,
        fieldPath: '.capacityType',
        message: `says what labelSelector.matchLabels["${LABEL_CAPACITY_TYPE}"] says, too: remove one of the two`,
      },
      {
        rule: '!has(self.partition) || !has(self.instanceType)',
        fieldPath: '.partition',
        messageExpression: `'divides GPUs of own nodes only, but resource.instanceType is "' + ${sizeOf('self')} + '": remove one of the two'`,
        reason: 'FieldValueForbidden',
      },
      {
        rule: 'has(self.partition) == has(oldSelf.partition) && (!has(self.partition) || self.partition == oldSelf.partition)',
        fieldPath: '.partition',
        message: 'is immutable: delete the Workspace and create it anew with the new value',
        reason: 'FieldValueForbidden',
      },
    ],
  },
);

export type LabelSelector = z.infer<typeof labelSelectorSchema>;
export type Partition = z.infer<typeof partitionSchema>;
export type ResourceSpec = z.infer<typeof resourceSchema>;
