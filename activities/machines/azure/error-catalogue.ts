/**
 * Azure's ways to say no, most telling first: what the code or the text of one level of an error means. Codes alone don't tell:
 * `OperationNotAllowed` is a shortage of quota, a conflict, or an immutable property, by its text. Texts are those of public issues and of
 * Microsoft's error pages; what they stand for is said in docs/azure.md.
 */
import type { Cause } from '../../../api/causes';
import type { ErrorLeaf } from './error-tree';

export type FailureClass =
  'quota' | 'capacity' | 'zone' | 'size' | 'conflict' | 'throttle' | 'auth' | 'invalid' | 'internal';

/**
 * How far a failure reaches, so what is not worth trying after it.
 *
 * - `size`: the size, at this priority (in this zone, if one was named)
 * - `subscription`: the size, in any way
 * - `family`, `region`: all that is not spot; `spot`: all that is spot
 * - `zone`: this zone; `placement`: the same again, but another zone may do
 * - `disk`: the same again, but a managed disk may do
 * - `reservation`: the reserved capacity
 * - `request`: nothing about the size: the same may be tried again later
 */
export type FailureScope =
  'size' | 'subscription' | 'family' | 'region' | 'spot' | 'zone' | 'placement' | 'disk' | 'reservation' | 'request';

export interface Meaning {
  readonly class: FailureClass;
  readonly scope: FailureScope;
  readonly cause: Cause;
  /** How long the same is not worth trying. */
  readonly ttlMs: number;
  /** What to try next, or to ask for: one sentence. */
  readonly remedy: string;
}

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** What tells a meaning: all of what is set has to fit. */
export interface Rule extends Meaning {
  readonly code?: RegExp;
  readonly text?: RegExp;
  /** HTTP status of the answer. */
  readonly status?: readonly number[];
}

const QUOTA_LINK = 'https://aka.ms/AzureQuota';

const MEANINGS = {
  throttle: {
    class: 'throttle',
    scope: 'request',
    cause: 'CloudApi',
    ttlMs: 0,
    remedy:
      'Nothing to do: Azure limits how often pools may be changed, and the request is made again when it allows it.',
  },
  spotQuota: {
    class: 'quota',
    scope: 'spot',
    cause: 'Quota',
    ttlMs: HOUR,
    remedy: `Ask for more of the quota "Total Regional Spot vCPUs" (${QUOTA_LINK}), or allow on-demand machines.`,
  },
  regionQuota: {
    class: 'quota',
    scope: 'region',
    cause: 'Quota',
    ttlMs: 10 * MINUTE,
    remedy: `Ask for more of the quota "Total Regional vCPUs" (${QUOTA_LINK}); no other family helps, only a smaller size.`,
  },
  familyQuota: {
    class: 'quota',
    scope: 'family',
    cause: 'Quota',
    ttlMs: 10 * MINUTE,
    remedy: `Ask for more vCPUs of the family that the message names (${QUOTA_LINK}), or add a size of another family to resource.instanceTypes.`,
  },
  size: {
    class: 'size',
    scope: 'size',
    cause: 'Capacity',
    ttlMs: 23 * HOUR,
    remedy: 'The region does not offer this size to the subscription now; add another to resource.instanceTypes.',
  },
  notOffered: {
    class: 'size',
    scope: 'subscription',
    cause: 'Capacity',
    ttlMs: 23 * HOUR,
    remedy:
      'The subscription may not use this size in the region; add another to resource.instanceTypes, or ask Azure’s support.',
  },
  zone: {
    class: 'zone',
    scope: 'zone',
    cause: 'Capacity',
    ttlMs: HOUR,
    remedy:
      'The zone has no machine of this size now; allow other zones, or add another size to resource.instanceTypes.',
  },
  capacity: {
    class: 'capacity',
    scope: 'placement',
    cause: 'Capacity',
    ttlMs: HOUR,
    remedy: 'Azure has no machine of this size now; add another to resource.instanceTypes.',
  },
  disk: {
    class: 'capacity',
    scope: 'disk',
    cause: 'Capacity',
    ttlMs: HOUR,
    remedy: 'No machine of this size with an ephemeral disk now; a managed disk is tried next.',
  },
  reservation: {
    class: 'capacity',
    scope: 'reservation',
    cause: 'Capacity',
    ttlMs: HOUR,
    remedy:
      'The capacity reservation group cannot be used: look at its sizes, its room and the cluster identity’s role on it.',
  },
  bootstrap: {
    class: 'internal',
    scope: 'request',
    cause: 'NotReadyInTime',
    ttlMs: 0,
    remedy:
      'The machine did not set itself up (https://aka.ms/aks/vmss-extension-errors); look at outbound access and the driver.',
  },
  auth: {
    class: 'auth',
    scope: 'request',
    cause: 'Auth',
    ttlMs: 0,
    remedy: 'Give the worker’s identity the role of docs/azure.md; a new role takes up to ten minutes.',
  },
  policy: {
    class: 'auth',
    scope: 'request',
    cause: 'Auth',
    ttlMs: 0,
    remedy:
      'A policy of the subscription forbids this pool: change the policy, or exempt the cluster’s resource group.',
  },
  conflict: {
    class: 'conflict',
    scope: 'request',
    cause: 'Conflict',
    ttlMs: 0,
    remedy: 'Nothing to do: another operation on the cluster has to end first; it is tried again.',
  },
  subnet: {
    class: 'invalid',
    scope: 'request',
    cause: 'InvalidInput',
    ttlMs: 0,
    remedy: 'Give the pools’ subnet more addresses, or name another one in the configuration.',
  },
  invalid: {
    class: 'invalid',
    scope: 'request',
    cause: 'InvalidInput',
    ttlMs: 0,
    remedy: 'Correct what Azure’s message names: a field of the Workspace, or the installation’s configuration.',
  },
  internal: {
    class: 'internal',
    scope: 'request',
    cause: 'CloudApi',
    ttlMs: 0,
    remedy: 'Azure had an error of its own; it is tried again. The correlation ID is what Azure’s support asks for.',
  },
} as const satisfies Record<string, Meaning>;

