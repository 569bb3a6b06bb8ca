import { CauseError } from '../api/causes';

/**
 * What a ConfigMap's text, and the options in it, may be long. The time to read YAML grows with the square of the number of keys: a ConfigMap of the size
 * that Kubernetes allows would stop everything that the worker does for everybody for minutes. And options go into each step's input, which Temporal keeps.
 */
const MOST_CONFIG_BYTES = 32 * 1_024;

/** Throws a CauseError (InvalidInput) where a text is longer; `what` is what it is called in the message. */
export function refuseLong(what: string, text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= MOST_CONFIG_BYTES) return;
  throw new CauseError({
    cause: 'InvalidInput',
    message: `${what}: has ${bytes} bytes, and may have ${MOST_CONFIG_BYTES}`,
    remedy: 'Remove what is not needed; long texts belong into files of an image or a volume.',
  });
}
