export { workspace } from './workspace';
export { coordinator } from './coordinator/coordinator';
