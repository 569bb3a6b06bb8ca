/**
 * How an operation that was accepted ends badly: what `status.provisioningError` and the operation's `error` say, nested as the service nests
 * it. Facts: public issues and Microsoft's error pages.
 */
import type { ErrorBody } from './errors';

/** The scale set's failure, as AKS wraps it. */
function scaleSetFailure(inner: ErrorBody): ErrorBody {
  return {
    code: 'ReconcileVMSSAgentPoolFailed',
    message: `Unable to reconcile the agent pool: ${inner.message}`,
    details: [inner],
  };
}

export function allocationFailed(): ErrorBody {
  return scaleSetFailure({
    code: 'AllocationFailed',
    message:
      'Allocation failed. We do not have sufficient capacity for the requested VM size in this region. Read more about improving ' +
      'likelihood of allocation success at http://aka.ms/allocation-guidance',
  });
}

/** The one AllocationFailed that is worth trying again. */
export function allocationFailedInternally(): ErrorBody {
  return scaleSetFailure({
    code: 'AllocationFailed',
    message:
      'VM allocation failed due to an internal error. Please retry later or try deploying to a different location.',
  });
}

export function zonalAllocationFailed(): ErrorBody {
  return scaleSetFailure({
    code: 'ZonalAllocationFailed',
    message:
      'Allocation failed. We do not have sufficient capacity for the requested VM size in this zone. Read more about improving ' +
      'likelihood of allocation success at http://aka.ms/allocation-guidance',
  });
}

/** @param constraints As listed in the message, for example `Differencing (Ephemeral) Disks`. */
export function overconstrained(constraints: readonly string[], zonal = false): ErrorBody {
  return scaleSetFailure({
    code: zonal ? 'OverconstrainedZonalAllocationRequest' : 'OverconstrainedAllocationRequest',
    message:
      'Allocation failed. VM(s) with the following constraints cannot be allocated, because the condition is too restrictive. ' +
      'Please remove some constraints and try again. Constraints applied are:' +
      constraints.map((constraint) => `\n  - ${constraint}`).join(''),
  });
}

export function skuNotAvailable(size: string, location: string): ErrorBody {
  return scaleSetFailure({
    code: 'SkuNotAvailable',
    message:
      `The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: ${size}' is currently not available ` +
      `in location '${location}'. Please try another size or deploy to a different location or different zone. ` +
      'See https://aka.ms/azureskunotavailable for details.',
  });
}

export interface QuotaFigures {
  readonly location: string;
  readonly limit: number;
  readonly used: number;
  readonly need: number;
}

/** @param what A family, or `Total Regional`, or `LowPriorityCores`. */
export function quotaExceeded(what: string, { location, limit, used, need }: QuotaFigures): ErrorBody {
  const name =
    what === 'LowPriorityCores'
      ? 'LowPriorityCores'
      : what === 'Total Regional'
        ? 'Total Regional Cores'
        : `${what} Cores`;
  const message =
    `Operation could not be completed as it results in exceeding approved ${name} quota. Additional details - Deployment Model: ` +
    `Resource Manager, Location: ${location}, Current Limit: ${limit}, Current Usage: ${used}, Additional Required: ${need}, ` +
    `(Minimum) New Limit Required: ${used + need}. Submit a request for Quota increase at https://aka.ms/ProdportalCRP/ by ` +
    'specifying parameters listed in the ‘Details’ section for deployment to succeed.';
  return { code: 'QuotaExceeded', message, details: [{ code: 'OperationNotAllowed', message }] };
}

/** Pools that are created in parallel in one subnet of one's own. */
export function vnetBusy(subnetId: string): ErrorBody {
  return {
    code: 'SetVNetOwnershipFailed',
    message: `Set virtual network ownership failed. Subscription: …; resource: ${subnetId}.`,
    details: [
      {
        code: 'VirtualNetworkNotInSucceededState',
        message: `Set virtual network ownership failed: Virtual network ${subnetId.replace(/\/subnets\/.*/, '')} is in Updating state. It needs to be in Succeeded state in order to set resource ownership.`,
      },
    ],
  };
}

/** @param exitCode Of the node's bootstrap, for example 84 (GPU drivers). */
export function extensionFailed(exitCode: number): ErrorBody {
  return scaleSetFailure({
    code: 'VMExtensionProvisioningError',
    message:
      "VM has reported a failure when processing extension 'vmssCSE' (publisher 'Microsoft.Azure.Extensions' and type 'CustomScript'). " +
      `Error message: "Enable failed: failed to execute command: command terminated with exit status=${exitCode}".`,
  });
}

export function extensionTimedOut(): ErrorBody {
  return scaleSetFailure({
    code: 'VMExtensionProvisioningTimeout',
    message:
      'Provisioning of VM extension vmssCSE has timed out. Extension provisioning has taken too long to complete.',
  });
}

/** For deletions: a PodDisruptionBudget keeps pods where they are. */
export function podDrainFailure(pods: readonly string[] = ['default/model-0']): ErrorBody {
  return {
    code: 'DeleteVMSSAgentPoolFailed',
    message: 'Unable to delete the agent pool: drain failed.',
    details: [
      {
        code: 'PodDrainFailure',
        message: `Drain did not complete pods [${pods.join(', ')}] within 10m0s. See https://aka.ms/aks/debugdrainfailures`,
      },
    ],
  };
}

/** What a canceled operation says. */
export function preempted(byDelete = false): ErrorBody {
  return byDelete
    ? { code: 'AKSOperationPreemptedByDelete', message: 'The operation was preempted by a delete operation.' }
    : { code: 'AKSOperationPreempted', message: 'The operation was overridden and canceled by a later operation.' };
}
