import type { Logger } from '../../../kubernetes/logger';
import type { World } from '../../observe/world';
import type { Arm } from './arm';
import type { AzureConfiguration } from './configuration';
import type { Coordinator } from './coordination/coordinator';
import type { Market } from './market';

/** What the provider of agent pools works with. */
export interface AzureDependencies {
  readonly arm: Arm;
  readonly market: Market;
  readonly coordinator: Coordinator;
  readonly world: Pick<World, 'owned' | 'until'>;
  readonly configuration: AzureConfiguration;
  readonly logger: Logger;
  readonly now: () => Date;
}
