/**
 * What the service refuses a request with: the whole answer, in the words and shapes that people quote from it. Facts: public issues and
 * Microsoft's error pages. Whatever ends an operation later is in failures.ts.
 */

/** ARM's error, nested as the service nests it. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly target?: string;
  readonly details?: readonly ErrorBody[] | null;
  readonly innererror?: unknown;
  readonly subcode?: string;
}

/** A whole answer. */
export interface Refusal {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or a text that is sent as it is. */
  readonly body?: unknown;
}

/** Thrown by handlers of the fake; the server answers with it. */
export class ArmRefusal extends Error {
  constructor(readonly refusal: Refusal) {
    super(JSON.stringify(refusal.body));
    this.name = 'ArmRefusal';
  }
}

/** `{"error": {…}}`: ARM itself and most resource providers. */
export function enveloped(status: number, error: ErrorBody, headers?: Readonly<Record<string, string>>): Refusal {
  return { status, body: { error }, ...(headers && { headers }) };
}

/** `{"code": …}` without an envelope: AKS. */
export function bare(status: number, error: ErrorBody): Refusal {
  return { status, body: { details: null, subcode: '', ...error } };
}

/** 400 of AKS's own validation. */
export function invalidParameter(message: string, target?: string): Refusal {
  return bare(400, { code: 'InvalidParameter', message, ...(target !== undefined && { target }) });
}

/** 400 of ARM: the body does not follow the published API description. */
export function invalidBody(message: string, target: string): Refusal {
  return bare(400, { code: 'UnmarshalError', message: `UnmarshalEntity encountered error: ${message}.`, target });
}

export function insufficientFamilyQuota(need: number, remaining: number, family: string, location: string): Refusal {
  return bare(400, {
    code: 'ErrCode_InsufficientVCPUQuota',
    message:
      `Insufficient vcpu quota requested ${need}, remaining ${remaining} for family ${family} for region ${location}. ` +
      'Surge nodes would also consume vcpu quota. Please consider removing surge nodes or requesting more quota.',
  });
}

/** @param listBytes The list of sizes in the message is at least so long. */
export function sizeNotSupported(size: string, subscription: string, location: string, listBytes = 200): Refusal {
  const sizes: string[] = [];
  for (let length = 0, n = 1; length < listBytes; n += 1) {
    const name = `Standard_D${n}s_v5`;
    sizes.push(name);
    length += name.length + 1;
  }
  return bare(400, {
    code: 'VMSizeNotSupported',
    message:
      `Virtual Machine size: '${size}' is not supported for subscription ${subscription} in location '${location}'. ` +
      `The available VM sizes are '${sizes.join(',')}'. For more details, please visit https://aka.ms/cpu-quota`,
    target: 'properties.vmSize',
  });
}

/** The size's restriction for this subscription. */
export function sizeNotAllowed(size: string, location: string): Refusal {
  return bare(400, {
    code: 'BadRequest',
    message:
      `The VM size of ${size} is not allowed in your subscription in location '${location}'. ` +
      'For more details, please visit https://aka.ms/cpu-quota',
  });
}

export function zoneNotSupported(
  zones: readonly string[],
  pool: string,
  location: string,
  supported: readonly string[],
): Refusal {
  return bare(400, {
    code: 'AvailabilityZoneNotSupported',
    message:
      `Preflight validation check for resource(s) failed. Message: The zone(s) '${zones.join(',')}' for resource '${pool}' ` +
      `is not supported. The supported zones for location '${location}' are '${supported.join(',')}'`,
  });
}

export function diskTooLarge(size: string, fitsGiB: number, wantedGiB: number): Refusal {
  const bytes = (gib: number): number => Math.round(gib * 2 ** 30);
  return bare(400, {
    code: 'VMCacheSizeTooSmall',
    message:
      `The virtual machine size ${size} has a cache size of ${bytes(fitsGiB)} bytes, but the OS disk requires ` +
      `${bytes(wantedGiB)} bytes. Use a VM size with larger cache or disable ephemeral OS.`,
  });
}

/** 409: the very pool is being worked on. */
export function poolBusy(pool: string, doing: string): Refusal {
  return bare(409, {
    code: 'OperationNotAllowed',
    message:
      `Operation is not allowed because there's an in progress ${doing} node pool operation on the node pool ${pool}. ` +
      'Please wait for it to finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details.',
  });
}

