import path from 'node:path';

import type { Environment } from './environment';

/** What a person does next, in a few lines. */
export function howToUse(environment: Environment): string {
  const shown = (file: string) => path.relative(process.cwd(), file) || '.';
  return [
    `  source ${shown(environment.envFile)}     # KUBECONFIG, TEMPORAL_ADDRESS, kubectl and temporal on PATH`,
    ...(environment.temporal === undefined ? [] : [`  Temporal UI: ${environment.temporal.uiUrl}`]),
    ...(environment.realNode === undefined ? [] : [`  image registry: ${environment.realNode.registry.host}`]),
    `  logs: ${shown(environment.logs)}/`,
  ].join('\n');
}
