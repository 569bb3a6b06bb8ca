import { LABEL_CAPACITY_TYPE } from '../../../api/labels';
import type { Workspace } from '../../../api/workspace';
import { machineFor } from '../../../manifests/node-selection';

/** What the user says about how a size is bought. */
export interface Wishes {
  readonly capacityType: 'on-demand' | 'spot' | 'spot-then-on-demand';
  /** Zones that are acceptable, by number; undefined: any. */
  readonly zones?: readonly string[];
  /** Dollars an hour for all machines of the Workspace. */
  readonly maxPricePerHour?: number;
}

/** From `resource.capacityType` and `maxPricePerHour`, and from what the selector asks of the machine itself. */
export function wishesOf(workspace: Workspace): Wishes {
  const { capacityType, maxPricePerHour } = workspace.resource;
  const { requirements } = machineFor(workspace);
  const asked = (wanted: string): readonly string[] | undefined =>
    requirements.find(({ key, operator }) => key === wanted && operator === 'In')?.values;
  // Nodes carry zones as `eastus-1`.
  const zones = asked('topology.kubernetes.io/zone')?.map((zone) => zone.slice(zone.lastIndexOf('-') + 1));
  const types = asked(LABEL_CAPACITY_TYPE);
  return {
    capacityType: capacityType ?? (types?.length === 1 && types[0] === 'spot' ? 'spot' : 'on-demand'),
    ...(zones !== undefined && { zones }),
    ...(maxPricePerHour !== undefined && { maxPricePerHour }),
  };
}
