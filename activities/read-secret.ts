import { CauseError } from '../api/causes';
import { KubernetesError, toCauseError } from '../kubernetes/errors';
import { RESOURCES } from '../kubernetes/resources';
import type { Secret } from '../kubernetes/objects';
import type { Dependencies } from './dependencies';

/**
 * The Secret that a Workspace names in `field`; undefined where there is none. Throws a CauseError with cause Auth where the worker may not read it,
 * as an installation may allow that in some namespaces only.
 */
export async function readSecret(
  { client }: Pick<Dependencies, 'client'>,
  { namespace, name, field }: Readonly<Record<'namespace' | 'name' | 'field', string>>,
  signal: AbortSignal,
): Promise<Secret | undefined> {
  try {
    return await client.get(RESOURCES.secrets, { namespace, name }, { signal });
  } catch (error) {
    if (!isNotPermitted(error)) throw error;
    throw new CauseError(
      {
        cause: 'Auth',
        message: `${field}: the worker may not read Secret '${name}' in namespace '${namespace}': ${error.message}`,
        remedy: `Ask an administrator to add '${namespace}' to rbac.secretNamespaces of the chart; it is tried again.`,
      },
      { cause: error },
    );
  }
}

/** By RBAC: a namespace that is being deleted refuses with the same code. */
function isNotPermitted(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && error.code === 403 && toCauseError(error).failure.cause === 'Auth';
}