/** What nothing is known about. */
export const UNKNOWN: Meaning = MEANINGS.internal;
/** What Azure refuses for reasons that no rule knows: the request is wrong. */
const REFUSED: Meaning = MEANINGS.invalid;

/** In the order in which they are tried. */
export const RULES: readonly Rule[] = [
  { ...MEANINGS.throttle, status: [429] },
  { ...MEANINGS.throttle, code: /^(Throttled|TooManyRequests|.*RequestsThrottled)$/i },
  { ...MEANINGS.spotQuota, text: /(LowPriority|Spot)\s*(Cores|vCPUs)|family lowPriority/i },
  { ...MEANINGS.regionQuota, text: /Total Regional (Cores|vCPUs)/i },
  { ...MEANINGS.familyQuota, code: /InsufficientVCPUQuota/i },
  { ...MEANINGS.familyQuota, text: /exceed\w* (approved .*quota|quota limits?)|insufficient vcpu quota/i },
  { ...MEANINGS.disk, code: /^Overconstrained/i, text: /ephemeral/i },
  { ...MEANINGS.disk, code: /^VMCacheSizeTooSmall$/i },
  { ...MEANINGS.zone, code: /^(ZonalAllocationFailed|OverconstrainedZonalAllocationRequest)$/i },
  { ...MEANINGS.zone, code: /^AvailabilityZoneNotSupported$/i, ttlMs: 23 * HOUR },
  { ...MEANINGS.capacity, code: /^OverconstrainedAllocationRequest$/i },
  { ...MEANINGS.internal, code: /^AllocationFailed$/i, text: /internal error/i },
  { ...MEANINGS.capacity, code: /^AllocationFailed$/i },
  { ...MEANINGS.reservation, text: /capacity ?reservation/i },
  { ...MEANINGS.size, code: /^SkuNotAvailable$/i },
  { ...MEANINGS.size, text: /capacity restrictions|is currently not available in location/i },
  { ...MEANINGS.notOffered, code: /^VMSizeNotSupported$/i },
  { ...MEANINGS.notOffered, text: /is not (allowed in your|supported for) subscription|are restricted by AKS/i },
  { ...MEANINGS.bootstrap, code: /^VMExtension/i },
  { ...MEANINGS.policy, code: /^RequestDisallowedByPolicy$/i },
  { ...MEANINGS.auth, code: /Authori[sz]ationFailed$|^(Invalid|Expired)AuthenticationToken|^AuthenticationFailed$/i },
  { ...MEANINGS.auth, status: [401, 403] },
  { ...MEANINGS.subnet, code: /^(InsufficientSubnetSize|SubnetIsFull)$/i },
  { ...MEANINGS.conflict, code: /OperationPreempted|^(Canceled|Cancelled)$|^VirtualNetworkNotInSucceededState$/i },
  { ...MEANINGS.conflict, code: /^(PodDrainFailure|EtagMismatch)$/i },
  { ...MEANINGS.conflict, text: /operation.*in progress|canceled by a later operation|is in Updating state/i },
  { ...MEANINGS.conflict, status: [409, 412] },
  { ...MEANINGS.internal, code: /^(InternalOperationError|InternalServerError|ServerTimeout)$/i },
  { ...MEANINGS.internal, status: [408, 500, 501, 502, 503, 504] },
];

/** What an error means, and which of its levels says so. Rules come before levels: a wrapper never hides what it wraps. */
export function meaningOf(
  leaves: readonly [ErrorLeaf, ...ErrorLeaf[]],
  status: number | undefined,
): { readonly meaning: Meaning; readonly leaf: ErrorLeaf } {
  const inwardsLast = [...leaves].reverse();
  for (const { code, text, status: statuses, ...meaning } of RULES) {
    if (statuses !== undefined) {
      if (status === undefined || !statuses.includes(status)) continue;
      return { meaning, leaf: inwardsLast[0] ?? leaves[0] };
    }
    const leaf = inwardsLast.find((one) => (code?.test(one.code) ?? true) && (text?.test(one.message) ?? true));
    if (leaf !== undefined) return { meaning, leaf };
  }
  const meaning = status !== undefined && status >= 400 && status < 500 ? REFUSED : UNKNOWN;
  return { meaning, leaf: inwardsLast[0] ?? leaves[0] };
}
