export { workspace } from './workspace';
export { coordinator } from './coordinator/coordinator';
export { sweep } from './sweeper/sweep';