/** 409: another pool is, and the cluster does one thing at a time. */
export function otherPoolBusy(pool: string, state: string): Refusal {
  return bare(409, {
    code: 'OperationNotAllowed',
    message:
      `Another agentpool operation (${pool} - ${state}) is in progress, please wait for it to finish before starting a new ` +
      'operation. See https://aka.ms/aks-pending-operation for more details.',
  });
}

/** 409: the cluster itself is. */
export function clusterBusy(state: string): Refusal {
  return bare(409, {
    code: 'OperationNotAllowed',
    message:
      `Operation is not allowed: Another operation (${state}) is in progress, please wait for it to finish before starting a ` +
      'new operation. See https://aka.ms/aks-pending-operation for more details.',
  });
}

export function preconditionFailed(message: string): Refusal {
  return enveloped(412, { code: 'PreconditionFailed', message });
}

/** 400 whose code is that of a 412; the real cause is JSON inside the message. */
export function skuNotAvailableInside(size: string, location: string, zones: readonly string[] = ['1']): Refusal {
  const inner = {
    error: {
      code: 'SkuNotAvailable',
      message:
        "The requested VM size for resource '/subscriptions/…/virtualMachineScaleSets/aks-gpunode-12345678-vmss' is currently not " +
        `available in location '${location}' zones '${zones.join(',')}' for subscription. Following SKUs have failed for Capacity ` +
        `Restrictions: ${size}. Please try another size or deploy to a different location or zones. See https://aka.ms/azureskunotavailable`,
    },
  };
  return bare(400, { code: 'PreconditionFailed', message: JSON.stringify(inner) });
}

/** 429 of AKS. `date`: Retry-After as an HTTP date (whole seconds, rounded up); `absent`: no header. */
export function throttled(
  retryAfter: { readonly seconds: number } | { readonly dateMsFromNow: number } | 'absent',
  pool = 'agentPools',
): Refusal {
  const seconds =
    retryAfter === 'absent'
      ? 60
      : 'seconds' in retryAfter
        ? retryAfter.seconds
        : Math.ceil(retryAfter.dateMsFromNow / 1_000);
  const headers: Record<string, string> = {};
  if (retryAfter !== 'absent') {
    headers['retry-after'] =
      'seconds' in retryAfter
        ? String(retryAfter.seconds)
        : new Date(Math.ceil((Date.now() + retryAfter.dateMsFromNow) / 1_000) * 1_000).toUTCString();
  }
  return enveloped(
    429,
    {
      code: 'Throttled',
      message:
        `The PutAgentPoolHandler.PUT request limit has been exceeded for agentpool ${pool}, please retry again in ${seconds} seconds. ` +
        'For more information, please visit aka.ms/aks-throttling',
    },
    headers,
  );
}

export function unauthorized(code = 'ExpiredAuthenticationToken', message?: string): Refusal {
  return enveloped(
    401,
    { code, message: message ?? 'The access token expiry UTC time is earlier than current UTC time.' },
    { 'www-authenticate': `Bearer authorization_uri="https://login.windows.net/", error="invalid_token"` },
  );
}

/** 403 that names the missing action, for example `Microsoft.ContainerService/managedClusters/agentPools/write`. */
export function forbidden(action: string, scope = '/subscriptions/…'): Refusal {
  return enveloped(403, {
    code: 'AuthorizationFailed',
    message:
      `The client '00000000-0000-0000-0000-00000000c11e' with object id '00000000-0000-0000-0000-00000000c11e' does not have ` +
      `authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, ` +
      'please refresh your credentials.',
  });
}

export function internalError(correlationId = '11111111-2222-3333-4444-555555555555'): Refusal {
  return bare(500, {
    code: 'InternalOperationError',
    message: `We are unable to serve this request due to an internal error, Correlation ID: ${correlationId}.`,
  });
}

export function serviceUnavailable(retryAfterSeconds?: number): Refusal {
  const error = { code: 'ServerTimeout', message: 'The request timed out.' };
  return enveloped(
    503,
    error,
    retryAfterSeconds === undefined ? undefined : { 'retry-after': String(retryAfterSeconds) },
  );
}

export function notFound(code: string, message: string): Refusal {
  return enveloped(404, { code, message });
}
