import { checkPurchase } from '../../../activities/plan/check-purchase';
import { CauseError } from '../../../api/causes';
import { NODE_CLASS_PROFILES, type NodeClassProfileName } from '../../../manifests/node-class-profiles';
import { workspace } from '../manifests/fixtures';

const asking = (resource: object) =>
  workspace({ resource: { labelSelector: {}, count: 1, instanceType: 'Standard_NC24ads_A100_v4', ...resource } });

const installation = (profile: NodeClassProfileName, buyer: 'karpenter' | 'azure' = 'karpenter') => ({
  buyer,
  nodeClass: NODE_CLASS_PROFILES[profile],
  terminationGracePeriod: '5m',
});

test.each([
  ['an on-demand machine of gpu-provisioner', { capacityType: 'on-demand' }, installation('gpu-provisioner')],
  ['a spot machine of a Karpenter', { capacityType: 'spot' }, installation('aws-karpenter')],
  ['a price of agent pools', { maxPricePerHour: 5, capacityType: 'spot' }, installation('gpu-provisioner', 'azure')],
])('%s can be had', (_, resource, configuration) => {
  expect(() => checkPurchase(asking(resource), configuration)).not.toThrow();
});

test.each([
  ['capacityType', { capacityType: 'spot-then-on-demand' }, installation('gpu-provisioner')],
  ['maxPricePerHour', { maxPricePerHour: 5 }, installation('aws-karpenter')],
])('%s is refused where it could not be kept', (field, resource, configuration) => {
  const check = (): void => checkPurchase(asking(resource), configuration);
  expect(check).toThrow(CauseError);
  expect(check).toThrow(`resource.${field}: `);
});
