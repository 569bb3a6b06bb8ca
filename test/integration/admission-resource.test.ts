import { Admission, byRule, byShape, inference, type Json, tuning } from './admission';

/** Names, and the machines. What is refused, and what is not, when a Workspace is created; the message is the whole of what the user reads. */

let admission: Admission;
beforeAll(async () => {
  admission = await Admission.start();
});
afterAll(() => admission.stop());

const resource = (patch: Json) => inference({ resource: patch });
const ownNodes = (patch: Json) => resource({ instanceType: null, ...patch });
const named = (name: string, manifest = inference) => manifest({ metadata: { name } });

describe('a Workspace is created', () => {
  const accepted: readonly (readonly [string, Json])[] = [
    ['an inference Workspace', inference()],
    ['a name of 52 characters for inference', named('a'.repeat(52))],
    ['a name of 63 characters for tuning', named('a'.repeat(63), tuning)],
    ['a name that starts with a digit', named('7b')],
    ['own nodes: no size', ownNodes({})],
    ['a selector without labels', resource({ labelSelector: { matchLabels: null } })],
    [
      'every operator of a selector',
      resource({
        labelSelector: {
          matchExpressions: [
            { key: 'a', operator: 'In', values: ['1', '2'] },
            { key: 'example.com/b', operator: 'NotIn', values: [''] },
            { key: 'c', operator: 'Exists' },
            { key: 'd', operator: 'DoesNotExist', values: [] },
          ],
        },
      }),
    ],
    ['reserved labels beside own ones', resource({ labelSelector: { matchLabels: { 'kaito.sh/workspace': 'x' } } })],
    [
      'sizes of any cloud',
      resource({ instanceType: 'p4d.24xlarge', instanceTypes: ['Standard_NC6s_v3', 'a2-highgpu-1g'] }),
    ],
    ['a count for inference', resource({ count: 3 })],
    ['preferred nodes', ownNodes({ preferredNodes: ['node-1', 'node-2.example.com'] })],
    ['a MIG slice of own nodes', ownNodes({ partition: { mode: 'mig', profile: '1g.10gb+me' } })],
    ['a spot machine', resource({ capacityType: 'spot' })],
    ['a price', resource({ capacityType: 'spot-then-on-demand', maxPricePerHour: 3.5 })],
    ['some GPUs of own nodes', ownNodes({ partition: { mode: 'accelerator', count: 2 } })],
  ];

  test.each(accepted)('%s', async (_, manifest) => {
    expect(await admission.create(manifest)).toMatchObject({ accepted: { kind: 'Workspace' } });
  });
});

