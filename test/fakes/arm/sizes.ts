/** Sizes that the fake region offers, as `Microsoft.Compute/skus` describes them. */
export interface VmSize {
  readonly name: string;
  readonly family: string;
  readonly vcpus: number;
  readonly memoryGiB: number;
  readonly gpus: number;
  /** Empty: the size is only offered without zones. */
  readonly zones: readonly string[];
  /** Largest ephemeral OS disk. */
  readonly ephemeralGiB: number;
  readonly lowPriorityCapable: boolean;
  readonly reservable: boolean;
  /** `location`: not allowed to this subscription; zones: not in these. */
  readonly restricted?: 'location' | readonly string[];
  /** Default: the region of the cluster. */
  readonly locations?: readonly string[];
}

const ZONES = ['1', '2', '3'];

function size(
  name: string,
  family: string,
  [vcpus, memoryGiB, gpus, ephemeralGiB]: readonly [number, number, number, number],
  more: Partial<VmSize> = {},
): VmSize {
  const base = { name, family, vcpus, memoryGiB, gpus, ephemeralGiB };
  return { ...base, zones: ZONES, lowPriorityCapable: true, reservable: false, ...more };
}

/** Facts: Azure's size pages and `az vm list-skus`. Families are spelt as the service spells them, blanks included. */
export const SIZES: readonly VmSize[] = [
  size('Standard_D4s_v5', 'standardDSv5Family', [4, 16, 0, 0], { reservable: true }),
  size('Standard_NV36ads_A10_v5', 'StandardNVADSA10v5Family', [36, 440, 1, 1440]),
  size('Standard_NV72ads_A10_v5', 'StandardNVADSA10v5Family', [72, 880, 2, 2880]),
  size('Standard_NC24ads_A100_v4', 'StandardNCADSA100v4Family', [24, 220, 1, 256]),
  size('Standard_NC48ads_A100_v4', 'StandardNCADSA100v4Family', [48, 440, 2, 512]),
  size('Standard_NC96ads_A100_v4', 'StandardNCADSA100v4Family', [96, 880, 4, 1024]),
  size('Standard_ND96asr_v4', 'Standard NDASv4_A100 Family', [96, 900, 8, 2040], { zones: [] }),
  size('Standard_ND96amsr_A100_v4', 'standard NDAMSv4_A100Family', [96, 1900, 8, 2040], { zones: [] }),
  size('Standard_NC40ads_H100_v5', 'StandardNCadsH100v5Family', [40, 320, 1, 3576], { reservable: true }),
  size('Standard_NC80adis_H100_v5', 'StandardNCadsH100v5Family', [80, 640, 2, 7152], { reservable: true }),
  size('Standard_ND96isr_H100_v5', 'standardNDSH100v5Family', [96, 1900, 8, 1024], { zones: [], reservable: true }),
  size('Standard_ND96isr_H200_v5', 'standardNDISRH200V5Family', [96, 1850, 8, 1024], { zones: [], reservable: true }),
];

/** Azure compares names of sizes without regard to case. */
export function findVmSize(sizes: readonly VmSize[], name: string): VmSize | undefined {
  return sizes.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
}
