/**
 * Whether what the Workspace asks of a purchase can be had from whoever buys machines here. Pure.
 */
import { CauseError } from '../../api/causes';
import type { Workspace } from '../../api/workspace';
import type { MachineConfiguration } from '../../manifests/configuration';

/** Throws a CauseError NotSupported. */
export function checkPurchase({ resource }: Workspace, { buyer, nodeClass }: MachineConfiguration): void {
  if (buyer === 'azure') return;
  const { capacityType = 'on-demand', maxPricePerHour } = resource;
  if (maxPricePerHour !== undefined) {
    throw new CauseError({
      cause: 'NotSupported',
      message: `resource.maxPricePerHour: ${maxPricePerHour} cannot be kept: prices are not known of machines that Karpenter buys`,
      remedy: 'Remove resource.maxPricePerHour, or have the provider azure buy the machines (KAITO_MACHINES).',
    });
  }
  if (capacityType !== 'on-demand' && !nodeClass.buysSpot) {
    throw new CauseError({
      cause: 'NotSupported',
      message: `resource.capacityType: ${capacityType} cannot be had: ${nodeClass.kind} '${nodeClass.name}' buys on-demand machines only`,
      remedy: 'Set resource.capacityType to on-demand, or use another provider of machines.',
    });
  }
}
