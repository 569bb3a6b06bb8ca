import { fetch } from 'undici';
import { createMarket } from '../../activities/machines/azure/market';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import type { Logger } from '../../kubernetes/logger';
import { findSize } from '../../presets/sizes';

/** Azure's public price list; it needs no account. */
export const AZURE_PRICE_LIST = 'https://prices.azure.com';

export interface PriceList {
  /** USD an hour of one machine, on demand; undefined where the list does not say or does not answer. */
  price(instanceType: string): Promise<number | undefined>;
}

/** The public list of a region. `warn` is told once when it does not answer. */
export function priceList(
  { region, address }: { readonly region: string; readonly address: string },
  now: () => Date,
  warn: (message: string) => void,
  signal: AbortSignal,
): PriceList {
  let isSilent = false;
  const logger: Logger = {
    ...SILENT_LOGGER,
    warn: () => {
      if (!isSilent) warn(`prices are left out: ${address} does not answer`);
      isSilent = true;
    },
  };
  const arm = {
    publicJson: async (url: string, brief: AbortSignal) => (await fetch(url, { signal: brief })).json(),
    list: () => Promise.reject(new Error('only prices are asked for')),
  };
  const market = createMarket(arm, { location: region, priceEndpoint: address }, { logger, now });
  return {
    async price(instanceType) {
      const size = findSize(instanceType);
      if (size?.cloud !== 'azure' || isSilent) return undefined;
      return market.price(size.instanceType, 'Regular', signal);
    },
  };
}
