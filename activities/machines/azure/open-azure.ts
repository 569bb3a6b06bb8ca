import type { TokenCredential } from '@azure/identity';
import type { TlsSettings } from '@azure/core-rest-pipeline';
import { connectArm } from './arm';
import { createAzure } from './azure';
import type { AzureDependencies } from './dependencies';
import { createMarket } from './market';

export interface AzureOptions extends Omit<AzureDependencies, 'arm' | 'market'> {
  /** In a cluster `new DefaultAzureCredential()`: above all workload identity. */
  readonly credential: TokenCredential;
  /** Certificates to trust instead of the usual ones. */
  readonly tls?: TlsSettings;
}

/** The provider of agent pools, connected. No request is sent before somebody needs machines. */
export function openAzure({ credential, tls, ...deps }: AzureOptions): ReturnType<typeof createAzure> {
  const { configuration } = deps;
  const arm = connectArm({
    configuration,
    credential,
    ...(tls !== undefined && { tls }),
  });
  return createAzure({ ...deps, arm, market: createMarket(arm, configuration, deps) });
}