describe('a Workspace is refused', () => {
  const refused: readonly (readonly [string, Json, string])[] = [
    [
      'a preferred node whose name no node can have',
      ownNodes({ preferredNodes: ['node-1', '$(HF_TOKEN)'] }),
      byRule(
        'resource.preferredNodes[1]: Invalid value: "$(HF_TOKEN)": "$(HF_TOKEN)" cannot be the name of a node (lower-case letters, digits, "-" and "."): write the names that kubectl get nodes shows',
      ),
    ],
    [
      'a name with a dot',
      named('a.b'),
      byRule(
        'metadata.name: Invalid value: "a.b" cannot name a Workspace: use at most 63 lower-case letters, digits and "-", with a letter or digit at both ends (Services and labels carry this name)',
        'a.b',
      ),
    ],
    [
      'a name of 64 characters',
      named('a'.repeat(64)),
      byRule(
        `metadata.name: Invalid value: "${'a'.repeat(64)}" cannot name a Workspace: use at most 63 lower-case letters, digits and "-", with a letter or digit at both ends (Services and labels carry this name)`,
        'a'.repeat(64),
      ),
    ],
    [
      'a name too long for a StatefulSet',
      named('a'.repeat(53)),
      byRule(
        `metadata.name: Invalid value: "${'a'.repeat(53)}" is too long to serve a model: use at most 52 characters (the Pods of its StatefulSet carry it in a label, with a suffix)`,
        'a'.repeat(53),
      ),
    ],
    [
      'neither inference nor tuning',
      inference({ inference: null }),
      byRule('inference: Required value: neither inference nor tuning is set: set exactly one of them'),
    ],
    [
      'both inference and tuning',
      tuning({ inference: { preset: { name: 'phi-4' } } }),
      byRule(
        'tuning: Forbidden: inference is set, too: set exactly one of them, and use a second Workspace for the other',
      ),
    ],
    ['no resource', inference({ resource: null }), byShape('resource: Required value')],
    ['no selector', resource({ labelSelector: null }), byShape('resource.labelSelector: Required value')],
    [
      'a label that cannot be one',
      resource({ labelSelector: { matchLabels: { 'a b': 'c' } } }),
      byRule(
        'resource.labelSelector.matchLabels: Invalid value: holds what cannot be a node label: a key is name or prefix/name; a value is at most 63 letters, digits, "-", "_" and "."',
      ),
    ],
    [
      'reserved labels only',
      resource({ labelSelector: { matchLabels: { apps: null, 'kaito.sh/workspace': 'x' } } }),
      byRule(
        'resource.labelSelector.matchLabels: Invalid value: has only labels that the controller sets itself: add a label that your nodes have',
      ),
    ],
    [
      'an unknown operator',
      resource({ labelSelector: { matchExpressions: [{ key: 'a', operator: 'Near' }] } }),
      byShape(
        'resource.labelSelector.matchExpressions[0].operator: Unsupported value: "Near": supported values: "In", "NotIn", "Exists", "DoesNotExist"',
      ),
    ],
    [
      'an operator without values',
      resource({ labelSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
      byRule(
        'resource.labelSelector.matchExpressions[0]: Invalid value: operator In on "a" has no values: list the values to compare with',
      ),
    ],
    [
      'an operator with values that takes none',
      resource({ labelSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } }),
      byRule(
        'resource.labelSelector.matchExpressions[0]: Invalid value: operator Exists on "a" takes no values: remove them',
      ),
    ],
    [
      'a key that cannot be one',
      resource({ labelSelector: { matchExpressions: [{ key: '/a', operator: 'Exists' }] } }),
      byRule(
        'resource.labelSelector.matchExpressions[0].key: Invalid value: "/a": "/a" is not a label key: write name or prefix/name',
      ),
    ],
    [
      'a value that cannot be one',
      resource({ labelSelector: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b c'] }] } }),
      byRule(
        'resource.labelSelector.matchExpressions[0].values[0]: Invalid value: "b c": "b c" is not a label value: use at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends',
      ),
    ],
    [
      'an empty size',
      resource({ instanceType: '' }),
      byRule(
        'resource.instanceType: Invalid value: "": "" is not a machine size: write the name that the cloud gives to the size, for example Standard_NC24ads_A100_v4, or leave the field out to use own nodes',
      ),
    ],
    [
      'a size that cannot be one',
      resource({ instanceType: 'Standard NC6' }),
      byRule(
        'resource.instanceType: Invalid value: "Standard NC6": "Standard NC6" is not a machine size: write the name that the cloud gives to the size, for example Standard_NC24ads_A100_v4, or leave the field out to use own nodes',
      ),
    ],
    [
      'a fallback that cannot be a size',
      resource({ instanceTypes: ['-x'] }),
      byRule(
        'resource.instanceTypes[0]: Invalid value: "-x": "-x" is not a machine size: write the name that the cloud gives to the size, for example Standard_NC24ads_A100_v4, or leave the field out to use own nodes',
      ),
    ],
    [
      'the same fallback twice',
      resource({ instanceTypes: ['a', 'a'] }),
      byRule('resource.instanceTypes[1]: Duplicate value: "a"'),
    ],
    [
      'the size again as fallback',
      resource({ instanceTypes: ['Standard_NC24ads_A100_v4'] }),
      byRule(
        'resource.instanceTypes: Invalid value: repeats resource.instanceType "Standard_NC24ads_A100_v4": it is tried first anyway, remove it here',
      ),
    ],
    [
      'fallbacks without a size',
      ownNodes({ instanceTypes: ['a'] }),
      byRule(
        'resource.instanceTypes: Invalid value: has fallbacks but resource.instanceType is not set: set it to the size to try first',
      ),
    ],
    [
      'more than ten fallbacks',
      resource({ instanceTypes: Array.from({ length: 11 }, (_, i) => `s${i}`) }),
      byShape('resource.instanceTypes: Too many: 11: must have at most 10 items'),
    ],
    [
      'count 0',
      resource({ count: 0 }),
      byRule('resource.count: Invalid value: 0: resource.count in body should be greater than or equal to 1'),
    ],
    [
      'a count that is no number',
      resource({ count: 'two' }),
      byShape('resource.count: Invalid value: "string": resource.count in body must be of type integer: "string"'),
    ],
    [
      'a partition with a size',
      resource({ partition: { mode: 'mig', profile: '1g.10gb' } }),
      byRule(
        'resource.partition: Forbidden: divides GPUs of own nodes only, but resource.instanceType is "Standard_NC24ads_A100_v4": remove one of the two',
      ),
    ],
    [
      'a MIG partition without a profile',
      ownNodes({ partition: { mode: 'mig' } }),
      byRule(
        'resource.partition: Invalid value: mode mig takes a profile and no count: set profile, for example 1g.10gb, and remove count',
      ),
    ],
    [
      'a MIG partition with a count',
      ownNodes({ partition: { mode: 'mig', profile: '1g.10gb', count: 1 } }),
      byRule(
        'resource.partition: Invalid value: mode mig takes a profile and no count: set profile, for example 1g.10gb, and remove count',
      ),
    ],
    [
      'an unknown MIG profile',
      ownNodes({ partition: { mode: 'mig', profile: 'large' } }),
      byRule(
        'resource.partition.profile: Invalid value: "large": "large" is not a MIG profile: write, for example, 1g.10gb',
      ),
    ],
    [
      'a GPU partition without a count',
      ownNodes({ partition: { mode: 'accelerator' } }),
      byRule(
        'resource.partition: Invalid value: mode accelerator takes a count and no profile: set count to the number of GPUs and remove profile',
      ),
    ],
    [
      'a GPU partition with a profile',
      ownNodes({ partition: { mode: 'accelerator', count: 1, profile: '1g.10gb' } }),
      byRule(
        'resource.partition: Invalid value: mode accelerator takes a count and no profile: set count to the number of GPUs and remove profile',
      ),
    ],
    [
      'an unknown partition mode',
      ownNodes({ partition: { mode: 'half' } }),
      byShape('resource.partition.mode: Unsupported value: "half": supported values: "mig", "accelerator"'),
    ],
    [
      'a capacity type of own nodes',
      ownNodes({ capacityType: 'spot' }),
      byRule(
        'resource.capacityType: Invalid value: is about machines that are bought, but resource.instanceType is not set: set it, or remove this field (own nodes are not bought)',
      ),
    ],
    [
      'a price of own nodes',
      ownNodes({ maxPricePerHour: 2 }),
      byRule(
        'resource.maxPricePerHour: Invalid value: is about machines that are bought, but resource.instanceType is not set: set it, or remove this field (own nodes are not bought)',
      ),
    ],
    [
      'two capacity types',
      resource({
        capacityType: 'spot',
        labelSelector: { matchLabels: { 'karpenter.sh/capacity-type': 'on-demand' } },
      }),
      byRule(
        'resource.capacityType: Invalid value: says what labelSelector.matchLabels["karpenter.sh/capacity-type"] says, too: remove one of the two',
      ),
    ],
    [
      'an unknown capacity type',
      resource({ capacityType: 'cheap' }),
      byShape(
        'resource.capacityType: Unsupported value: "cheap": supported values: "on-demand", "spot", "spot-then-on-demand"',
      ),
    ],
    [
      'a price of nothing',
      resource({ maxPricePerHour: 0 }),
      byRule('resource.maxPricePerHour: Invalid value: 0: must be more than 0: remove it to buy at any price'),
    ],
  ];

  test.each(refused)('%s', async (_, manifest, message) => {
    expect(await admission.create(manifest)).toEqual({ refused: message });
  });
});
