import { agentPool, agentPoolName, type PoolPurchase, type PoolVariant } from '../../../manifests/agent-pool';
import { asYaml, QUICK_START, workspace } from './fixtures';

const UID = '5f0c1f64-31c4-4b1c-9b39-5a1a2a5f5a10';
const REGULAR: PoolVariant = { instanceType: 'Standard_NC24ads_A100_v4', priority: 'Regular' };
const FIRST: PoolPurchase = { variant: REGULAR, round: 0 };

function render(over: Partial<Parameters<typeof agentPool>[0]> = {}) {
  return agentPool({
    workspace: workspace(QUICK_START),
    purchase: FIRST,
    nodeCount: 1,
    diskGiB: 87,
    createdAt: new Date('2026-11-22T01:02:03.456Z'),
    configuration: { clusterId: 'prod-eastus' },
    ...over,
  });
}

/** The Workspace of the quick start, whose nodes must have these labels. */
function selecting(matchLabels: Record<string, string>) {
  return workspace({
    ...QUICK_START,
    resource: { instanceType: 'Standard_NC24ads_A100_v4', labelSelector: { matchLabels } },
  });
}

describe('the agent pool', () => {
  it('is one pool for all machines of a Workspace', () => {
    expect(asYaml(render({ nodeCount: 4 }))).toMatchSnapshot();
  });

  it('says all that a variant decides', () => {
    const variant: PoolVariant = {
      instanceType: 'Standard_ND96isr_H100_v5',
      priority: 'Spot',
      zone: '2',
      osDiskType: 'Managed',
      capacityReservationGroupId: '/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/x/y',
    };
    const configuration = { clusterId: 'c', subnetId: '/subnets/gpu', nodeImageFamily: 'AzureLinux' };
    const { nodeLabels: _labels, tags, ...body } = render({ purchase: { variant, round: 2 }, configuration });
    expect(body).toMatchSnapshot();
    expect(tags['kaito-attempt']).toBe('2');
  });

  it('has no label that makes gpu-provisioner take it for garbage', () => {
    expect(Object.keys(render().nodeLabels)).not.toContain('karpenter.sh/nodepool');
  });

  it('labels its nodes so that the whole selector matches, but for what AKS sets itself', () => {
    const { nodeLabels } = render({
      workspace: selecting({ apps: 'phi-3', tier: 'gold', 'topology.kubernetes.io/zone': 'eastus-1' }),
    });
    expect(nodeLabels).toMatchObject({ apps: 'phi-3', tier: 'gold' });
    expect(Object.keys(nodeLabels)).not.toContain('topology.kubernetes.io/zone');
  });

  it.each(['kubernetes.azure.com/mode', 'node.kubernetes.io/pool', 'kubernetes.io/role', 'node.k8s.io/x'])(
    'refuses the label %s, which AKS keeps to itself',
    (key) => {
      expect(() => render({ workspace: selecting({ [key]: 'x' }) })).toThrow(
        `resource.labelSelector: '${key}' has a prefix that AKS keeps to itself`,
      );
    },
  );

  it.each([
    [0, 30],
    [87.2, 88],
    [2_048, 2_048],
  ])('has a disk for %d GiB', (diskGiB, size) => {
    expect(render({ diskGiB }).osDiskSizeGB).toBe(size);
  });

  it('refuses weights that no disk holds', () => {
    expect(() => render({ diskGiB: 2_049 })).toThrow('the weights need a disk of 2049 GiB');
  });

  it('follows the annotation of the image family, and refuses one that AKS lacks', () => {
    const annotated = (family: string) =>
      workspace(QUICK_START, { annotations: { 'kaito.sh/node-image-family': family } });
    expect(render({ workspace: annotated(' azurelinux ') }).osSKU).toBe('AzureLinux');
    expect(() => render({ workspace: annotated('windows') })).toThrow("'windows' is no operating system");
  });

  it('has the same name for the same purchase only', () => {
    const name = (clusterId = 'c', uid = UID, variant: Partial<PoolVariant> = {}, round = 0) =>
      agentPoolName(clusterId, uid, { variant: { ...REGULAR, ...variant }, round });
    expect(name()).toMatch(/^[a-z][a-z0-9]{11}$/);
    // Sizes are the same in any case.
    expect(name('c', UID, { instanceType: 'standard_nc24ads_a100_V4' })).toBe(name());
    const others = [
      name('d'),
      name('c', 'another'),
      name('c', UID, { instanceType: 'Standard_NC48ads_A100_v4' }),
      name('c', UID, { priority: 'Spot' }),
      name('c', UID, { zone: '1' }),
      name('c', UID, { osDiskType: 'Managed' }),
      name('c', UID, { capacityReservationGroupId: 'g' }),
      name('c', UID, {}, 1),
    ];
    expect(new Set([name(), ...others]).size).toBe(9);
    // What a Workspace buys is seen to belong together.
    expect(name('c', UID, {}, 1).slice(0, 8)).toBe(name().slice(0, 8));
  });
});
