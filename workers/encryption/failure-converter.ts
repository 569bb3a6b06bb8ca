import { DefaultFailureConverter } from '@temporalio/common';

/** Puts messages and stack traces of failures into payloads, where the codec encrypts them. Loaded by the SDK, by this name. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
