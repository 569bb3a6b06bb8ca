import path from 'node:path';

import { ROOT } from '../defaults';
import { NODE_POOL, type Environment } from '../environment';
import { startChild, type Child, type ChildSpec } from './child';

/** What `npm start` needs to serve the local environment, as environment variables. */
export function productVariables(environment: Environment): Readonly<Record<string, string>> {
  return {
    ...environment.variables,
    KAITO_NODE_CLASS_PROFILE: 'kwok',
    KAITO_NODE_POOL: NODE_POOL,
    // Several may run on one machine.
    KAITO_HTTP_PORT: '0',
    ...(environment.temporal === undefined ? {} : { KAITO_TEMPORAL_UI: environment.temporal.uiUrl }),
  };
}

/** Runs `npm start`, or one role of it, against the environment; returns when it is at work. */
export function startProduct(
  environment: Environment,
  options: Pick<ChildSpec, 'signal' | 'preload'> & {
    readonly role?: 'worker' | 'bridge';
    readonly variables?: Readonly<Record<string, string>>;
  },
): Promise<Child> {
  const { role, variables = {}, ...rest } = options;
  return startChild({
    ...rest,
    name: role ?? 'product',
    entry: path.join(ROOT, 'workers', 'start.ts'),
    args: role === undefined ? [] : ['--role', role],
    env: { ...productVariables(environment), ...variables },
    logFile: path.join(environment.logs, `${role ?? 'product'}.log`),
  });
}
