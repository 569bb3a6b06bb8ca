import { findVmSize, type VmSize } from './sizes';
import type { Pool, Quota } from './types';

/** Names of `Microsoft.Compute/locations/usages` that are not families. */
export const REGIONAL = 'cores';
export const LOW_PRIORITY = 'lowPriorityCores';

const DEFAULT_LIMITS: Readonly<Record<string, number>> = { [REGIONAL]: 10_000, [LOW_PRIORITY]: 2_000 };
const DEFAULT_FAMILY_LIMIT = 2_000;

export interface Shortage {
  readonly name: string;
  readonly limit: number;
  readonly used: number;
  readonly need: number;
}

/**
 * vCPUs by name of quota. Every pool holds what its count asks for until it is gone, whatever its state; one that failed for want of quota
 * holds nothing, as nothing was made.
 */
export class Ledger implements Quota {
  readonly #set = new Map<string, { readonly limit: number; readonly used: number }>();

  constructor(
    readonly sizes: readonly VmSize[],
    readonly pools: () => readonly Pool[],
  ) {}

  set(name: string, { limit, used = 0 }: { readonly limit: number; readonly used?: number }): void {
    if (!this.names().includes(name))
      throw new Error(`no quota is named "${name}"; there are ${this.names().join(', ')}`);
    this.#set.set(name, { limit, used });
  }

  get(name: string): { readonly limit: number; readonly used: number } {
    const { limit, used } = this.#set.get(name) ?? {
      limit: DEFAULT_LIMITS[name] ?? DEFAULT_FAMILY_LIMIT,
      used: 0,
    };
    const held = this.pools().reduce((sum, pool) => sum + (this.#isHeldFrom(name, pool) ? this.#cpus(pool) : 0), 0);
    return { limit, used: used + held };
  }

  names(): readonly string[] {
    return [REGIONAL, LOW_PRIORITY, ...new Set(this.sizes.map(({ family }) => family))];
  }

  /** What lacks for so many vCPUs more; the family first. */
  shortages(size: VmSize, spot: boolean, need: number): readonly Shortage[] {
    const names = spot ? [LOW_PRIORITY] : [size.family, REGIONAL];
    return names
      .map((name) => ({ name, ...this.get(name), need }))
      .filter(({ limit, used }) => need > 0 && used + need > limit);
  }

  #isHeldFrom(name: string, { properties }: Pool): boolean {
    if (properties.status?.provisioningError?.code === 'QuotaExceeded') return false;
    if (properties.scaleSetPriority === 'Spot') return name === LOW_PRIORITY;
    return name === REGIONAL || findVmSize(this.sizes, properties.vmSize ?? '')?.family === name;
  }

  #cpus({ properties }: Pool): number {
    return (properties.count ?? 0) * (findVmSize(this.sizes, properties.vmSize ?? '')?.vcpus ?? 0);
  }
}
