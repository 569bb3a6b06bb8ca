import { CauseError } from '../../api/causes';
import type { Dependencies } from '../dependencies';
import { readSecret } from '../read-secret';

const KEY = '.dockerconfigjson';
const FIELD = 'tuning.output.imagePushSecret';

/** Throws a CauseError unless the Secret is there and holds a Docker config. Its contents go nowhere. */
export async function checkPushSecret(
  deps: Pick<Dependencies, 'client'>,
  at: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name } = at;
  const secret = await readSecret(deps, { ...at, field: FIELD }, signal);
  const where = `Secret '${name}' in namespace '${namespace}'`;
  const remedy = `Create it: kubectl create secret docker-registry ${name} -n ${namespace} --docker-server=… --docker-username=… --docker-password=…`;
  const problem =
    secret === undefined
      ? `Secret '${name}' not found in namespace '${namespace}'`
      : secret.data?.[KEY] === undefined
        ? `${where} has no key ${KEY}`
        : holdsAuths(secret.data[KEY])
          ? undefined
          : `${where} holds no Docker config under ${KEY}: it lacks "auths"`;
  if (problem !== undefined)
    throw new CauseError({ cause: 'MissingReference', message: `${FIELD}: ${problem}`, remedy });
}

function holdsAuths(base64: string): boolean {
  try {
    const config = JSON.parse(Buffer.from(base64, 'base64').toString('utf8')) as { readonly auths?: unknown } | null;
    return typeof config?.auths === 'object' && config.auths !== null;
  } catch {
    return false;
  }
}
