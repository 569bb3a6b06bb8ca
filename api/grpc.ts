/** gRPC's status codes that Temporal's answers are told apart by (https://grpc.io/docs/guides/status-codes). */
export const GRPC = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
} as const;

/** The status code of what Temporal's clients throw, which stands on the error itself or on one that it was caused by; undefined without one. */
export function grpcCodeOf(error: unknown): number | undefined {
  for (let at: unknown = error; typeof at === 'object' && at !== null;) {
    const { code, cause } = at as { readonly code?: unknown; readonly cause?: unknown };
    if (typeof code === 'number') return code;
    at = cause;
  }
  return undefined;
}
