import { nodeClaim, nodeClaimName, type Purchase } from '../../../manifests/node-claim';
import { NODE_CLASS_PROFILES, type NodeClassProfileName } from '../../../manifests/node-class-profiles';
import { asYaml, QUICK_START, workspace } from './fixtures';

const FIRST: Purchase = { slot: 0, instanceType: 'Standard_NC6s_v3', round: 0 };
const UID = '5f0c1f64-31c4-4b1c-9b39-5a1a2a5f5a10';

function render(
  of = workspace(QUICK_START),
  profile: NodeClassProfileName = 'kwok',
  over: { nodePool?: string; allowedNodeClassNames?: string[]; nodeImageFamily?: string } = {},
) {
  return nodeClaim({
    workspace: of,
    purchase: { slot: 1, instanceType: 'Standard_NC24ads_A100_v4', round: 3 },
    gpus: { count: 1, resourceName: 'nvidia.com/gpu' },
    diskGiB: 87,
    configuration: {
      buyer: 'karpenter',
      nodeClass: NODE_CLASS_PROFILES[profile],
      terminationGracePeriod: '5m',
      ...over,
    },
  });
}

describe('the NodeClaim', () => {
  it('is what gpu-provisioner understands', () => {
    expect(
      asYaml(render(undefined, 'gpu-provisioner', { nodePool: 'kaito', nodeImageFamily: 'ubuntu' })),
    ).toMatchSnapshot();
  });

  it.each(['azure-karpenter', 'aws-karpenter', 'kwok'] as const)('is what %s understands', (profile) => {
    expect(asYaml(render(undefined, profile, { nodePool: 'kaito' }).spec)).toMatchSnapshot();
  });

  it('labels the node so that the whole selector matches, and asks for what the provider decides', () => {
    const selecting = workspace({
      ...QUICK_START,
      resource: {
        instanceType: 'Standard_NC6s_v3',
        labelSelector: {
          matchLabels: {
            apps: 'phi-3',
            'kaito.sh/workspace': 'of-another',
            'topology.kubernetes.io/zone': 'eastus-1',
          },
          matchExpressions: [
            { key: 'apps', operator: 'In', values: ['phi-2', 'phi-3'] },
            { key: 'tier', operator: 'In', values: ['gold', 'silver'] },
            { key: 'inference', operator: 'Exists' },
            { key: 'maintenance', operator: 'DoesNotExist' },
            { key: 'karpenter.sh/capacity-type', operator: 'In', values: ['spot'] },
          ],
        },
      },
    });
    const { metadata, spec } = render(selecting, 'azure-karpenter');
    expect(metadata.labels).toEqual({
      apps: 'phi-3',
      tier: 'gold',
      inference: 'true',
      'kaito.sh/workspace': 'workspace-phi-3-mini',
      'kaito.sh/workspacenamespace': 'default',
      'kaito.sh/workspace-uid': UID,
    });
    expect(spec.requirements).toEqual([
      { key: 'node.kubernetes.io/instance-type', operator: 'In', values: ['Standard_NC24ads_A100_v4'] },
      { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
      { key: 'karpenter.azure.com/placement-scope', operator: 'In', values: ['regional'] },
      { key: 'topology.kubernetes.io/zone', operator: 'In', values: ['eastus-1'] },
      { key: 'karpenter.sh/capacity-type', operator: 'In', values: ['spot'] },
    ]);
  });

  it.each([
    ['spot', ['spot']],
    ['spot-then-on-demand', ['spot', 'on-demand']],
  ] as const)('asks for %s machines where the Workspace does', (capacityType, values) => {
    const { resource } = QUICK_START;
    const { spec } = render(workspace({ ...QUICK_START, resource: { ...resource, capacityType } }), 'aws-karpenter');
    expect(spec.requirements.filter(({ key }) => key === 'karpenter.sh/capacity-type')).toEqual([
      { key: 'karpenter.sh/capacity-type', operator: 'In', values },
    ]);
  });

  it('follows the Workspace’s annotations', () => {
    const annotated = workspace(QUICK_START, {
      annotations: { 'kaito.sh/node-class-name': 'large-disk', 'kaito.sh/node-image-family': ' AzureLinux ' },
    });
    const { metadata, spec } = render(annotated, 'azure-karpenter', {
      allowedNodeClassNames: ['large-disk'],
      nodeImageFamily: 'ubuntu',
    });
    expect(spec.nodeClassRef.name).toBe('large-disk');
    expect(metadata.annotations['kaito.sh/node-image-family']).toBe('azurelinux');
  });

  it('refuses a NodeClass that the installation does not allow', () => {
    const annotated = workspace(QUICK_START, { annotations: { 'kaito.sh/node-class-name': 'theirs' } });
    expect(() => render(annotated)).toThrow(
      "annotation kaito.sh/node-class-name: KWOKNodeClass 'theirs' is not one of default",
    );
  });

  it('has the same name for the same purchase only', () => {
    expect(nodeClaimName(UID, FIRST)).toMatch(/^ws[0-9a-f]{9}$/);
    expect(nodeClaimName(UID, { ...FIRST })).toBe(nodeClaimName(UID, FIRST));
    const others = [
      nodeClaimName('another', FIRST),
      nodeClaimName(UID, { ...FIRST, slot: 1 }),
      nodeClaimName(UID, { ...FIRST, instanceType: 'Standard_NC12s_v3' }),
      nodeClaimName(UID, { ...FIRST, round: 1 }),
    ];
    expect(new Set([nodeClaimName(UID, FIRST), ...others]).size).toBe(5);
  });
});
